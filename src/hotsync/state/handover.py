"""A hand-over on the MASTER, on disk until the next boot: what the SLAVE asked for, and how far it is.

The daemon writes what it was asked for, and hotsync-handover.service what it does; whoever changes what the other
relies on holds the lock.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import cast

from pydantic import TypeAdapter, ValidationError

from hotsync.errors import Busy
from hotsync.model.facts import UnitFact
from hotsync.model.handover import HandOver
from hotsync.system import files, lock
from hotsync.system.paths import Paths

SCHEMA = 1
_HANDOVER = TypeAdapter(HandOver)
_UNITS = TypeAdapter(tuple[UnitFact, ...])


def document_path(paths: Paths) -> Path:
    """Return where the document lies."""
    return paths.run / "handover.json"


def request_path(paths: Paths) -> Path:
    """Return the file that hotsync-handover.path waits for."""
    return paths.run / "handover-request"


def cancel_path(paths: Paths) -> Path:
    """Return the file by which the SLAVE takes its request back."""
    return paths.run / "handover-cancel"


def left_path(paths: Paths) -> Path:
    """Return the file that is there once production's addresses were given up in this boot."""
    return paths.run / "handover-left"


@contextmanager
def locked(paths: Paths) -> Iterator[None]:
    """Hold what keeps a claim that is heard from crossing a hand-over that is given up."""
    with lock.held(paths.run / "handover.lock", "hand-over", wait=True):
        yield


@contextmanager
def at_work(paths: Paths) -> Iterator[None]:
    """Be the one who works on the hand-over; wait for whoever does."""
    with lock.held(_work_path(paths), "hand-over", wait=True):
        yield


def is_worked_on(paths: Paths) -> bool:
    """Return whether somebody works on it now."""
    try:
        with lock.held(_work_path(paths), "hand-over"):
            return False
    except Busy:
        return True


def _work_path(paths: Paths) -> Path:
    return paths.run / "handover-work.lock"


def load_handover(paths: Paths) -> HandOver | None:
    """Return the hand-over of this boot, None if there was none (or none that can be read)."""
    try:
        fields = dict(cast("dict[str, object]", json.loads(document_path(paths).read_bytes())))
        return _HANDOVER.validate_python(fields) if fields.pop("schema", None) == SCHEMA else None
    except (OSError, ValueError, TypeError, ValidationError):
        return None


def current(paths: Paths, epoch: int) -> HandOver | None:
    """Given the epoch that this server has, return the hand-over that goes on or went on at it.

    One of an earlier epoch is over, also where no boot has taken its document away.
    """
    known = load_handover(paths)
    return known if known is not None and known.epoch == epoch else None


def save_handover(paths: Paths, handover: HandOver) -> None:
    """Write down how far it is; raise OSError."""
    paths.run.mkdir(mode=0o755, parents=True, exist_ok=True)
    text = json.dumps({"schema": SCHEMA, **asdict(handover)}, indent=1) + "\n"
    files.write_atomic(document_path(paths), text.encode("ascii"), mode=0o600)


def forget_handover(paths: Paths) -> None:
    """Let there be no hand-over; that needs no room."""
    document_path(paths).unlink(missing_ok=True)


def request(paths: Paths) -> None:
    """Ask hotsync-handover.service to begin; what an earlier one has left behind is nothing any more."""
    cancel_path(paths).unlink(missing_ok=True)
    left_path(paths).unlink(missing_ok=True)
    files.write_atomic(request_path(paths), b"", mode=0o600)


def is_requested(paths: Paths) -> bool:
    """Return whether it was asked for and has not begun."""
    return request_path(paths).exists()


def take_request(paths: Paths) -> bool:
    """Take the request away; return whether there was one."""
    if not is_requested(paths):
        return False
    request_path(paths).unlink(missing_ok=True)
    return True


def cancel(paths: Paths) -> None:
    """Take the request back, or have what goes on given up."""
    files.write_atomic(cancel_path(paths), b"", mode=0o600)
    request_path(paths).unlink(missing_ok=True)


def is_cancelled(paths: Paths) -> bool:
    """Return whether the SLAVE took its request back."""
    return cancel_path(paths).exists()


def save_units(paths: Paths, units: tuple[UnitFact, ...]) -> None:
    """Keep what runs here, before it is stopped: that is what the SLAVE is told to run."""
    files.write_atomic(_units_path(paths), _UNITS.dump_json(units), mode=0o600)


def load_units(paths: Paths) -> tuple[UnitFact, ...]:
    """Return what ran here before production was stopped; nothing if it is not stopped."""
    try:
        return _UNITS.validate_json(_units_path(paths).read_bytes())
    except (OSError, ValidationError):
        return ()


def drop_units(paths: Paths) -> None:
    """From now on what runs here is what can be seen."""
    _units_path(paths).unlink(missing_ok=True)


def _units_path(paths: Paths) -> Path:
    return paths.run / "handover-units.json"


def note_left(paths: Paths) -> None:
    """Production's addresses are given up: the other server need not wait for that any longer."""
    files.write_atomic(left_path(paths), b"", mode=0o600)


def forget_left(paths: Paths) -> None:
    """What an earlier hold of this boot did says nothing of the one that begins."""
    left_path(paths).unlink(missing_ok=True)


def has_left(paths: Paths) -> bool:
    """Return whether production's addresses were given up."""
    return left_path(paths).exists()
