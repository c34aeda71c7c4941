"""The running network as it was before a promotion changed it, kept for good: an undo puts it back."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from hotsync.backends.network.snapshot import Before, read_before
from hotsync.errors import CommandFailed
from hotsync.system import files
from hotsync.system.paths import Paths

_BEFORE = TypeAdapter(Before)
_log = logging.getLogger("hotsync.network")


def document_path(paths: Paths) -> Path:
    """Return where that is kept."""
    return paths.state / "network-before.json"


def remember(paths: Paths, epoch: int, made: Iterable[str]) -> None:
    """Write down, once for a promotion, what the network is, and which interfaces are about to be made.

    No promotion fails by what only its undo would need.
    """
    if load(paths, epoch) is not None:
        return
    try:
        document = {"epoch": epoch, "network": _BEFORE.dump_python(read_before(made), mode="json")}
        files.write_atomic(document_path(paths), json.dumps(document).encode("ascii"), mode=0o600)
    except (OSError, CommandFailed) as error:
        _log.warning("the network before the promotion is not written down: %s", error)


def load(paths: Paths, epoch: int) -> Before | None:
    """Return the network before the promotion to this epoch, None if it is not known."""
    try:
        document = json.loads(document_path(paths).read_bytes())
        return _BEFORE.validate_python(document["network"]) if document["epoch"] == epoch else None
    except (OSError, ValueError, KeyError, TypeError, ValidationError):
        return None


def forget(paths: Paths) -> None:
    """It is of no use any more."""
    document_path(paths).unlink(missing_ok=True)
