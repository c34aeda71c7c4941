"""Why this MASTER could not become the SLAVE after a switchover, as of its last run: the daemon, which sees nothing of
the disks, tells it before anything begins."""

from __future__ import annotations

import json
from typing import cast

from hotsync.system import files
from hotsync.system.paths import Paths


def load_lacking(paths: Paths) -> str:
    """Return it in one sentence, "" if nothing is known to be in the way."""
    try:
        document: object = json.loads(paths.lacking.read_bytes())
    except (OSError, ValueError):
        return ""
    said: object = cast("dict[str, object]", document).get("lacking") if isinstance(document, dict) else None
    return said if isinstance(said, str) else ""


def save_lacking(paths: Paths, lacking: str) -> None:
    """Keep it; "" forgets it."""
    if lacking == load_lacking(paths):
        return
    if lacking:
        files.write_atomic(paths.lacking, json.dumps({"lacking": lacking}).encode("ascii"), mode=0o600)
    else:
        files.forget(paths.lacking)
