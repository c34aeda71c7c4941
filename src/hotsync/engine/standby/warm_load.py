"""Loads what is new of one server's dumps on a waiting SLAVE, into a confined server that runs only for that."""

from __future__ import annotations

import logging
import os
import pwd
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from hotsync.backends import waiting_servers
from hotsync.backends.waiting_servers import WaitingServer
from hotsync.engine.promotion.room import free_at
from hotsync.engine.standby.warm import Collected, document_of, hindrance_of, other_form
from hotsync.engine.standby.warm_room import reserve_at, room_lacking, watched
from hotsync.errors import CommandFailed, HotSyncError, RestoreFailed
from hotsync.model.warm import WarmLoad, WarmServer
from hotsync.replica.layout import Layout
from hotsync.replica.pin import pinned
from hotsync.sources import documents
from hotsync.sources.documents import MariadbInstance
from hotsync.sources.mariadb import load as mariadb_load
from hotsync.sources.mariadb import make as mariadb_make
from hotsync.sources.mariadb import waiting as mariadb_waiting
from hotsync.sources.postgresql import cluster as postgresql_cluster
from hotsync.sources.postgresql import load as postgresql_load
from hotsync.sources.postgresql import waiting as postgresql_waiting
from hotsync.sources.source import Dataset, Loaded, LoadPaused
from hotsync.state.warm import load_warm, note_warm, untouched
from hotsync.system import files, trees
from hotsync.system.clock import Clock
from hotsync.system.paths import Paths

_ONLY_WAITING = re.compile(
    r"preload|Unknown storage engine|lacks that storage engine|ERROR (?:1286|1429|1434)\b"
    r"|could not (?:connect to server|translate host name)"
    r"|ERROR (?:1053|2002|2003|2006|2013)\b|server closed the connection|terminating connection|database system is"
)
"""What is said by a server that lacks only what the one of production has (preloaded libraries, plugins, a network), or
that ended meanwhile: nothing is known of the dump then."""
_ROOM_HINT = "Make room there; until then a promotion loads it, which takes it longer."
_log = logging.getLogger("hotsync.warm")


@dataclass(frozen=True, slots=True)
class _Work:
    """One load: the server that waits, how it is reached, what loads a dump into it, what names this SLAVE's own
    databases in it, what says whether a data directory holds none at all, and in words what of the form of the files
    here is not as the MASTER's."""

    server: WaitingServer
    dataset: Dataset
    restore: Callable[[Path, Dataset, Loaded], str]
    own: Callable[[], tuple[str, ...]]
    is_fresh: Callable[[Path], bool]
    other_form: Callable[[], str]


@dataclass(slots=True)
class WarmDatabases:
    """The servers of this SLAVE while they are loaded beforehand; `until` is when no further database is begun."""

    paths: Paths
    clock: Clock
    until: float
    _refused: dict[str, RestoreFailed] = field(default_factory=dict[str, RestoreFailed])
    _short: dict[str, int] = field(default_factory=dict[str, int])

    def refuses(self, wanted: WarmLoad, error: Exception) -> bool:
        """Given what a load raised, return whether the server refuses the dumps, as that of production will."""
        return self._refused.get(wanted.name) is error and not _ONLY_WAITING.search(str(error))

    def load(self, wanted: WarmLoad) -> bool:
        """Load what lacks of one server's dumps into its waiting server; return whether it holds everything then.

        Whatever comes of it, what it holds is written down once it was stopped. Raise HotSyncError or OSError.
        """
        path = f"var/lib/hotsync/spool/{wanted.engine}/{wanted.instance}"
        name = f"{wanted.engine}-{wanted.instance}"
        with pinned(Layout(self.paths.replica), self.paths.replica_lock, path, name) as dumps:
            document = document_of(dumps, wanted.engine)
            directory = Path(os.path.realpath(wanted.directory))
            # it may be of a newer generation than the one that was looked at before
            if said := hindrance_of(self.paths, document, wanted.instance, directory):
                raise RestoreFailed(dataset=wanted.name, reason=said, hint="The next run of hotsync-slave looks again.")
            before = load_warm(self.paths).get(wanted.name)
            as_left = before is not None and untouched(before, directory)
            good = before is not None and as_left and before.settings == document.settings
            holds = dict(before.databases) if before is not None and good else {}
            known = before if before is not None and before.directory == str(directory) else None
            work = self._work(wanted, document, directory, dumps)
            # from here on, and until it was stopped in good order, nobody knows what it holds but of this SLAVE's own
            server = WarmServer(str(directory), settings=document.settings, own=known.own if known else None)
            note_warm(self.paths, wanted.name, server)
            if self._start(work, wanted, document, server.own, as_left=as_left):
                holds = {}
            try:
                server = replace(server, own=work.own())
                note_warm(self.paths, wanted.name, server)
                if self._fill_watched(work, wanted, dumps, holds, documents.digests(document)):
                    server = replace(server, digest=document.digest)
            finally:
                waiting_servers.stop(self.paths, work.server.name)
                short = self._short.pop(wanted.name, 0)
                server = replace(server, fingerprint=trees.fingerprint(directory), databases=holds, short=short)
                note_warm(self.paths, wanted.name, server)
        return bool(server.digest)

    def _fill_watched(
        self, work: _Work, wanted: WarmLoad, dumps: Path, holds: dict[str, str], digests: Mapping[str, str]
    ) -> bool:
        """Load as `_fill` does, if there is room, and as long as there is; nothing half stays of what fails."""
        directory = work.server.writes[0]
        if room_lacking(self.paths, directory, wanted.bytes_left):
            self._drop_halves(work, dumps, holds, digests)
            if lacking := room_lacking(self.paths, directory, wanted.bytes_left):
                raise RestoreFailed(dataset=wanted.name, reason=lacking, hint=_ROOM_HINT)
        free = free_at(directory)
        end = partial(waiting_servers.stop, self.paths, work.server.name)
        with watched(directory, reserve_at(self.paths, directory), end) as watch:
            try:
                return self._fill(work, dumps, holds, digests)
            except (RestoreFailed, CommandFailed, OSError) as error:
                failed = error
        try:
            waiting_servers.start(self.paths, work.server)  # it may be gone
            self._drop_halves(work, dumps, holds, digests)
        except (HotSyncError, OSError) as error:
            _log.warning("what is half loaded of %s stays: %s", wanted.name, error)
        if watch.short:
            self._short[wanted.name] = free
            said = f"{directory} lacks room: the load was ended before it filled the disk"
            raise RestoreFailed(dataset=wanted.name, reason=said, hint=_ROOM_HINT) from failed
        raise failed

    def _drop_halves(self, work: _Work, dumps: Path, holds: dict[str, str], digests: Mapping[str, str]) -> None:
        """Drop of the MASTER's databases what nobody knows to be whole, and load nothing."""
        loaded = Loaded(dict(holds), accounts=False, without=frozenset(digests))
        work.restore(dumps, work.dataset, loaded)
        for name in [name for name, digest in holds.items() if not digest or name not in digests]:
            del holds[name]

    def _start(
        self, work: _Work, wanted: WarmLoad, document: Collected, own: tuple[str, ...] | None, *, as_left: bool
    ) -> bool:
        """Start the server; return whether its data directory had to be made anew for that.

        That is so where the MASTER's settings changed, and done only where nothing of this SLAVE's own is lost: a
        server that would start is asked first what it holds, unless that is known since nobody has touched it.
        """
        directory = work.server.writes[0]
        why = work.other_form() if (as_left and own == ()) or work.is_fresh(directory) else ""
        if not why:
            try:
                waiting_servers.start(self.paths, work.server)
            except CommandFailed:
                if not work.is_fresh(directory) if own is None else own:
                    raise
                why = "it does not start with the MASTER's settings"
            else:
                return False
        _log.warning("%s: the data directory here is made anew: %s", wanted.name, why)
        _make_anew(document, wanted.instance, directory, work.server.user)
        waiting_servers.start(self.paths, work.server)
        return True

    def _work(self, wanted: WarmLoad, document: Collected, directory: Path, dumps: Path) -> _Work:
        folder = waiting_servers.folder_of(self.paths, f"{wanted.engine}@{wanted.instance}")
        user = pwd.getpwuid(directory.stat().st_uid).pw_name
        if user == "root":
            raise RestoreFailed(dataset=wanted.name, reason=f"{directory} belongs to root")
        if isinstance(document, MariadbInstance):
            server = mariadb_waiting.server_of(document, wanted.instance, directory, user, folder)
            dataset = mariadb_waiting.dataset_of(wanted.instance, folder)
            own = partial(mariadb_waiting.own_databases, dataset, document)
            return _Work(server, dataset, mariadb_load.restore, own, mariadb_waiting.is_fresh, str)
        server = postgresql_waiting.server_of(wanted.instance, directory, user, folder)
        dataset = postgresql_waiting.dataset_of(wanted.instance, user, folder, dumps)
        postgresql_load.check_confined(dumps, dataset, document)
        own = partial(postgresql_waiting.own_databases, dataset, document)
        other = partial(other_form, directory, document, wanted.instance)
        return _Work(server, dataset, postgresql_load.restore, own, postgresql_waiting.is_fresh, other)

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
        except RestoreFailed as error:
            self._refused[work.dataset.name] = error
            raise
        for name in holds.keys() - digests.keys():
            del holds[name]
        return True


def _make_anew(document: Collected, instance: str, directory: Path, user: str) -> None:
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
