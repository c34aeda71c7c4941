"""On the MASTER: what streaming has made on its MariaDB servers, so that it can be used, watched and taken away."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic import TypeAdapter, ValidationError

from hotsync.system import files
from hotsync.system.paths import Paths

SCHEMA = 1


@dataclass(frozen=True, slots=True)
class StreamedServer:
    """One server: its socket and unit, the password of our account ("": it has none any more), and our option file.

    `options` is "" where the administrator's own settings are enough: then nothing else of it is ours either.
    `directory` is where it keeps our binary log. `gave_up`: what the SLAVE lacks was purged, and that has been said.
    """

    socket: str
    unit: str
    password: str = ""
    options: str = ""
    directory: str = ""
    gave_up: bool = False


@dataclass(frozen=True, slots=True)
class _Document:
    schema: int = SCHEMA
    servers: Mapping[str, StreamedServer] = field(default_factory=dict[str, StreamedServer])


_DOCUMENT = TypeAdapter(_Document)


def load_streaming(paths: Paths) -> dict[str, StreamedServer]:
    """Return what was made, by dataset ("mariadb/default"); nothing where the document is missing or of no use."""
    try:
        document = _DOCUMENT.validate_json(paths.streaming.read_bytes())
    except (FileNotFoundError, ValidationError):
        return {}
    return dict(document.servers) if document.schema == SCHEMA else {}


def note_streaming(paths: Paths, name: str, server: StreamedServer | None) -> None:
    """Note durably what there is of one server; None: nothing is left."""
    servers = load_streaming(paths)
    servers.pop(name, None)
    if server is not None:
        servers[name] = server
    document = _DOCUMENT.dump_json(_Document(servers=servers), indent=1)
    files.write_atomic(paths.streaming, document + b"\n", mode=0o600)
