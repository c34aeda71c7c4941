"""That this server holds itself, on disk: it is written before anything is stopped, and holds over every boot.

Where the disk is full, or takes nothing any more, it is written down for this boot, until the disk takes it.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import cast

from pydantic import TypeAdapter, ValidationError

from hotsync.model.handover import Stage
from hotsync.model.hold import HeardBy, Hold, is_superseded, next_after_release
from hotsync.model.identity import RoleRecord
from hotsync.state.handover import current, forget_left, locked
from hotsync.state.rejoin import is_moving
from hotsync.system import files, lock
from hotsync.system.paths import Paths

SCHEMA = 1
_HOLD = TypeAdapter(Hold)
_log = logging.getLogger("hotsync.hold")


@contextmanager
def at_work(paths: Paths, *, wait: bool = True) -> Iterator[None]:
    """Be the one who holds this server or lets it serve again; wait for whoever does, or raise Busy."""
    with lock.held(paths.run / "hold.lock", "hold of this server", wait=wait):
        yield


def hold_network(paths: Paths) -> None:
    """Let no network manager start in this boot: it would take the addresses that /etc gives it. Raise OSError."""
    paths.run.mkdir(mode=0o755, parents=True, exist_ok=True)
    files.write_atomic(paths.held_flag, b"", mode=0o644)


def load_hold(paths: Paths) -> Hold | None:
    """Return why this server holds itself, None if it does not. A document that cannot be read holds all the same."""
    lasting, passing = _load(paths.hold_file), _load(paths.hold_of_this_boot)
    if lasting is None or passing is None:
        return lasting or passing
    # the one of this boot is newer, unless it was written down for good a moment ago and the other not yet removed
    return lasting if lasting.begun and not passing.begun else passing


def _load(path: Path) -> Hold | None:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError:
        return Hold(0, 0.0)
    try:
        fields = dict(cast("dict[str, object]", json.loads(data)))
        return _HOLD.validate_python(fields) if fields.pop("schema", None) == SCHEMA else Hold(0, 0.0)
    except (ValueError, TypeError, ValidationError):
        return Hold(0, 0.0)


def held(paths: Paths) -> Hold | None:
    """Return the hold that is in force, None if there is none or its release is under way."""
    hold = load_hold(paths)
    return None if hold is None or hold.released else hold


def note_superseded(paths: Paths, record: RoleRecord, epoch: int, by: HeardBy, now: float) -> bool:
    """The paired server said that it is at this epoch: if that ends our time as MASTER, write down that we hold.

    Return whether that is news. hotsync-hold.path sees the document and starts what stops production; raise OSError.
    """
    if not is_superseded(record, epoch):
        return False
    with locked(paths):  # either it is given up before this, or it stays as it is
        known = load_hold(paths)
        if known is not None and known.epoch >= epoch:
            return False
        if known is None or known.released:
            forget_left(paths)
            save_hold(paths, Hold(epoch, now, by, planned=_stands_still(paths, record)))
        else:
            save_hold(paths, replace(known, epoch=epoch))
        return True


def _stands_still(paths: Paths, record: RoleRecord) -> bool:
    """Return whether a claim is what this server, with production stopped, waits for now."""
    handover = current(paths, record.highest_epoch)
    return handover is not None and handover.stage is Stage.READY


def note_released(paths: Paths, record: RoleRecord, epoch: int) -> bool:
    """The paired server said that it gave its promotion to this epoch up: if that changes anything, write it down.

    Return whether that is news. hotsync-released.path sees it and starts what lets this server serve; raise OSError.
    A server whose data is on its way into a replica cannot serve: nothing is written.
    """
    if is_moving(paths):
        return False
    hold = load_hold(paths)
    held_by = hold.epoch if hold is not None else 0
    wanted = next_after_release(record, held_by, epoch)
    if wanted is None or (hold is None and record.epoch == wanted) or load_released(paths) >= epoch:
        return False
    save_released(paths, epoch)
    return True


def save_released(paths: Paths, epoch: int) -> None:
    """Write down that this server serves at the epoch above this one: whatever ends who works on that, the unit that
    looks for it goes on. Raise OSError."""
    paths.released_file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    text = json.dumps({"schema": SCHEMA, "epoch": epoch}) + "\n"
    files.write_atomic(paths.released_file, text.encode("ascii"), mode=0o600)


def load_released(paths: Paths) -> int:
    """Return the epoch that the other server said it has released, 0 if none waits to be acted upon."""
    try:
        document: object = json.loads(paths.released_file.read_bytes())
    except (OSError, ValueError):
        return 0
    epoch: object = cast("dict[str, object]", document).get("epoch") if isinstance(document, dict) else None
    return epoch if isinstance(epoch, int) else 0


def drop_released(paths: Paths) -> None:
    """It was acted upon."""
    files.forget(paths.released_file)


def save_hold(paths: Paths, hold: Hold) -> None:
    """Write down that this server holds itself, durably; for this boot where the disk does not take it.

    Raise OSError where even that fails.
    """
    try:
        save_hold_for_good(paths, hold)
    except OSError as error:
        _log.error("That this server is held is written down for this boot only: %s", error)
        paths.run.mkdir(mode=0o755, parents=True, exist_ok=True)
        files.write_atomic(paths.hold_of_this_boot, _text(hold), mode=0o600)


def save_hold_for_good(paths: Paths, hold: Hold) -> None:
    """Write down that this server holds itself so that it outlives this boot; raise OSError."""
    paths.hold_file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    files.write_atomic(paths.hold_file, _text(hold), mode=0o600)
    files.forget(paths.hold_of_this_boot)


def _text(hold: Hold) -> bytes:
    return (json.dumps({"schema": SCHEMA, **asdict(hold)}, indent=2) + "\n").encode("ascii")


def drop_hold(paths: Paths) -> None:
    """Forget it; nothing happens if this server does not hold itself."""
    files.forget(paths.hold_of_this_boot)
    files.forget(paths.hold_file)
