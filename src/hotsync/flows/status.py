"""`hotsync status`: what this server is, what it holds or sends, whether it could take over, what is wrong."""

from __future__ import annotations

import socket
from dataclasses import dataclass

from hotsync.backends.mute import Mute
from hotsync.config.schema import Settings
from hotsync.engine.status import holdings, next_run
from hotsync.model.generation import Generation
from hotsync.model.identity import Peer, Role, RoleRecord
from hotsync.model.report import Check, RunReport
from hotsync.state.runs import Runs
from hotsync.state.settings import read_settings
from hotsync.state.slave_run import SlaveRun, load_slave_run
from hotsync.state.store import load_peer, load_role
from hotsync.system.clock import Clock
from hotsync.system.paths import Paths
from hotsync.transport.presence import Presence, load_presence


@dataclass(frozen=True, slots=True)
class Status:
    """Everything that `hotsync status` shows; times in seconds since 1970, 0 for never."""

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

    @property
    def age(self) -> float:
        """Return the age of the newest generation: since it was collected or last confirmed, by the MASTER's clock."""
        if self.newest is None:
            return 0.0
        # what the SLAVE's clock says of a confirmation is brought to the MASTER's by the difference last seen
        confirmed = self.newest.collected_at + max(0.0, self.newest.confirmed_at - self.newest.committed_at)
        return max(0.0, self.now + self.presence.clock_difference - confirmed)

    @property
    def checks(self) -> tuple[Check, ...]:
        """Return the readiness of a SLAVE, as hotsync-slave last found it."""
        return () if self.slave_run is None else self.slave_run.checks


def read_status(paths: Paths, clock: Clock) -> Status:
    """Return the status of this server; it needs no peer and never raises for what is wrong, but says it."""
    settings, faults = read_settings(paths)
    role = load_role(paths)
    presence = load_presence(paths)
    slave_run = load_slave_run(paths) if role.role is Role.SLAVE else None
    command = "hotsync-slave" if role.role is Role.SLAVE else "hotsync"
    newest = holdings(paths, role.role)
    last = Runs(paths.runs).last(command)
    status = Status(
        host=socket.gethostname(),
        now=clock.now(),
        role=role,
        settings=settings,
        peer=load_peer(paths),
        presence=presence,
        newest=newest,
        last_run=last,
        next_run=next_run(command) if settings.enabled else 0.0,
        slave_run=slave_run,
        muted=tuple(sorted(Mute(paths).muted())) if role.role is Role.SLAVE else (),
        warnings=(),
    )
    return _with_warnings(status, [str(fault) for fault in faults])


def _with_warnings(status: Status, warnings: list[str]) -> Status:
    from dataclasses import replace

    role, presence = status.role, status.presence
    if role.claim is not None and role.claim > role.epoch:
        warnings.append(f"A promotion to epoch {role.claim} is not finished: run hotsync-promote, it goes on.")
    if presence.superseded_by > role.epoch:
        warnings.append(
            f"This MASTER was superseded by epoch {presence.superseded_by}: do not serve; run hotsync rejoin."
        )
    if (
        role.role is not Role.NONE
        and status.peer is None
        and not (role.role is Role.MASTER and not status.settings.slave_host)
    ):
        warnings.append("Not paired yet.")
    alone = role.role is Role.MASTER and not status.settings.slave_host
    if alone:
        warnings.append("This MASTER has no SLAVE: nothing is protected until one is set (prop SlaveHost).")
    elif presence.trouble is not None:
        warnings.append(presence.trouble.sentence)
    if presence.refusal is not None:
        warnings.append(f"Last refused: {presence.refusal.sentence} ({presence.refusal.address})")
    if status.last_run is not None and status.last_run.exit_code:
        warnings += [status.last_run.summary] if status.last_run.error_code else []
        warnings += [notice.sentence for notice in status.last_run.warnings[:10]]
    if role.role is Role.SLAVE and status.newest is not None and status.slave_run is None:
        warnings.append("hotsync-slave has not run yet: this SLAVE cannot be promoted.")
    stale = [point for point in (status.newest.datasets if status.newest else ()) if point.stale_since]
    warnings += [f"{point.name} is an older copy: {point.note}" for point in stale]
    return replace(status, warnings=tuple(dict.fromkeys(warnings)))
