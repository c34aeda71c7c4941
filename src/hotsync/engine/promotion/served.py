"""The database server of this host that is to hold a dump, found among those that run."""

from __future__ import annotations

from hotsync.errors import CommandFailed, RestoreFailed
from hotsync.model.promotion import DatabaseDump
from hotsync.sources.postgresql import source as postgresql
from hotsync.sources.postgresql.cluster import ask, login_of
from hotsync.sources.postgresql.make import serves
from hotsync.sources.registry import source_named
from hotsync.sources.source import Context, Dataset
from hotsync.system.clock import Clock, SystemClock
from hotsync.system.paths import Paths

_LOOKS = 60
_PATIENCE_SECONDS = 1.0


def server_of(paths: Paths, dump: DatabaseDump, clock: Clock | None = None) -> Dataset:
    """Given a dump, return the server that runs here for it; raise RestoreFailed if there is none.

    A PostgreSQL server with a unit of somebody's own gets a minute to let people in: its unit may not wait for that.
    """
    watch = clock or SystemClock()
    for look in range(_LOOKS):
        if look:
            watch.sleep(_PATIENCE_SECONDS)
        server = _running(paths, dump)
        if server is not None and (not server.place or _answers(server)):
            return server
        if not _is_plain(dump):
            break
    raise RestoreFailed(dataset=dump.name, reason="no such server runs here")


def _is_plain(dump: DatabaseDump) -> bool:
    return dump.engine == postgresql.NAME and bool(dump.directory)


def _running(paths: Paths, dump: DatabaseDump) -> Dataset | None:
    for server in source_named(dump.engine).inspect(Context(paths)):
        if dump.engine == postgresql.NAME:
            found = serves(server, dump.served_by, dump.directory)
        else:
            found = server.is_named(dump.served_by)
        if found and not server.fault and not server.parked:
            return server
    return None


def _answers(server: Dataset) -> bool:
    try:
        return ask(login_of(server), "SELECT 1") == "1"
    except CommandFailed:
        return False
