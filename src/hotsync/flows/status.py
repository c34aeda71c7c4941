"""`hotsync status`: what this server is, what it holds or sends, whether it could take over, what is wrong."""

from __future__ import annotations

import socket
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from hotsync.backends.mute import Mute
from hotsync.backends.units import DAEMON, STREAM, WATCH, Units
from hotsync.config.schema import Fault, Settings
from hotsync.engine.fence.known import known_fences
from hotsync.engine.promotion.master_facts import read_told
from hotsync.engine.standby import standbys, streaming
from hotsync.engine.status import holdings, next_run
from hotsync.errors import HotSyncError
from hotsync.flows.notify import has_no_way
from hotsync.flows.status_shown import Status
from hotsync.flows.status_warnings import warnings_of
from hotsync.flows.undoing import undo_sentence
from hotsync.model.identity import Role, RoleRecord
from hotsync.model.loss import against
from hotsync.state.boot_hold import load_boot_hold
from hotsync.state.coverage import load_coverage
from hotsync.state.drills import load_trend
from hotsync.state.handover import current
from hotsync.state.hold import held
from hotsync.state.loss import load_loss
from hotsync.state.rejoin import load_rejoin
from hotsync.state.runs import Runs
from hotsync.state.settings import read_settings
from hotsync.state.slave_run import load_slave_run
from hotsync.state.store import load_peer, load_role
from hotsync.system import lock
from hotsync.system.clock import Clock
from hotsync.system.paths import Paths
from hotsync.transport.presence import load_presence

_T = TypeVar("_T")


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
    streams = settings.streams and role.role is Role.MASTER
    watches = settings.enabled and settings.watch_seconds > 0 and role.role is Role.MASTER and bool(settings.slave_host)
    handover = current(paths, role.highest_epoch) if role.role is Role.MASTER else None
    newest = tried(lambda: holdings(paths, role.role), None)
    command = "hotsync-slave" if is_slave else "hotsync"
    status = Status(
        host=socket.gethostname(),
        now=clock.now(),
        role=role,
        settings=settings,
        peer=tried(lambda: load_peer(paths), None),
        presence=load_presence(paths),
        newest=newest,
        last_run=Runs(paths.runs).last(command),
        next_run=tried(lambda: next_run(command), 0.0) if settings.enabled else 0.0,
        slave_run=tried(lambda: load_slave_run(paths), None) if is_slave else None,
        muted=tried(lambda: tuple(sorted(Mute(paths).muted())), ()) if is_slave else (),
        warnings=(),
        running=lock.owner(paths.sync_lock),
        serving=tried(lambda: ask.is_active(DAEMON), True) if settings.enabled and role.role else True,
        streaming=not streams or tried(lambda: ask.is_active(STREAM), True),
        to_restart=tried(lambda: streaming.waiting(paths), dict[str, str]()) if streams else {},
        standbys=tried(lambda: standbys.shown(paths, read_told(paths).dumps, clock.now()), ()) if is_slave else (),
        coverage=None if is_slave else tried(lambda: load_coverage(paths), None),
        loss=None if newest is None else against(load_loss(paths.loss_told if is_slave else paths.loss_seen), newest),
        watching=not watches or tried(lambda: ask.is_active(WATCH), True),
        hold=held(paths),
        drills=load_trend(paths) if is_slave else (),
        fences=tried(lambda: known_fences(paths), ()) if is_slave else (),
        handover=None if handover is None or not handover.is_going_on else handover,
        rejoin=tried(lambda: load_rejoin(paths), None),
        rejoining=lock.owner(paths.rejoin_lock) is not None,
        undoing=undo_sentence(paths),
        boot_hold=load_boot_hold(paths, role.claim),
        voiceless=role.role is Role.MASTER and has_no_way(settings, role.role),
    )
    return replace(status, warnings=tuple(dict.fromkeys([*faults, *warnings_of(status)])))
