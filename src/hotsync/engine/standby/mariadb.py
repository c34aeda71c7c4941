"""A streamed MariaDB server on the SLAVE: a replica, made from the last dump, that follows through a stream (0087)."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from hotsync.backends import waiting_servers
from hotsync.engine.promotion.master_facts import spool_of_tree
from hotsync.engine.standby.place import OfStandby, data_of
from hotsync.errors import CommandFailed, RestoreFailed
from hotsync.model.promotion import DatabaseDump
from hotsync.model.standby import StandbyFacts, StandbyShown
from hotsync.sources import documents
from hotsync.sources.documents import INSTANCE, MariadbInstance
from hotsync.sources.mariadb import source as mariadb
from hotsync.sources.mariadb import standby as replicas
from hotsync.sources.mariadb import waiting as mariadb_waiting
from hotsync.sources.mariadb.client import program
from hotsync.sources.mariadb.login import StreamLogin, load_login
from hotsync.sources.mariadb.positions import Position, covers, parse_position
from hotsync.sources.mariadb.standby import OWNER, Standby, Standing
from hotsync.sources.mariadb.stream import Here, fitness
from hotsync.state.warm import load_warm, note_warm, untouched
from hotsync.system import command, trees
from hotsync.system.paths import Paths

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,47}")
_NO_POSITION = "its last dump does not say where in the binary log it was taken: the next one will"
_UNCLEAN = "it ended in the middle, with tables without transactions"


def follower_of(paths: Paths, dump: DatabaseDump) -> MariadbFollower | None:
    """Given a server's dump, return where its standby is, or would be; None if it can have none."""
    if not _NAME.fullmatch(dump.instance):
        return None
    data, user = data_of(paths, dump, OWNER)
    folder = waiting_servers.folder_of(paths, f"{mariadb.NAME}@{dump.instance}")
    upstream = replicas.upstream_socket(paths, dump.instance)
    return MariadbFollower(paths, Standby(dump.instance, user, data, upstream, folder))


def version_here() -> str:
    """Return the version of the server that is installed here, "" if there is none."""
    try:
        text = command.run([program("mariadbd", "mysqld"), "--version"]).text
    except CommandFailed:
        return ""
    found = re.search(r"Ver (\d+\.\d+\S*)", text)
    return found[1] if found else ""


@dataclass(frozen=True, slots=True)
class MariadbFollower(OfStandby[Standby]):
    """What `standbys.Follower` asks, of a MariaDB server."""

    @property
    def has_data(self) -> bool:
        """Return whether a server's files lie in its place."""
        return replicas.is_server(self.standby)

    def facts(self) -> StandbyFacts:
        """Return how it is, and what is to be done."""
        ours, offered = self.is_ours, self.offered
        runs = ours and waiting_servers.is_active(self.server)
        try:
            document, login = self._document(), self._login()
        except RestoreFailed as error:
            return StandbyFacts(self.name, offered, runs, hindrance=error.sentence)
        hindrance = fitness(document.version, document.cannot_follow, Here(version_here(), self.standby.user), OWNER)
        hindrance = hindrance or mariadb_waiting.hindrance(document, self.standby.instance)
        if hindrance:
            return StandbyFacts(self.name, offered, runs, "", hindrance, hindrance if ours else "")
        position = parse_position(document.position)
        if position is None or login is None:
            if not ours:
                return StandbyFacts(self.name, offered, runs, hindrance=_NO_POSITION)
            return StandbyFacts(self.name, offered, runs)
        if not ours:
            return StandbyFacts(self.name, offered, runs, "there is no copy yet")
        return self._facts_of_ours(position, offered=offered, runs=runs)

    def _facts_of_ours(self, position: Position, *, offered: bool, runs: bool) -> StandbyFacts:
        made_from = self.standby.made_from
        if made_from is None or made_from.server_id != position.server_id:
            return StandbyFacts(self.name, offered, runs, "the MASTER's server was made anew")
        if not runs:
            return StandbyFacts(self.name, offered, runs, _UNCLEAN if self.standby.ended_uncleanly else "")
        try:
            standing = replicas.read_standing(self.standby)
        except (CommandFailed, ValueError):
            return StandbyFacts(self.name, offered, runs=False)  # it follows nobody: start it again
        if standing.apply_error:
            return StandbyFacts(self.name, offered, runs, f"a change could not be applied ({standing.apply_error})")
        if standing.lost:
            # the dump that it was made from would only lead here again
            newer = position != made_from
            return StandbyFacts(self.name, offered and newer, runs, "the MASTER has not kept what is missing here")
        return StandbyFacts(self.name, offered, standing.applies and (standing.connected or not offered))

    def holds_all(self) -> bool:
        """Return whether a standby that runs holds everything that the last dump holds."""
        try:
            return self._holds(replicas.read_standing(self.standby))
        except (CommandFailed, ValueError):
            return False

    def _holds(self, standing: Standing) -> bool:
        wanted = self._wanted(standing)
        return wanted is not None and covers(standing.applied, wanted.gtids)

    def can_hold(self) -> bool:
        """Return whether the dump is of the server that this follows, and what it lacks has come, or may still."""
        try:
            standing = replicas.read_standing(self.standby)
            wanted = self._wanted(standing)
        except (CommandFailed, ValueError):
            return False
        return wanted is not None and (standing.connected or covers(standing.received, wanted.gtids))

    def _wanted(self, standing: Standing) -> Position | None:
        """Return where the last dump was taken; None if it is of another server, or nothing of it can come any more."""
        try:
            position, made_from = parse_position(self._document().position), self.standby.made_from
        except RestoreFailed:
            return None
        if position is None or made_from is None or made_from.server_id != position.server_id:
            return None
        return None if standing.lost or standing.apply_error else position

    def copy(self, load: Callable[[], None]) -> None:
        """Make the copy from the last dump: `load` loads it beforehand, as far as it can now."""
        if self.is_ours:
            self.give_up()
        load()
        document, warm = self._document(), load_warm(self.paths).get(self.name)
        position = parse_position(document.position)
        if document.not_transactional:
            reason = f"its dump did not hold still {', '.join(document.not_transactional[:5])}; the next one may"
            raise RestoreFailed(dataset=self.name, reason=reason)
        if document.older:
            reason = (
                f"its last dump has only an older copy of {', '.join(document.older[:5])}: the next one may be whole"
            )
            raise RestoreFailed(dataset=self.name, reason=reason)
        held = warm is not None and warm.digest == document.digest and untouched(warm, self.data)
        if warm is None or not held or position is None:
            return  # what hinders the load is told by the load
        # from here on nobody knows which dump it holds
        unknown = dict.fromkeys(warm.databases, "")
        note_warm(self.paths, self.name, replace(warm, fingerprint="", digest="", databases=unknown))
        self._start_server(document)
        replicas.begin_at(self.standby, position)

    def start(self, *, follow: bool = True) -> None:
        """Start the standby, and let it follow the MASTER."""
        login = self._login() if follow else None
        if follow and login is None:
            raise RestoreFailed(dataset=self.name, reason="the MASTER has not told how to log in")
        if not waiting_servers.is_active(self.server):
            replicas.note_unclean_end(self.standby)
            self._start_server(self._document())
        try:
            if login is not None:
                replicas.check_clean(self.standby)
                replicas.follow(self.standby, login)
        except (RestoreFailed, CommandFailed, OSError, ValueError):
            waiting_servers.stop(self.paths, self.server)
            raise

    def _start_server(self, document: MariadbInstance) -> None:
        waiting_servers.start(self.paths, replicas.server_of(self.standby, document))

    def give_up(self) -> None:
        """Stop the standby; what it holds is then as little known as it is, and is loaded again where it is needed."""
        if not self.is_ours:
            waiting_servers.stop(self.paths, self.server)
            return
        warm = load_warm(self.paths).get(self.name)
        names = set(warm.databases) if warm is not None else set[str]()
        if warm is not None and warm.own is not None and waiting_servers.is_active(self.server):
            with suppress(CommandFailed):  # those of the dump are known
                names |= replicas.databases_in(self.standby) - set(warm.own)
        waiting_servers.stop(self.paths, self.server)
        replicas.give_up(self.standby)
        if warm is not None:
            unknown = dict.fromkeys(sorted(names), "")
            left = replace(warm, fingerprint=trees.fingerprint(self.data), digest="", databases=unknown)
            note_warm(self.paths, self.name, left)

    def shown(self, now: float, clock_difference: float) -> StandbyShown:
        """Return how far it is; raise CommandFailed or ValueError."""
        standing = replicas.read_standing(self.standby)
        as_of = standing.as_of(now, clock_difference)
        fault = standing.apply_error or standing.receive_error[1]
        return StandbyShown(
            self.name,
            as_of,
            0.0 if fault else max(0.0, now + clock_difference - as_of),
            f"it does not follow the MASTER: {fault}" if fault else "",
            position=self._place(standing),
            holds_dump=self._holds(standing),
        )

    def _place(self, standing: Standing) -> str:
        made_from = self.standby.made_from
        return str(replace(made_from, gtids=standing.applied)) if made_from is not None else ""

    def promote(self) -> None:
        """Make a standby that runs a server of its own."""
        replicas.promote(self.standby, self._document().events)

    def _folder(self) -> Path:
        return spool_of_tree(self.paths) / mariadb.NAME / self.standby.instance

    def _document(self) -> MariadbInstance:
        return documents.load(self._folder() / INSTANCE, MariadbInstance)

    def _login(self) -> StreamLogin | None:
        return load_login(self._folder())
