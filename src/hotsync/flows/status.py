"""`hotsync status`: what this server is, what it holds or sends, whether it could take over, what is wrong."""

from __future__ import annotations

import socket
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

from hotsync.backends.mute import Mute
from hotsync.backends.units import DAEMON, Units
from hotsync.config.schema import Fault, Settings
from hotsync.engine.status import holdings, next_run
from hotsync.errors import HotSyncError
from hotsync.flows.notify import has_no_way
from hotsync.flows.status_warnings import warnings_of
from hotsync.model.generation import Generation, data_moment
from hotsync.model.identity import Peer, Role, RoleRecord
from hotsync.model.report import Check, RunReport
from hotsync.state.runs import Runs
from hotsync.state.settings import read_settings
from hotsync.state.slave_run import SlaveRun, load_slave_run
from hotsync.state.store import load_peer, load_role
from hotsync.system import lock
from hotsync.system.clock import Clock
from hotsync.system.lock import Owner
from hotsync.system.paths import Paths
from hotsync.transport.presence import Presence, load_presence

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Status:
    """Everything that `hotsync status` shows; times in seconds since 1970, 0 for never.

    `running` is the run that is going now; `serving`: hotsyncd runs; `voiceless`: no mail can leave this server.
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

    @property
    def age(self) -> float:
        """Return the age of the newest generation: since it was collected or last confirmed."""
        if self.newest is None:
            return 0.0
        # a MASTER remembers by its own clock; what a SLAVE holds was collected by its MASTER's
        difference = self.presence.clock_difference if self.role.role is Role.SLAVE else 0.0
        return max(0.0, self.now - data_moment(self.newest, difference))

    @property
    def checks(self) -> tuple[Check, ...]:
        """Return the readiness of a SLAVE, as hotsync-slave last found it."""
        return () if self.slave_run is None else self.slave_run.checks


def read_status(paths: Paths, clock: Clock, units: Units | None = None) -> Status:
    """Return the status of this server; it needs no peer and never raises for what is wrong, but says it."""
    faults: list[str] = []
    ask = units or Units()

    def tried(read: Callable[[], _T], otherwise: _T) -> _T:
        try:
            return read()
        except (HotSyncError, OSError, sqlite3.Error, ValueError) as error:
            faults.append(str(error))
            return otherwise

    nothing: tuple[Settings, tuple[Fault, ...]] = (Settings(), ())
    settings, found = tried(lambda: read_settings(paths), nothing)
    faults += [str(fault) for fault in found]
    role = tried(lambda: load_role(paths), RoleRecord())
    is_slave = role.role is Role.SLAVE
    command = "hotsync-slave" if is_slave else "hotsync"
    status = Status(
        host=socket.gethostname(),
        now=clock.now(),
        role=role,
        settings=settings,
        peer=tried(lambda: load_peer(paths), None),
        presence=load_presence(paths),
        newest=tried(lambda: holdings(paths, role.role), None),
        last_run=Runs(paths.runs).last(command),
        next_run=tried(lambda: next_run(command), 0.0) if settings.enabled else 0.0,
        slave_run=tried(lambda: load_slave_run(paths), None) if is_slave else None,
        muted=tried(lambda: tuple(sorted(Mute(paths).muted())), ()) if is_slave else (),
        warnings=(),
        running=lock.owner(paths.sync_lock),
        serving=tried(lambda: ask.is_active(DAEMON), True) if settings.enabled and role.role else True,
        voiceless=role.role is Role.MASTER and has_no_way(settings, role.role),
    )
    return replace(status, warnings=tuple(dict.fromkeys([*faults, *warnings_of(status)])))
