"""On the MASTER: what streaming has made on its MariaDB servers, so that it can be used, watched and taken away."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import TypeAdapter

from hotsync.state.by_name import ByName
from hotsync.system.paths import Paths


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


_SERVERS = ByName("servers", TypeAdapter(dict[str, StreamedServer]))


def load_streaming(paths: Paths) -> dict[str, StreamedServer]:
    """Return what was made, by dataset ("mariadb/default"); nothing where the document is missing or of no use."""
    return _SERVERS.load(paths.streaming)


def note_streaming(paths: Paths, name: str, server: StreamedServer | None) -> None:
    """Note durably what there is of one server; None: nothing is left."""
    _SERVERS.note(paths.streaming, name, server)
