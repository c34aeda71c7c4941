"""Everything that `hotsync status` shows, as one value: read by status.py, judged by status_warnings.py."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from hotsync.config.schema import Settings
from hotsync.model.coverage.findings import Coverage
from hotsync.model.drill import DrillPoint
from hotsync.model.fence_rehearsal import Rehearsed
from hotsync.model.generation import Generation, data_moment
from hotsync.model.handover import HandOver
from hotsync.model.hold import Hold
from hotsync.model.identity import Peer, Role, RoleRecord
from hotsync.model.loss import LossStatement
from hotsync.model.rejoin import Rejoin
from hotsync.model.report import Check, RunReport
from hotsync.model.standby import StandbyShown
from hotsync.state.boot_hold import BootHold
from hotsync.state.slave_run import SlaveRun
from hotsync.system.lock import Owner
from hotsync.transport.presence import Presence


@dataclass(frozen=True, slots=True)
class Status:
    """Everything that `hotsync status` shows; times in seconds since 1970, 0 for never.

    `running` is the run that is going now; `serving`: hotsyncd runs; `voiceless`: no mail can leave this server.
    `streaming`: what is to be streamed is; `standbys`: on a SLAVE, how far streamed databases are; `to_restart`: on a
    MASTER, the servers that can be streamed from the next restart of a unit on, with that unit; `coverage`: on a
    MASTER, what it found last that nothing protects; `loss`: what a promotion now would lose, by the MASTER's clock;
    `watching`: on a MASTER, who finds that out runs; `hold`: it was superseded, and holds itself; `drills`: on a SLAVE,
    how its drills went, oldest first; `fences`: what came of each fence when it was tried last; `handover`: it hands
    over, or goes back from that; `rejoin`: the last time that it came back as SLAVE; `rejoining`: it does now;
    `undoing`: what is said of an undo that is not finished; `boot_hold`: a promotion is not finished, and this boot
    took none of production's addresses.
    """

    host: str
    now: float
    role: RoleRecord
    settings: Settings
    peer: Peer | None
    presence: Presence
    newest: Generation | None
    last_run: RunReport | None
    next_run: float
    slave_run: SlaveRun | None
    muted: tuple[str, ...]
    warnings: tuple[str, ...]
    running: Owner | None = None
    serving: bool = True
    voiceless: bool = False
    streaming: bool = True
    standbys: tuple[StandbyShown, ...] = ()
    to_restart: Mapping[str, str] = field(default_factory=dict[str, str])
    coverage: Coverage | None = None
    loss: LossStatement | None = None
    watching: bool = True
    hold: Hold | None = None
    drills: tuple[DrillPoint, ...] = ()
    fences: tuple[Rehearsed, ...] = ()
    handover: HandOver | None = None
    rejoin: Rejoin | None = None
    rejoining: bool = False
    undoing: str = ""
    boot_hold: BootHold | None = None

    @property
    def age(self) -> float:
        """Return the age of the newest generation: since it was collected or last confirmed."""
        if self.newest is None:
            return 0.0
        return max(0.0, self.now - data_moment(self.newest, self.ahead))

    @property
    def ahead(self) -> float:
        """Return by how much the MASTER's clock is ahead of this server's."""
        # a MASTER remembers by its own clock; what a SLAVE holds was collected by its MASTER's
        return self.presence.clock_difference if self.role.role is Role.SLAVE else 0.0

    @property
    def streamed(self) -> tuple[str, ...]:
        """Return the database servers of which the SLAVE has more than their dumps: it follows them.

        A SLAVE sees that itself; a MASTER knows how it was in the last run.
        """
        if self.role.role is Role.SLAVE:
            return tuple(standby.name for standby in self.standbys if not standby.fault)
        points = self.newest.datasets if self.newest is not None else ()
        return tuple(dict.fromkeys(point.server for point in points if point.streamed))

    @property
    def interval_minutes(self) -> int:
        """Return how often new data is to be expected: what this server is set to, on a SLAVE its MASTER's if longer.

        Only what the MASTER said counts for a SLAVE besides its own setting, since the two need not be set alike.
        """
        told = self.presence.interval_minutes if self.role.role is Role.SLAVE else 0
        return self.settings.interval_with(told)

    @property
    def checks(self) -> tuple[Check, ...]:
        """Return the readiness of a SLAVE, as hotsync-slave last found it."""
        return () if self.slave_run is None else self.slave_run.checks
