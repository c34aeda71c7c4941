"""What this SLAVE has loaded beforehand, kept between runs; whatever cannot be read was not loaded."""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import TypeAdapter

from hotsync.model.warm import WarmServer
from hotsync.state.by_name import ByName
from hotsync.system import trees
from hotsync.system.paths import Paths

_SERVERS = ByName("servers", TypeAdapter(dict[str, WarmServer]))


def load_warm(paths: Paths) -> dict[str, WarmServer]:
    """Return what is loaded beforehand, by engine/instance."""
    return _SERVERS.load(paths.warm)


def note_warm(paths: Paths, name: str, server: WarmServer | None) -> None:
    """Change durably what is known of one server; None: nothing is."""
    _SERVERS.note(paths.warm, name, server)


def untouched(server: WarmServer, directory: Path) -> bool:
    """Return whether a data directory is as it was left."""
    if not server.fingerprint or server.directory != os.path.realpath(directory):
        return False
    try:
        return trees.fingerprint(directory) == server.fingerprint
    except OSError:
        return False
