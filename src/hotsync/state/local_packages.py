"""Packages of no repository as documents: what of them travels, what the MASTER saw last, what the SLAVE accepted."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from hotsync.errors import ReplicaError
from hotsync.model.packages.local import LocalPackage
from hotsync.state.facts import SPOOL_IN_TREE, read_document
from hotsync.system import files
from hotsync.system.paths import Paths

SCHEMA = 1
DATASET = "local-packages"
DOCUMENT = "local-packages.json"
_SHA256 = re.compile(r"[0-9a-f]{64}\Z")


@dataclass(frozen=True, slots=True)
class _Told:
    schema: int
    packages: tuple[LocalPackage, ...]


@dataclass(frozen=True, slots=True)
class Seen:
    """Of a MASTER: the digest of all that its list was made of, when that was, and whether all files could be had."""

    digest: str = ""
    at: float = 0.0
    whole: bool = False


@dataclass(frozen=True, slots=True)
class _Accepted:
    schema: int
    accepted: dict[str, float]


def render_local(packages: Iterable[LocalPackage]) -> bytes:
    """Given packages, return the document."""
    lines = ",\n".join(json.dumps(asdict(each)) for each in packages)
    return f'{{"schema": {SCHEMA},\n"packages": [{lines}]}}\n'.encode("ascii")


def load_local(folder: Path) -> tuple[LocalPackage, ...]:
    """Given a spool or a replica's tree, return what is told of packages of no repository; none if nothing is.

    Raise ReplicaError if the document is malformed, larger than sense, or of a newer HotSync.
    """
    name = f"{SPOOL_IN_TREE}/{DATASET}/{DOCUMENT}" if (folder / SPOOL_IN_TREE).is_dir() else f"{DATASET}/{DOCUMENT}"
    data = read_document(folder, name)
    if data is None:
        return ()
    try:
        told = TypeAdapter(_Told).validate_json(data, strict=True)
    except ValidationError as error:
        raise ReplicaError(reason=f"{folder / name} is malformed: {error.errors()[0]['msg']}") from error
    if told.schema > SCHEMA:
        raise ReplicaError(
            reason=f"{folder / name} was written by a newer HotSync",
            hint="Install the same HotSync version on both servers.",
        )
    if any(each.sha256 and not _SHA256.match(each.sha256) for each in told.packages):
        raise ReplicaError(reason=f"{folder / name} is malformed: a SHA-256 is none")
    return told.packages


def load_seen(paths: Paths) -> Seen:
    """Return what the MASTER saw last; nothing if that cannot be read: then it looks again."""
    try:
        return TypeAdapter(Seen).validate_json((paths.state / "local-packages.json").read_bytes())
    except (FileNotFoundError, ValidationError):
        return Seen()


def save_seen(paths: Paths, seen: Seen) -> None:
    """Remember what the MASTER saw."""
    text = json.dumps({"schema": SCHEMA, **asdict(seen)}) + "\n"
    files.write_atomic(paths.state / "local-packages.json", text.encode(), mode=0o600)


def load_accepted(paths: Paths) -> frozenset[str]:
    """Return the SHA-256 of every package file that this SLAVE's administrator accepted."""
    try:
        document = (paths.state / "accepted-packages.json").read_bytes()
        return frozenset(TypeAdapter(_Accepted).validate_json(document).accepted)
    except (FileNotFoundError, ValidationError):
        return frozenset()


def add_accepted(paths: Paths, digests: Iterable[str], now: float) -> None:
    """Remember that these files (SHA-256) were accepted."""
    accepted = dict.fromkeys((*load_accepted(paths), *digests), now)
    text = json.dumps({"schema": SCHEMA, "accepted": dict(sorted(accepted.items()))}, indent=1) + "\n"
    files.write_atomic(paths.state / "accepted-packages.json", text.encode(), mode=0o600)
