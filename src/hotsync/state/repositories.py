"""Which of the MASTER's repositories the administrator accepted: by a digest of their files, keys included."""

from __future__ import annotations

import json
from typing import cast

from hotsync.system import files
from hotsync.system.paths import Paths

SCHEMA = 1


def load_accepted(paths: Paths) -> str:
    """Return the digest of what was accepted, "" if nothing was."""
    try:
        document: object = json.loads((paths.state / "repositories.json").read_bytes())
    except (FileNotFoundError, ValueError):
        return ""
    return str(cast("dict[str, object]", document).get("digest", "")) if isinstance(document, dict) else ""


def save_accepted(paths: Paths, digest: str, now: float) -> None:
    """Remember what was accepted."""
    text = json.dumps({"schema": SCHEMA, "digest": digest, "accepted_at": now}) + "\n"
    files.write_atomic(paths.state / "repositories.json", text.encode(), mode=0o600)
