"""A promotion with an older generation: what it would bring back is told, then it becomes the newest one."""

from __future__ import annotations

from dataclasses import dataclass

from hotsync.engine import standbys
from hotsync.engine.clear_way import end_slave_run
from hotsync.engine.open_replica import open_replica
from hotsync.engine.promotion_ground import Ground
from hotsync.engine.undone import undone_by
from hotsync.engine.watch import mail_folders
from hotsync.flows.history import number_of
from hotsync.flows.promote import Say
from hotsync.model.generation import Generation
from hotsync.model.loss import LossStatement
from hotsync.model.promotion import Back
from hotsync.model.report import Notice
from hotsync.state.loss import save_loss
from hotsync.system import lock
from hotsync.system.clock import Clock
from hotsync.system.paths import Paths


@dataclass(frozen=True, slots=True)
class Past:
    """An older generation, the newest one, what differs (paths, and bytes that are copied), and what that undoes."""

    wanted: Generation
    newest: Generation
    changes: int
    bytes: int
    undone: LossStatement

    @property
    def back(self) -> Back:
        """Return what a promotion remembers of it."""
        wanted, newest = self.wanted, self.newest
        return Back(wanted.number, wanted.collected_at, newest.number, newest.digest, newest.collected_at)


def look_back(paths: Paths, clock: Clock, moment: str) -> Past | None:
    """Given a generation's number or a local time, return what going back to it means, None if it is the newest.

    Raise UsageError if it is neither, or is not held; ReplicaError if the replica cannot be read.
    """
    replica = open_replica(paths, clock)
    with replica.hold():
        held = replica.generations()
        number = number_of(held, moment)
        if number == held[-1].number:
            return None
        back = replica.count_back(number)
        wanted = next(generation for generation in held if generation.number == number)
        undone = undone_by(replica, wanted, held[-1], mail_folders(Ground(paths).profiles))
        return Past(wanted, held[-1], back.changes, back.bytes, undone)


def go_back(paths: Paths, clock: Clock, past: Past, say: Say) -> tuple[Generation, list[Notice]]:
    """Make the older generation the newest; return it, and what of it the replica has lost.

    Database servers that followed the MASTER are newer than that and are given up: they get their dumps. Raise NoSpace,
    Busy, ReplicaClosed or CommandFailed; then everything is as it was, or goes on when it is called again.
    """
    end_slave_run(paths, say, clock)
    with lock.held(paths.sync_lock, "run of HotSync"):
        save_loss(paths.loss_undone, past.undone)
        standbys.give_up_all(paths)
        return open_replica(paths, clock).go_back(past.wanted.number)
