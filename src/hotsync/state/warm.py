"""What this SLAVE has loaded beforehand, kept between runs; whatever cannot be read was not loaded."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from hotsync.model.warm import WarmServer
from hotsync.system import files, trees
from hotsync.system.paths import Paths

SCHEMA = 1


@dataclass(frozen=True, slots=True)
class _Document:
    schema: int
    servers: Mapping[str, WarmServer]


_DOCUMENT = TypeAdapter(_Document)


def load_warm(paths: Paths) -> dict[str, WarmServer]:
    """Return what is loaded beforehand, by engine/instance; nothing where the document is missing or of no use."""
    try:
        document = _DOCUMENT.validate_json(paths.warm.read_bytes())
    except (FileNotFoundError, ValidationError):
        return {}
    return dict(document.servers) if document.schema == SCHEMA else {}


def save_warm(paths: Paths, servers: Mapping[str, WarmServer]) -> None:
    """Make this what is loaded beforehand, durably."""
    document = _DOCUMENT.dump_json(_Document(SCHEMA, servers), indent=1)
    files.write_atomic(paths.warm, document + b"\n", mode=0o600)


def note_warm(paths: Paths, name: str, server: WarmServer | None) -> None:
    """Change what is known of one server; None: nothing is."""
    servers = load_warm(paths)
    servers.pop(name, None)
    if server is not None:
        servers[name] = server
    save_warm(paths, servers)


def untouched(server: WarmServer, directory: Path) -> bool:
    """Return whether a data directory is as it was left."""
    if not server.fingerprint or server.directory != os.path.realpath(directory):
        return False
    try:
        return trees.fingerprint(directory) == server.fingerprint
    except OSError:
        return False
