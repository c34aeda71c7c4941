"""A sentence that everybody reads who looks at this server's console or logs in."""

from __future__ import annotations

from hotsync.system import files
from hotsync.system.paths import Paths

_PLACES = ("/run/issue.d/hotsync.issue", "/run/motd.d/hotsync")


def announce(paths: Paths, sentence: str) -> None:
    """Show a sentence before and after every login, until the next boot; an empty one takes it away."""
    for place in _PLACES:
        path = paths.at(place)
        if not sentence:
            path.unlink(missing_ok=True)
            continue
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        files.write_atomic(path, f"\nHotSync: {sentence}\n\n".encode())
