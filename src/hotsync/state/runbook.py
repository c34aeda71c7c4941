"""The runbook as it lies on disk: on the SLAVE as it was made, on the MASTER as it was fetched."""

from __future__ import annotations

import hashlib

from hotsync.system import files
from hotsync.system.paths import Paths

MOST_BYTES = 256 * 1024


def load_runbook(paths: Paths) -> str:
    """Return the runbook's text, "" if there is none."""
    try:
        with open(paths.runbook, "rb") as file:
            return file.read(MOST_BYTES).decode("utf-8", "replace")
    except OSError:
        return ""


def save_runbook(paths: Paths, text: str) -> None:
    """Make this the runbook; raise OSError."""
    files.write_atomic(paths.runbook, text.encode("utf-8", "replace"), mode=0o600)


def digest_of(text: str) -> str:
    """Return what tells one runbook from the next, "" for none."""
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest() if text else ""
