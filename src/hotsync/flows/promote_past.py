"""A promotion with an older generation: looked at as if it were the newest, and made the newest right before the claim.

Nothing is changed before the unit runs. There the older generation becomes the newest one, and the promotion goes on as
any other; if that is refused before the claim, what was the newest is the newest again. Cut in between, a document
tells it: no later promotion takes old data for the MASTER's newest.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from hotsync.engine.open_replica import open_replica
from hotsync.engine.promotion.ground import Ground
from hotsync.engine.promotion.master_facts import read_told
from hotsync.engine.promotion.undone import undone_by
from hotsync.engine.standby import standbys
from hotsync.engine.watch import mail_folders
from hotsync.errors import HotSyncError, NotPromotable, Refused
from hotsync.flows.history import number_of
from hotsync.flows.undoing import refuse_if_undoing
from hotsync.model.generation import Generation
from hotsync.model.identity import Role
from hotsync.model.loss import LossStatement
from hotsync.model.promotion import Back
from hotsync.planning.preflight import PreflightFacts, refuse
from hotsync.replica.history import History
from hotsync.replica.layout import Layout
from hotsync.replica.pin import pin_past, unpin
from hotsync.replica.store import Replica
from hotsync.state import back as document
from hotsync.state.loss import save_loss
from hotsync.state.promotion import claimed_promotion, unfinished_promotion
from hotsync.state.store import load_role
from hotsync.system.clock import Clock
from hotsync.system.paths import Paths

_PIN = "past-"
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Past:
    """An older generation, the MASTER's newest, and the number under which it is promoted; what differs from what is
    the newest here (paths, bytes that are copied, paths that the replica has lost), and what that undoes."""

    wanted: Generation
    newest: Generation
    becomes: int
    changes: int
    bytes: int
    lost: int
    undone: LossStatement

    @property
    def generation(self) -> Generation:
        """Return the one that will be made of it: of its moment, and nobody has confirmed it since."""
        return replace(self.wanted, confirmed_at=self.wanted.committed_at)

    @property
    def back(self) -> Back:
        """Return what a promotion remembers of it."""
        wanted, newest = self.wanted, self.newest
        return Back(wanted.number, wanted.collected_at, newest.number, newest.digest, newest.collected_at)


@dataclass(frozen=True, slots=True)
class PastPaths(Paths):
    """The places of this host, with its replica as it was: to plan on, never to write to."""

    view: Path = Path()

    @property
    def replica(self) -> Path:
        """Where the older generation can be looked at."""
        return self.view


def cut_before(paths: Paths, newest: Generation | None) -> Back | None:
    """Given the newest generation here, return of what it was made, for a promotion that did not claim or was undone;
    None if it is the MASTER's own."""
    role, mark = load_role(paths), document.load_back(paths)
    if newest is None or mark is None or role.role is not Role.SLAVE or unfinished_promotion(paths, role) is not None:
        return None
    return mark if mark.is_of(newest) else None


def look_back(paths: Paths, clock: Clock, moment: str) -> Past | None:
    """Given a generation's number or a local time, return what promoting it means, None if it is the MASTER's newest.

    Raise UsageError if it is neither, or is not held; Refused or WrongRole where nothing may be promoted, ReplicaError
    if the replica cannot be read.
    """
    refuse_if_undoing(paths)
    role = load_role(paths)
    refuse(PreflightFacts(role, generation=int(paths.manifest.exists()), slave_ran=True), force=True)
    if unfinished_promotion(paths, role) is not None:
        raise Refused(
            reason="a promotion has begun already, with the generation that it was begun with",
            hint="Run hotsync-promote without --at to go on with it.",
        )
    replica = open_replica(paths, clock)
    with replica.hold():
        held = replica.generations()
        number = number_of(held, moment)
        mark = cut_before(paths, held[-1])
        if mark is None and number == held[-1].number:
            return None
        counted = replica.count_back(number)
        newest = _numbered(held, mark.newest) if mark else held[-1]
        wanted = _numbered(held, number)
        undone = undone_by(replica, wanted, newest, mail_folders(Ground(paths).profiles))
        if mark is not None and _is_made_of(wanted, held[-1]):
            return Past(wanted, newest, held[-1].number, 0, 0, counted.lost, undone)
        return Past(wanted, newest, held[-1].number + 1, counted.changes, counted.bytes, counted.lost, undone)


def _is_made_of(wanted: Generation, last: Generation) -> bool:
    """Return whether the newest generation is that one, or was made of it and nothing has touched it since."""
    return (wanted.collected_at, wanted.epoch, wanted.datasets) == (last.collected_at, last.epoch, last.datasets)


def _numbered(held: list[Generation], number: int) -> Generation:
    for generation in held:
        if generation.number == number:
            return generation
    gone = f"generation {number} is not held any more"
    raise NotPromotable(reason=gone, hint="`hotsync history` lists those that are.")


@contextmanager
def viewed(paths: Paths, clock: Clock, past: Past) -> Iterator[Paths]:
    """Return the places of this host as a promotion with an older generation is planned on them; nothing is copied or
    changed. Raise ReplicaError."""
    layout, name = Layout(paths.replica), f"{_PIN}{os.getpid()}"
    drop_views(paths)
    try:
        with open_replica(paths, clock).hold() as opened:
            history = History(opened.layout, opened.manifest, opened.ledger)
            tree = pin_past(layout, history, past.wanted.number, f"{name}/tree")
        yield PastPaths(paths.root, tree.parent)
    finally:
        unpin(layout, name)


def drop_views(paths: Paths) -> None:
    """Take away what commands that were killed have left of their looks."""
    for left in Layout(paths.replica).pins.glob(f"{_PIN}*"):
        if not Path(f"/proc/{left.name.removeprefix(_PIN)}").exists():
            unpin(Layout(paths.replica), left.name)


@contextmanager
def gone_back(paths: Paths, clock: Clock, back: Back, say: Say) -> Iterator[tuple[int, tuple[str, ...]]]:
    """Make an older generation the newest for the block, which promotes it; return its number, and what is to be said.

    If the block fails before it has claimed, what was the newest is the newest again. Database servers that followed
    the MASTER are newer and are given up: they get their dumps. Raise NotPromotable if it is not what was looked at;
    NoSpace, Busy, ReplicaClosed, ReplicaError or CommandFailed.
    """
    replica = open_replica(paths, clock)
    with replica.hold():
        number, notes = _go_back(paths, replica, back, say)
    try:
        yield number, notes
    except HotSyncError:
        if claimed_promotion(paths, load_role(paths)) is None:
            _return(paths, replica, back, say)
        raise


def _go_back(paths: Paths, replica: Replica, back: Back, say: Say) -> tuple[int, tuple[str, ...]]:
    held = replica.generations()
    last, mark = held[-1], cut_before(paths, held[-1])
    seen = (last.number, last.digest) if mark is None else (mark.newest, mark.digest)
    if seen != (back.newest, back.digest):
        raise NotPromotable(
            reason=f"generation {last.number} has arrived since generation {back.wanted} was chosen",
            hint="The MASTER still sends, and nothing was changed. Switch it off, then run hotsync-promote --at again.",
        )
    wanted, newest = _numbered(held, back.wanted), _numbered(held, back.newest)
    save_loss(paths.loss_undone, undone_by(replica, wanted, newest, mail_folders(Ground(paths).profiles)))
    _give_up_standbys(paths, say)
    if mark is not None and _is_made_of(wanted, last):
        return last.number, ()
    say(f"Generation {back.wanted} becomes the newest here, as generation {last.number + 1}")
    if back.wanted != back.newest:
        document.save_back(paths, back)  # before: whoever comes when it is made is to know
    made, notices = replica.go_back(back.wanted)
    if back.wanted == back.newest:
        document.forget_back(paths)
    return made.number, tuple(f"As it is now, not as it was: {notice.sentence}" for notice in notices)


def _give_up_standbys(paths: Paths, say: Say) -> None:
    followed = [dump.name for dump in read_told(paths).dumps if standbys.is_standby(paths, dump)]
    if followed:
        say(f"{', '.join(followed)} followed the MASTER beyond that: given up, its dump is loaded")
    standbys.give_up_all(paths)


def _return(paths: Paths, replica: Replica, back: Back, say: Say) -> None:
    """Make the MASTER's newest generation the newest again; what fails then is said, and stays for a person to do."""
    try:
        with replica.hold():
            if cut_before(paths, replica.generations()[-1]) is None:
                return
            made, _ = replica.go_back(back.newest)
            document.forget_back(paths)
        say(f"Nothing was promoted: generation {back.newest} is the newest again, as generation {made.number}")
    except (HotSyncError, OSError) as error:
        why = error.sentence if isinstance(error, HotSyncError) else str(error)
        say(f"The newest generation here is still of the older data: {why} hotsync-promote --at {back.newest} promotes")
