"""The standbys of a waiting SLAVE: PostgreSQL clusters that follow the MASTER's change by change, through its streams.

A standby runs on the very data directory that production will use. A promotion takes it over if it holds at least what
the last dump holds; else it is given up, and the dump is loaded as it is without streaming.
"""

from __future__ import annotations

import logging
import os
import pwd
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from hotsync.backends import waiting_servers
from hotsync.engine.loads import GROWTH, data_folder
from hotsync.engine.master_facts import read_told, spool_of_tree
from hotsync.engine.room import free_at
from hotsync.errors import CommandFailed, RestoreFailed
from hotsync.model.identity import Role
from hotsync.model.promotion import DatabaseDump
from hotsync.model.standby import StandbyFacts, StandbyShown
from hotsync.sources import documents, postgresql
from hotsync.sources.documents import CLUSTER, PostgresqlCluster
from hotsync.sources.postgresql_cluster import has_server, this_platform
from hotsync.sources.postgresql_fitness import Side, divergence, fitness, lacks_settings
from hotsync.sources.postgresql_seed import fresh_folder, give_up, needs_seed, read_upstream, seed
from hotsync.sources.postgresql_standby import Standby, holds, promote, read_control, read_standing, server_of
from hotsync.state.store import load_role
from hotsync.state.streamed import note_taken_over, taken_over_at
from hotsync.system.clock import Clock, SystemClock
from hotsync.system.paths import Paths
from hotsync.transport.presence import load_presence

_log = logging.getLogger("hotsync.streaming")
_NAME = re.compile(r"[0-9]{1,2}(\.[0-9])?-[A-Za-z0-9_][A-Za-z0-9_.-]{0,47}")
_OWNER = "postgres"
_CATCH_UP_SECONDS = 1.0
_CATCH_UP_LOOKS = 15
_COMES_BACK_SECONDS = 2.0
_COMES_BACK_LOOKS = 15
_STREAMED_NO_MORE = "the MASTER streams it no more"


def standby_of(paths: Paths, dump: DatabaseDump) -> Standby | None:
    """Given a dump, return where the standby of its server is, or would be; None if it can have none.

    Only a server of the MASTER's own major version can follow it.
    """
    if dump.engine != postgresql.NAME or not _NAME.fullmatch(dump.instance) or dump.served_by != dump.instance:
        return None
    data = Path(os.path.realpath(paths.at(data_folder(paths.replica / "tree", dump))))
    try:
        user = pwd.getpwuid(data.stat().st_uid).pw_name
    except (OSError, KeyError):
        user = _OWNER
    folder = waiting_servers.folder_of(paths, f"{postgresql.NAME}@{dump.instance}")
    return Standby(dump.instance, _OWNER if user == "root" else user, data, paths.streams / dump.instance, folder)


def is_standby(paths: Paths, dump: DatabaseDump) -> bool:
    """Return whether what lies in a server's place is a copy of ours, which no dump is loaded into."""
    standby = standby_of(paths, dump)
    return standby is not None and standby.is_ours


def read_standbys(paths: Paths, dumps: Iterable[DatabaseDump]) -> tuple[StandbyFacts, ...]:
    """Given the dumps of the last generation, return the clusters that are streamed, and what is to be done."""
    return tuple(_facts(paths, standby) for standby in _known(paths, dumps))


def _known(paths: Paths, dumps: Iterable[DatabaseDump]) -> Iterator[Standby]:
    for dump in dumps:
        standby = standby_of(paths, dump)
        if standby is not None and (standby.offered or standby.is_ours):
            yield standby


def _facts(paths: Paths, standby: Standby) -> StandbyFacts:
    runs, offered, said = waiting_servers.is_active(standby.server), standby.offered, ""
    if runs:
        said = waiting_servers.said(standby.server)
        runs = not lacks_settings(said)
    try:
        document = _document(paths, standby)
    except RestoreFailed as error:
        return StandbyFacts(standby.instance, offered, runs, hindrance=error.sentence)
    hindrance = _hindrance(standby, document)
    if hindrance:
        return StandbyFacts(standby.instance, offered, runs, "", hindrance, hindrance if standby.is_ours else "")
    try:
        upstream = read_upstream(standby) if offered else None
    except (CommandFailed, ValueError) as error:
        # it may be about to start; the copy that is here goes on
        _log.info("the MASTER's %s does not answer: %s", standby.name, error)
        offered, upstream = False, None
    over = _STREAMED_NO_MORE if runs and _is_left_behind(paths, standby, document) else ""
    return StandbyFacts(standby.instance, offered, runs, needs_seed(standby, upstream, divergence(said)), over=over)


def _hindrance(standby: Standby, document: PostgresqlCluster) -> str:
    here = Side(standby.version, this_platform()) if has_server(standby.version) else None
    return fitness(Side(standby.version, document.platform), here, document.tablespaces)


def _is_left_behind(paths: Paths, standby: Standby, document: PostgresqlCluster) -> bool:
    """Return whether the MASTER, which is there, streams no more, so that its dumps are newer than the copy."""
    if standby.offered or not standby.is_ours or not load_presence(paths).connected:
        return False
    return not _holds_all(standby, document)


def _holds_all(standby: Standby, document: PostgresqlCluster) -> bool:
    try:
        identifier = read_control(standby).system_identifier
        return holds(document.position, identifier, read_standing(standby).replayed)
    except (CommandFailed, ValueError):
        return False


def tend(paths: Paths, dumps: Iterable[DatabaseDump], instance: str) -> None:
    """Do what is to be done about one cluster: copy, start, or give up; raise HotSyncError or OSError."""
    for standby in _known(paths, dumps):
        if standby.instance != instance:
            continue
        facts = _facts(paths, standby)
        if not facts.to_do:
            return
        if facts.over == _STREAMED_NO_MORE and _comes_back(standby):
            return
        if facts.over:
            waiting_servers.stop(paths, standby.server)
            give_up(standby)
            return
        if facts.copy_because:
            waiting_servers.stop(paths, standby.server)
            _copy(paths, standby)
        _start(paths, standby)


def _comes_back(standby: Standby) -> bool:
    """Return whether the MASTER streams again in a moment: its daemon may only be started anew."""
    for _ in range(_COMES_BACK_LOOKS):
        if standby.offered:
            return True
        SystemClock().sleep(_COMES_BACK_SECONDS)
    return standby.offered


def start_all(paths: Paths) -> None:
    """Start the standbys that do not run, unless a promotion has begun; one that fails is logged."""
    role = load_role(paths)
    if role.role is not Role.SLAVE or role.claim is not None:
        return
    for standby in _known(paths, read_told(paths).dumps):
        if standby.is_ours and not waiting_servers.is_active(standby.server):
            try:
                _start(paths, standby)
            except (CommandFailed, RestoreFailed, OSError) as error:
                _log.warning("the standby of %s does not start: %s", standby.name, error)


def give_up_all(paths: Paths) -> None:
    """End all standbys and remove the copies: HotSync leaves this SLAVE; raise CommandFailed or OSError."""
    for standby in _known(paths, read_told(paths).dumps):
        waiting_servers.stop(paths, standby.server)
        give_up(standby)


def _copy(paths: Paths, standby: Standby) -> None:
    document = _document(paths, standby)
    needed = int(sum(file.size for file in document.files) * GROWTH)
    place = next(folder for folder in standby.data.parents if folder.is_dir())
    if free_at(place) < needed:
        reason = f"{place} lacks room: {needed / 2**20:.0f} MiB are needed beside what is there"
        raise RestoreFailed(dataset=standby.name, reason=reason)
    name = f"seed-{standby.server}"
    waiting_servers.stop(paths, name)  # of a run that was cut

    def run(argv: list[str]) -> None:
        waiting_servers.run_tool(name, standby.user, fresh_folder(standby), standby.environment, argv)

    seed(standby, run)


def _start(paths: Paths, standby: Standby) -> None:
    try:
        waiting_servers.start(paths, server_of(standby))
    except ValueError as error:
        raise RestoreFailed(dataset=standby.name, reason=str(error)) from error


def _document(paths: Paths, standby: Standby) -> PostgresqlCluster:
    return documents.load(spool_of_tree(paths) / postgresql.NAME / standby.instance / CLUSTER, PostgresqlCluster)


def shown(paths: Paths, dumps: Iterable[DatabaseDump], now: float) -> tuple[StandbyShown, ...]:
    """Return how far each standby is, for the status."""
    found: list[StandbyShown] = []
    difference = load_presence(paths).clock_difference
    for standby in _known(paths, dumps):
        if not standby.is_ours:
            continue
        try:
            standing = read_standing(standby)
        except (CommandFailed, ValueError):
            found.append(StandbyShown(standby.name, fault="its standby does not run: run hotsync-slave"))
            continue
        # whether the MASTER is there shows in the peer's line
        found.append(StandbyShown(standby.name, standing.as_of, standing.lag(now, difference)))
    return tuple(found)


def take_over(paths: Paths, dump: DatabaseDump, epoch: int, clock: Clock) -> bool:
    """In a promotion, before a server of production starts: make its standby a server of its own; return whether it is.

    One that lacks what the last dump holds is given up, and so is one that does not start. Doing it again is fine.
    Raise RestoreFailed, CommandFailed or OSError.
    """
    standby = standby_of(paths, dump)
    if standby is None:
        return False
    begun = taken_over_at(paths, dump.name) == epoch
    if not standby.is_ours:
        waiting_servers.stop(paths, standby.server)
        if begun and not (standby.data / "PG_VERSION").is_file():
            # somebody has moved it away, as the hint of what failed says
            note_taken_over(paths, dump.name, 0)
            return False
        return begun
    if not begun and not _catch_up(paths, standby, clock):
        _log.warning("the standby of %s lacks what the last dump holds: the dump is loaded", dump.name)
        waiting_servers.stop(paths, standby.server)
        give_up(standby)
        return False
    if begun and not waiting_servers.is_active(standby.server):
        _start(paths, standby)
    note_taken_over(paths, dump.name, epoch)
    try:
        promote(standby)
    except RestoreFailed as error:
        hint = f"Run the same command again; or move {standby.data} away first: then the last dump is loaded."
        raise RestoreFailed(hint=hint, **error.facts) from error
    waiting_servers.stop(paths, standby.server)
    return True


def _catch_up(paths: Paths, standby: Standby, clock: Clock) -> bool:
    """Return whether a standby holds what the last dump holds, after it applied what it has received."""
    try:
        document = _document(paths, standby)
        if not waiting_servers.is_active(standby.server):
            _start(paths, standby)
    except (RestoreFailed, CommandFailed) as error:
        _log.warning("the standby of %s cannot be used: %s", standby.name, error)
        return False
    for _ in range(_CATCH_UP_LOOKS):
        if _holds_all(standby, document):
            return True
        clock.sleep(_CATCH_UP_SECONDS)
    return False


def was_taken_over(paths: Paths, dump: DatabaseDump, epoch: int) -> bool:
    """Return whether the server of a dump was a standby that this promotion took over: then nothing is loaded."""
    return taken_over_at(paths, dump.name) == epoch and not is_standby(paths, dump)
