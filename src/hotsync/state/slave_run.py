"""What hotsync-slave found last: the stamp without which no promotion begins, and the readiness that status shows."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import cast

from pydantic import TypeAdapter, ValidationError

from hotsync.model.report import Check
from hotsync.system import files
from hotsync.system.paths import Paths

SCHEMA = 1


@dataclass(frozen=True, slots=True)
class MissingPackage:
    """A package of the MASTER that this SLAVE does not have (or has older), and why."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class SlaveRun:
    """One finished run: when, for which generation, what it found.

    `missing` are packages that should be here and are not, `behind` those that are older here; `not_carried` are those
    that never are here. `digest` is that of everything that packages were planned with: while it stays, the package
    manager is not asked again. `refreshed_at` is when its lists were refreshed last.
    """

    ended_at: float
    generation: int
    missing: tuple[MissingPackage, ...] = ()
    not_carried: tuple[MissingPackage, ...] = ()
    checks: tuple[Check, ...] = ()
    digest: str = ""
    behind: tuple[MissingPackage, ...] = ()
    refreshed_at: float = 0.0


_RUN = TypeAdapter(SlaveRun)


def load_slave_run(paths: Paths) -> SlaveRun | None:
    """Return what the last run found; None if none has ended, or if its document cannot be read."""
    try:
        document: object = json.loads((paths.state / "slave-run.json").read_bytes())
        fields = dict(cast("dict[str, object]", document)) if isinstance(document, dict) else {}
        if fields.pop("schema", None) != SCHEMA:
            return None
        return _RUN.validate_python(fields)
    except (FileNotFoundError, ValueError, ValidationError):
        return None


def save_slave_run(paths: Paths, run: SlaveRun) -> None:
    """Make this what the last run found."""
    fields = cast("dict[str, object]", _RUN.dump_python(run, mode="json"))
    text = json.dumps({"schema": SCHEMA, **fields}, indent=1) + "\n"
    files.write_atomic(paths.state / "slave-run.json", text.encode(), mode=0o600)
