"""The journal: one small file that says which change of the replica is past its point of no return."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from typing import Any

from hotsync.errors import ReplicaError
from hotsync.model.generation import Generation
from hotsync.replica.effects import Effects
from hotsync.replica.layout import Layout
from hotsync.replica.ledger import generation_from_json, generation_to_json
from hotsync.system.files import sync_directory, write_atomic

SCHEMA = 1


@dataclass(frozen=True, slots=True)
class Commit:
    """A generation that will exist: its lists lie in `work/<number>`, its files in `staging/<number>`."""

    number: int
    base_digest: str
    generation: Generation


@dataclass(frozen=True, slots=True)
class Merge:
    """A generation that will be forgotten: what it kept moves to `into`."""

    number: int
    into: int


InFlight = Commit | Merge


def read_journal(layout: Layout) -> InFlight | None:
    """Return what is in flight, or None; raise ReplicaError if the journal is damaged or newer than this program."""
    try:
        data = layout.journal.read_bytes()
    except FileNotFoundError:
        return None
    try:
        document: dict[str, Any] = json.loads(data)
        if document["schema"] > SCHEMA:
            raise ReplicaError(reason="its journal was written by a newer HotSync", hint="Upgrade HotSync here.")
        if document["kind"] == "merge":
            return Merge(document["number"], document["into"])
        return Commit(document["number"], document["base_digest"], generation_from_json(document["generation"]))
    except (ValueError, KeyError, TypeError) as error:
        raise ReplicaError(reason=f"its journal is damaged ({error})") from error


def write_journal(layout: Layout, entry: InFlight, effects: Effects) -> None:
    """Make a change unavoidable: old or new after a crash, and new once this returns; raise OSError."""
    if isinstance(entry, Commit):
        document: dict[str, Any] = {"kind": "commit", "number": entry.number, "base_digest": entry.base_digest}
        document["generation"] = generation_to_json(entry.generation)
    else:
        document = {"kind": "merge", **asdict(entry)}
    with effects("journal"):
        write_atomic(layout.journal, json.dumps({"schema": SCHEMA, **document}).encode(), mode=0o600)


def remove_journal(layout: Layout, effects: Effects) -> None:
    """Close the journal: nothing is in flight any more, durably."""
    with effects("close journal"):
        os.unlink(layout.journal)
        sync_directory(layout.root)
