"""The standbys of a waiting SLAVE: database servers that follow the MASTER's change by change, through its streams.

A standby runs on the very data directory that production will use. A promotion takes it over if it holds at least what
the last dump holds; else it is given up, and the dump is loaded as it is without streaming. What an engine does for
that is in standby_postgresql.py and standby_mariadb.py.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Protocol

from hotsync.backends import waiting_servers
from hotsync.engine.promotion.master_facts import read_told
from hotsync.engine.standby import mariadb as standby_mariadb
from hotsync.engine.standby import postgresql as standby_postgresql
from hotsync.engine.standby.place import Place
from hotsync.errors import CommandFailed, RestoreFailed
from hotsync.model.identity import Role
from hotsync.model.promotion import DatabaseDump
from hotsync.model.standby import StandbyFacts, StandbyShown
from hotsync.sources.mariadb import source as mariadb
from hotsync.sources.postgresql import source as postgresql
from hotsync.state.store import load_role
from hotsync.state.streamed import note_taken_over, taken_over_at
from hotsync.system.clock import Clock, SystemClock
from hotsync.system.paths import Paths
from hotsync.transport.presence import load_presence

_log = logging.getLogger("hotsync.streaming")
_CATCH_UP_SECONDS = 1.0
_CATCH_UP_LOOKS = 15
_COMES_BACK_SECONDS = 2.0
_COMES_BACK_LOOKS = 15
_LONGEST_PLACE = 2000
_STREAMED_NO_MORE = "the MASTER streams it no more"
_DOES_NOT_RUN = "its standby does not run: run hotsync-slave"
_LACKS = "it lacks what the last dump holds"


class Follower(Place, Protocol):
    """One server of the MASTER's that can be followed here. What fails raises RestoreFailed, CommandFailed, OSError."""

    @property
    def has_data(self) -> bool:
        """Return whether a server's files lie in its place."""
        ...

    def facts(self) -> StandbyFacts:
        """Return how it is, and what is to be done; whether the MASTER streams it no more is not asked."""
        ...

    def holds_all(self) -> bool:
        """Return whether a standby that runs holds everything that the last dump holds; False if nobody can tell."""
        ...

    def can_hold(self) -> bool:
        """Return whether it may come to hold all of that by applying what it has received, or still receives."""
        ...

    def copy(self, load: Callable[[], None]) -> None:
        """Make the copy, in the place of an older one; `load` loads the dump beforehand, if it is made from that."""
        ...

    def start(self, *, follow: bool = True) -> None:
        """Start the standby; without `follow` only to end it."""
        ...

    def give_up(self) -> None:
        """Stop the standby, and make what lies there no copy of ours."""
        ...

    def shown(self, now: float, clock_difference: float) -> StandbyShown:
        """Return how far it is; raise CommandFailed or ValueError if it does not say."""
        ...

    def promote(self) -> None:
        """Make a standby that runs a server of its own, all that it received applied; done already is fine."""
        ...


_KINDS: dict[str, Callable[[Paths, DatabaseDump], Follower | None]] = {
    postgresql.NAME: standby_postgresql.follower_of,
    mariadb.NAME: standby_mariadb.follower_of,
}


def follower_of(paths: Paths, dump: DatabaseDump) -> Follower | None:
    """Given a dump, return what follows its server here, or would; None if nothing can."""
    kind = _KINDS.get(dump.engine)
    return kind(paths, dump) if kind is not None else None


def is_standby(paths: Paths, dump: DatabaseDump) -> bool:
    """Return whether what lies in a server's place is a copy of ours, which no dump is loaded into."""
    follower = follower_of(paths, dump)
    return follower is not None and follower.is_ours


def read_standbys(paths: Paths, dumps: Iterable[DatabaseDump]) -> tuple[StandbyFacts, ...]:
    """Given the dumps of the last generation, return the servers that are streamed, and what is to be done."""
    return tuple(_facts(paths, follower) for follower in _known(paths, dumps))


def _known(paths: Paths, dumps: Iterable[DatabaseDump]) -> Iterator[Follower]:
    for dump in dumps:
        follower = follower_of(paths, dump)
        if follower is not None and (follower.offered or follower.is_ours):
            yield follower


def _facts(paths: Paths, follower: Follower) -> StandbyFacts:
    facts = follower.facts()
    if facts.runs and not facts.hindrance and _is_left_behind(paths, follower):
        return replace(facts, over=_STREAMED_NO_MORE)
    return facts


def _is_left_behind(paths: Paths, follower: Follower) -> bool:
    """Return whether the MASTER, which is there, streams no more, so that its dumps are newer than the copy."""
    if follower.offered or not follower.is_ours or not load_presence(paths).connected:
        return False
    return not follower.holds_all()


def _nothing() -> None:
    """Load nothing beforehand."""


def tend(paths: Paths, dumps: Iterable[DatabaseDump], name: str, load: Callable[[], None] = _nothing) -> None:
    """Do what is to be done about one server, by its dataset's name: copy, start, or give up.

    `load` loads its dump beforehand. Raise HotSyncError or OSError.
    """
    for follower in _known(paths, dumps):
        if follower.name != name:
            continue
        facts = _facts(paths, follower)
        if not facts.to_do:
            return
        if facts.over == _STREAMED_NO_MORE and _comes_back(follower):
            return
        if facts.over:
            follower.give_up()
            return
        if facts.copy_because:
            waiting_servers.stop(paths, follower.server)
            follower.copy(load)
        if follower.is_ours:
            follower.start()


def _comes_back(follower: Follower) -> bool:
    """Return whether the MASTER streams again in a moment: its daemon may only be started anew."""
    for _ in range(_COMES_BACK_LOOKS):
        if follower.offered:
            return True
        SystemClock().sleep(_COMES_BACK_SECONDS)
    return follower.offered


def start_all(paths: Paths) -> None:
    """Start the standbys that do not run, unless a promotion has begun; one that fails is logged."""
    role = load_role(paths)
    if role.role is not Role.SLAVE or role.claim is not None:
        return
    for follower in _known(paths, read_told(paths).dumps):
        if follower.is_ours and not waiting_servers.is_active(follower.server):
            try:
                follower.start()
            except (CommandFailed, RestoreFailed, OSError) as error:
                _log.warning("the standby of %s does not start: %s", follower.name, error)


def give_up_all(paths: Paths) -> None:
    """End all standbys and remove the copies: HotSync leaves this SLAVE; raise CommandFailed or OSError."""
    for follower in _known(paths, read_told(paths).dumps):
        follower.give_up()


def shown(paths: Paths, dumps: Iterable[DatabaseDump], now: float) -> tuple[StandbyShown, ...]:
    """Return how far each standby is, for the status and before a promotion; nothing is changed by looking."""
    found: list[StandbyShown] = []
    difference = load_presence(paths).clock_difference
    for follower in _known(paths, dumps):
        if not follower.is_ours:
            continue
        # whether the MASTER is there shows in the peer's line
        found.append(_shown(follower, now, difference))
    return tuple(found)


def applied(paths: Paths) -> dict[str, str]:
    """Return what the replicas have applied that follow without trouble and hold all of the last dump: by server, the
    place in the MASTER's binary log. A PostgreSQL standby tells its MASTER itself."""
    dumps = [dump for dump in read_told(paths).dumps if dump.engine == mariadb.NAME]
    found = shown(paths, dumps, SystemClock().now())
    good = (each for each in found if each.answers and each.holds_dump and not each.fault)
    return {each.name: each.position for each in good if len(each.position) <= _LONGEST_PLACE}


def _shown(follower: Follower, now: float, difference: float) -> StandbyShown:
    try:
        return follower.shown(now, difference)
    except (CommandFailed, ValueError):
        return StandbyShown(follower.name, fault=_DOES_NOT_RUN, answers=False)


Note = Callable[[StandbyShown, str], None]
"""Hears how far a standby is, and why it is given up ("": it is taken over)."""


def _noted_nowhere(*_: object) -> None:
    """Note nothing."""


def take_over(paths: Paths, dump: DatabaseDump, epoch: int, clock: Clock, note: Note = _noted_nowhere) -> bool:
    """In a promotion, before a server of production starts: make its standby a server of its own; return whether it is.

    One that lacks what the last dump holds is given up, and so is one that does not start. `note` hears how far it was
    when that was decided, and why it was given up. Doing it again is fine. Raise RestoreFailed, CommandFailed, OSError.
    """
    follower = follower_of(paths, dump)
    if follower is None:
        return False
    begun = taken_over_at(paths, dump.name) == epoch
    if not follower.is_ours:
        waiting_servers.stop(paths, follower.server)
        if begun and not follower.has_data:
            # somebody has moved it away, as the hint of what failed says
            note_taken_over(paths, dump.name, 0)
            note(StandbyShown(dump.name, answers=False), f"{follower.data} was moved away")
            return False
        return begun
    if not begun:
        why = _catch_up(paths, follower, clock)
        note(_shown(follower, clock.now(), load_presence(paths).clock_difference), why)
        if why:
            _log.warning("the standby of %s is given up, and its dump is loaded: %s", dump.name, why)
            follower.give_up()
            return False
    if begun and not waiting_servers.is_active(follower.server):
        follower.start(follow=False)
    note_taken_over(paths, dump.name, epoch)
    try:
        follower.promote()
    except RestoreFailed as error:
        hint = f"Run the same command again; or move {follower.data} away first: then the last dump is loaded."
        raise RestoreFailed(hint=hint, **error.facts) from error
    waiting_servers.stop(paths, follower.server)
    return True


def _catch_up(paths: Paths, follower: Follower, clock: Clock) -> str:
    """Return why a standby cannot be used, "" if it holds what the last dump holds once what it received is applied.

    However long that takes: what was received may be much (a copy that was just started again begins at its last
    checkpoint), and each look that finds it further on is a reason to wait for the next.
    """
    try:
        if not waiting_servers.is_active(follower.server):
            follower.start()
    except (RestoreFailed, CommandFailed) as error:
        return f"it does not start: {error}"
    place, idle = "", 0
    while idle < _CATCH_UP_LOOKS:
        if follower.holds_all():
            return ""
        if not follower.can_hold():
            return _LACKS
        before, place = place, _shown(follower, clock.now(), 0.0).position
        idle = 0 if place != before else idle + 1
        if idle == 0:
            _log.info("The standby of %s applies what it has received: it is at %s.", follower.name, place)
        clock.sleep(_CATCH_UP_SECONDS)
    return _LACKS


def was_taken_over(paths: Paths, dump: DatabaseDump, epoch: int) -> bool:
    """Return whether the server of a dump was a standby that this promotion took over: then nothing is loaded."""
    return taken_over_at(paths, dump.name) == epoch and not is_standby(paths, dump)
