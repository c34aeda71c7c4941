"""Loads the MASTER's databases on a waiting SLAVE beforehand, so that a promotion loads only what is newer.

A server of HotSync's own runs on the very data directory that production will use, while it loads and no longer. What
it then holds is written down together with a fingerprint of the directory; whoever touches it later makes that void,
and the promotion loads everything.
"""

from __future__ import annotations

import logging
import os
import pwd
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from hotsync.backends import waiting_servers
from hotsync.backends.waiting_servers import WaitingServer
from hotsync.engine.loads import GROWTH, data_folder
from hotsync.engine.master_facts import spool_of_tree
from hotsync.engine.room import free_at
from hotsync.errors import CommandFailed, RestoreFailed
from hotsync.model.promotion import DatabaseDump
from hotsync.model.warm import Budget, WarmLoad, WarmServer
from hotsync.replica.layout import Layout
from hotsync.replica.pin import pinned
from hotsync.sources import (
    documents,
    mariadb,
    mariadb_load,
    mariadb_make,
    mariadb_waiting,
    postgresql,
    postgresql_cluster,
    postgresql_load,
    postgresql_waiting,
)
from hotsync.sources.documents import CLUSTER, INSTANCE, MariadbInstance, PostgresqlCluster
from hotsync.sources.source import Dataset, Loaded, LoadPaused
from hotsync.state.warm import load_warm, note_warm
from hotsync.system import files, trees
from hotsync.system.clock import Clock
from hotsync.system.paths import Paths

_log = logging.getLogger("hotsync.warm")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,100}")


def wanted_loads(paths: Paths, dumps: Iterable[DatabaseDump], budget: Budget) -> tuple[WarmLoad, ...]:
    """Given the dumps of the last generation, return those that are not loaded beforehand as they are now."""
    if not budget.minutes:
        return ()
    servers = load_warm(paths)
    found: list[WarmLoad] = []
    for dump in dumps:
        if dump.engine not in (mariadb.NAME, postgresql.NAME):
            continue  # the others are put in place in a moment
        directory = paths.at(data_folder(paths.replica / "tree", dump))
        server = servers.get(dump.name)
        if server is not None and server.digest == dump.digest and _untouched(server, directory):
            continue
        left = _bytes_left(paths, dump, server)
        hindrance = _hindrance(paths, dump, directory, left, budget)
        found.append(WarmLoad(dump.engine, dump.instance, dump.digest, directory, left, hindrance))
    return tuple(found)


def _hindrance(paths: Paths, dump: DatabaseDump, directory: Path, left: int, budget: Budget) -> str:
    """Return in words why a server cannot be loaded beforehand, "" if it can."""
    if not _NAME.fullmatch(dump.instance):
        return "its name is no name of a unit"
    if dump.served_by != dump.instance:
        return f"a server of another major version will serve it ({dump.served_by})"
    is_server = mariadb_waiting.is_server if dump.engine == mariadb.NAME else postgresql_waiting.is_server
    if not is_server(directory):
        return f"its data directory {directory} is not here yet"
    if dump.size > budget.largest:
        return f"its dumps are larger than WarmGigabytes ({budget.largest / 2**30:.0f})"
    needed = int(left * GROWTH)
    if free_at(directory) < needed:
        return f"{directory} lacks room: {needed / 2**20:.0f} MiB are needed"
    try:
        document = _document(spool_of_tree(paths) / dump.engine / dump.instance, dump.engine)
    except RestoreFailed as error:
        return error.sentence
    return "it has tablespaces" if isinstance(document, PostgresqlCluster) and document.spaces else ""


def bytes_left(paths: Paths, dump: DatabaseDump) -> int:
    """Given a dump, return how many bytes of it a promotion now would load (all of them, if in doubt)."""
    server = load_warm(paths).get(dump.name)
    if server is None or not _untouched(server, paths.at(data_folder(paths.replica / "tree", dump))):
        return dump.size
    return _bytes_left(paths, dump, server)


def _bytes_left(paths: Paths, dump: DatabaseDump, server: WarmServer | None) -> int:
    if server is None:
        return dump.size
    try:
        document = _document(spool_of_tree(paths) / dump.engine / dump.instance, dump.engine)
    except RestoreFailed:
        return dump.size
    digests = documents.digests(document)
    return sum(
        _size(database)
        for database in document.databases
        if server.databases.get(database.name) != digests[database.name]
    )


def _size(database: documents.MariadbDatabase | documents.PostgresqlDatabase) -> int:
    if isinstance(database, documents.MariadbDatabase):
        return database.content.size
    return sum(file.size for file in database.content)


def _document(folder: Path, engine: str) -> MariadbInstance | PostgresqlCluster:
    if engine == mariadb.NAME:
        return documents.load(folder / INSTANCE, MariadbInstance)
    return documents.load(folder / CLUSTER, PostgresqlCluster)


def _untouched(server: WarmServer, directory: Path) -> bool:
    """Return whether a data directory is as it was left."""
    if not server.fingerprint or server.directory != os.path.realpath(directory):
        return False
    try:
        return trees.fingerprint(directory) == server.fingerprint
    except OSError:
        return False


@dataclass(frozen=True, slots=True)
class _Work:
    """One load: the server that waits, how it is reached, what loads a dump into it, what names this SLAVE's own
    databases in it, and what says whether a data directory holds none at all."""

    server: WaitingServer
    dataset: Dataset
    restore: Callable[[Path, Dataset, Loaded], str]
    own: Callable[[], tuple[str, ...]]
    is_fresh: Callable[[Path], bool]


@dataclass(slots=True)
class WarmDatabases:
    """The servers of this SLAVE while they are loaded beforehand; `until` is when no further database is begun."""

    paths: Paths
    clock: Clock
    until: float

    def load(self, wanted: WarmLoad) -> bool:
        """Load what lacks of one server's dumps into its waiting server; return whether it holds everything then.

        Whatever comes of it, what it holds is written down once it was stopped. Raise HotSyncError or OSError.
        """
        path = f"var/lib/hotsync/spool/{wanted.engine}/{wanted.instance}"
        name = f"{wanted.engine}-{wanted.instance}"
        with pinned(Layout(self.paths.replica), self.paths.replica_lock, path, name) as dumps:
            document = _document(dumps, wanted.engine)
            directory = Path(os.path.realpath(wanted.directory))
            before = load_warm(self.paths).get(wanted.name)
            good = before is not None and before.settings == document.settings and _untouched(before, directory)
            holds = dict(before.databases) if before is not None and good else {}
            work = self._work(wanted, document, directory, dumps)
            # from here on, and until it was stopped in good order, nobody knows what it holds
            server = WarmServer(str(directory), version=document.version, settings=document.settings)
            note_warm(self.paths, wanted.name, server)
            if self._start(work, wanted, document, before):
                holds = {}
            try:
                server = replace(server, own=work.own())
                if self._fill(work, dumps, holds, documents.digests(document)):
                    server = replace(server, digest=document.digest)
            finally:
                waiting_servers.stop(self.paths, work.server.name)
                server = replace(server, fingerprint=trees.fingerprint(directory), databases=holds)
                note_warm(self.paths, wanted.name, server)
        return bool(server.digest)

    def _start(
        self, work: _Work, wanted: WarmLoad, document: MariadbInstance | PostgresqlCluster, before: WarmServer | None
    ) -> bool:
        """Start the server; return whether its data directory had to be made anew for that.

        That is so where the MASTER's settings changed, and done only where nothing of this SLAVE's own is lost.
        """
        directory = work.server.writes[0]
        try:
            waiting_servers.start(self.paths, work.server)
        except CommandFailed:
            known = before is not None and before.directory == str(directory)
            if before.own if before is not None and known else not work.is_fresh(directory):
                raise
        else:
            return False
        _log.warning("%s does not start with the MASTER's settings: its data directory is made anew", wanted.name)
        _make_anew(document, wanted.instance, directory, work.server.user)
        waiting_servers.start(self.paths, work.server)
        return True

    def _work(
        self, wanted: WarmLoad, document: MariadbInstance | PostgresqlCluster, directory: Path, dumps: Path
    ) -> _Work:
        folder = waiting_servers.folder_of(self.paths, f"{wanted.engine}@{wanted.instance}")
        user = pwd.getpwuid(directory.stat().st_uid).pw_name
        if user == "root":
            raise RestoreFailed(dataset=wanted.name, reason=f"{directory} belongs to root")
        if isinstance(document, MariadbInstance):
            server = mariadb_waiting.server_of(document, wanted.instance, directory, user, folder)
            dataset = mariadb_waiting.dataset_of(wanted.instance, folder)
            own = partial(mariadb_waiting.own_databases, dataset, document)
            return _Work(server, dataset, mariadb_load.restore, own, mariadb_waiting.is_fresh)
        server = postgresql_waiting.server_of(wanted.instance, directory, user, folder)
        dataset = postgresql_waiting.dataset_of(wanted.instance, user, folder, dumps)
        own = partial(postgresql_waiting.own_databases, dataset, document)
        return _Work(server, dataset, postgresql_load.restore, own, postgresql_waiting.is_fresh)

    def _fill(self, work: _Work, dumps: Path, holds: dict[str, str], digests: Mapping[str, str]) -> bool:
        """Load into a server that runs; return whether it holds everything. `holds` follows what is done."""

        def begin(name: str) -> None:
            holds[name] = ""  # half of it may be there, to be dropped also if the MASTER has it no more

        def done(name: str) -> None:
            holds[name] = digests[name]

        loaded = Loaded(dict(holds), begin, done, lambda: self.clock.now() < self.until, accounts=False)
        try:
            work.restore(dumps, work.dataset, loaded)
        except LoadPaused:
            return False
        for name in holds.keys() - digests.keys():
            del holds[name]
        return True


def _make_anew(document: MariadbInstance | PostgresqlCluster, instance: str, directory: Path, user: str) -> None:
    """Make an empty data directory in the place of one; old or new, never half. Raise RestoreFailed or OSError."""
    new = directory.with_name(f"{directory.name}.hotsync-new")
    trees.remove(new)
    old = directory.stat()
    new.mkdir(mode=0o700)
    os.chown(new, old.st_uid, old.st_gid)
    if isinstance(document, MariadbInstance):
        mariadb_make.fill_directory(document, instance, new, user)
    else:
        postgresql_cluster.fill_directory(document, instance, new, user)
    new.chmod(old.st_mode & 0o7777)
    files.sync_filesystem(new)
    files.rename_exchange(str(new), str(directory))
    trees.remove(new)


def hand_over(paths: Paths, engine: str, instance: str, epoch: int) -> None:
    """Before a promotion starts a server: end the waiting one, and note whether its files are as it left them."""
    name = f"{engine}/{instance}"
    server = load_warm(paths).get(name)
    if server is None:
        return
    waiting_servers.stop(paths, f"{engine}@{instance}")
    if server.handed_over == epoch:
        return
    if _untouched(server, Path(server.directory)):
        note_warm(paths, name, replace(server, handed_over=epoch))
    else:
        _log.warning("%s was touched since it was loaded beforehand: all of it is loaded again", name)
        note_warm(paths, name, None)


def handed_over(paths: Paths, dataset: Dataset, epoch: int) -> Loaded:
    """Given a server of production that runs, return what it held when this promotion started it."""
    server = load_warm(paths).get(dataset.name)
    if server is None or server.handed_over != epoch:
        return Loaded()
    if server.directory not in {os.path.realpath(place) for place in dataset.directories}:
        _log.warning("%s keeps its files elsewhere than where they were loaded beforehand", dataset.name)
        return Loaded()
    _log.info("%s: loaded beforehand: %s", dataset.name, ", ".join(map(repr, sorted(server.databases))))
    return Loaded(dict(server.databases))
