"""A streamed PostgreSQL cluster on the SLAVE: a physical standby, copied through the stream (0086)."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from hotsync.backends import waiting_servers
from hotsync.engine.promotion.loads import GROWTH
from hotsync.engine.promotion.master_facts import spool_of_tree
from hotsync.engine.promotion.room import free_at
from hotsync.engine.standby.place import OfStandby, data_of
from hotsync.errors import CommandFailed, RestoreFailed
from hotsync.model.promotion import DatabaseDump
from hotsync.model.standby import StandbyFacts, StandbyShown
from hotsync.sources import documents
from hotsync.sources.documents import CLUSTER, PostgresqlCluster
from hotsync.sources.postgresql import source as postgresql
from hotsync.sources.postgresql.cluster import detail, has_server, this_platform
from hotsync.sources.postgresql.fitness import Side, divergence, fitness, lacks_settings
from hotsync.sources.postgresql.seed import fresh_folder, give_up, kept_beside, needs_seed, read_upstream, seed
from hotsync.sources.postgresql.standby import (
    OWNER,
    Standby,
    Standing,
    holds,
    promote,
    read_control,
    read_standing,
    server_of,
    upstream_socket,
)
from hotsync.system.paths import Paths

_log = logging.getLogger("hotsync.streaming")
_NAME = re.compile(r"[0-9]{1,2}(\.[0-9])?-[A-Za-z0-9_][A-Za-z0-9_.-]{0,47}")


def follower_of(paths: Paths, dump: DatabaseDump) -> PostgresqlFollower | None:
    """Given a cluster's dump, return where its standby is, or would be; None if it can have none.

    Only a server of the MASTER's own major version can follow it, and only a cluster of pg_lsclusters.
    """
    if dump.directory or not _NAME.fullmatch(dump.instance) or dump.served_by != dump.instance:
        return None
    data, user = data_of(paths, dump, OWNER)
    folder = waiting_servers.folder_of(paths, f"{postgresql.NAME}@{dump.instance}")
    upstream = upstream_socket(paths, dump.instance).parent
    return PostgresqlFollower(paths, Standby(dump.instance, OWNER if user == "root" else user, data, upstream, folder))


@dataclass(frozen=True, slots=True)
class PostgresqlFollower(OfStandby[Standby]):
    """What `standbys.Follower` asks, of a cluster."""

    @property
    def has_data(self) -> bool:
        """Return whether a server's files lie in its place."""
        return (self.standby.data / "PG_VERSION").is_file()

    def facts(self) -> StandbyFacts:
        """Return how it is, and what is to be done."""
        return replace(self._facts(), beside=tuple(map(str, kept_beside(self.standby.data))))

    def _facts(self) -> StandbyFacts:
        standby = self.standby
        runs, offered, said = waiting_servers.is_active(standby.server), standby.offered, ""
        if runs:
            said = waiting_servers.said(standby.server)
            runs = not lacks_settings(said)
        try:
            document = self._document()
        except RestoreFailed as error:
            return StandbyFacts(standby.name, offered, runs, hindrance=error.sentence)
        hindrance = self._hindrance(document)
        if hindrance:
            return StandbyFacts(standby.name, offered, runs, "", hindrance, hindrance if standby.is_ours else "")
        replayed = self._replayed() if runs and offered else ""
        try:
            upstream = read_upstream(standby) if offered else None
        except (CommandFailed, ValueError) as error:
            # it may be about to start; the copy that is here goes on
            _log.info("the MASTER's %s does not answer: %s", standby.name, error)
            if not standby.is_ours:
                hindrance = f"the MASTER's server refuses it: {detail(error)}"
                return StandbyFacts(standby.name, offered, runs, hindrance=hindrance)
            offered, upstream = False, None
        return StandbyFacts(standby.name, offered, runs, needs_seed(standby, upstream, divergence(said), replayed))

    def _replayed(self) -> str:
        try:
            return read_standing(self.standby).replayed
        except (CommandFailed, ValueError):
            return ""

    def _hindrance(self, document: PostgresqlCluster) -> str:
        version = self.standby.version
        here = Side(version, this_platform()) if has_server(version) else None
        return fitness(Side(version, document.platform), here, document.tablespaces)

    def holds_all(self) -> bool:
        """Return whether a standby that runs holds everything that the last dump holds."""
        try:
            return self._holds(read_standing(self.standby))
        except (CommandFailed, ValueError):
            return False

    def _holds(self, standing: Standing) -> bool:
        try:
            identifier = read_control(self.standby).system_identifier
            return holds(self._document().position, identifier, standing.replayed)
        except (CommandFailed, ValueError, RestoreFailed):
            return False

    def can_hold(self) -> bool:
        """Return whether the dump is of the cluster that this is a copy of, and says where in its log it ends."""
        try:
            of, _, lsn = self._document().position.partition(" ")
            return bool(lsn) and of == read_control(self.standby).system_identifier
        except (CommandFailed, ValueError, RestoreFailed):
            return False

    def copy(self, load: Callable[[], None]) -> None:
        """Copy the cluster through the stream; nothing is loaded."""
        del load
        document = self._document()
        needed = int(sum(file.size for file in document.files) * GROWTH)
        place = next(folder for folder in self.standby.data.parents if folder.is_dir())
        if free_at(place) < needed:
            reason = f"{place} lacks room: {needed / 2**20:.0f} MiB are needed beside what is there"
            raise RestoreFailed(dataset=self.name, reason=reason)
        name = f"seed-{self.server}"
        waiting_servers.stop(self.paths, name)  # of a run that was cut

        def run(argv: list[str]) -> None:
            tool = (self.standby.user, fresh_folder(self.standby), self.standby.environment, argv)
            waiting_servers.run_tool(name, *tool)

        seed(self.standby, run)

    def start(self, *, follow: bool = True) -> None:
        """Start the standby."""
        del follow  # it does in any case
        try:
            waiting_servers.start(self.paths, server_of(self.standby))
        except ValueError as error:
            raise RestoreFailed(dataset=self.name, reason=str(error)) from error

    def give_up(self) -> None:
        """Stop the standby and remove the copy."""
        waiting_servers.stop(self.paths, self.server)
        give_up(self.standby)

    def shown(self, now: float, clock_difference: float) -> StandbyShown:
        """Return how far it is; raise CommandFailed or ValueError."""
        standing = read_standing(self.standby)
        return StandbyShown(
            self.name,
            standing.as_of,
            standing.lag(now, clock_difference),
            exact=standing.caught_up,
            position=standing.replayed,
            holds_dump=self._holds(standing),
        )

    def promote(self) -> None:
        """Make a standby that runs a server of its own."""
        promote(self.standby)

    def _document(self) -> PostgresqlCluster:
        folder = spool_of_tree(self.paths) / postgresql.NAME / self.standby.instance
        return documents.load(folder / CLUSTER, PostgresqlCluster)
