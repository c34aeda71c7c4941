"""The event `nethserver-hotsync-save`: check the settings, set the role of an unpaired server, arrange the units."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from hotsync.backends import yum_plugin
from hotsync.backends.packages import detect
from hotsync.backends.timers import write_intervals
from hotsync.backends.units import OwnUnits, Units
from hotsync.config.schema import Settings, raise_if_any, validate_for_save
from hotsync.engine.one_master.hold import refuse_if_held
from hotsync.engine.standby.streaming import set_up, tend_all
from hotsync.errors import HotSyncError, Refused
from hotsync.model.identity import Peer, Role, RoleRecord
from hotsync.state import store
from hotsync.state.promotion import claimed_promotion
from hotsync.state.returned import Returned, save_returned
from hotsync.state.settings import read_settings
from hotsync.system import lock
from hotsync.system.clock import Clock, SystemClock
from hotsync.system.paths import Paths


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the save reaches of the machine."""

    paths: Paths
    units: OwnUnits = field(default_factory=Units)
    clock: Clock = field(default_factory=SystemClock)
    tend_streams: Callable[[Paths, int], list[str]] = tend_all
    set_up_streams: Callable[[Paths], list[str]] = set_up


def save(here: Surroundings, say: Callable[[str], None]) -> None:
    """Put the settings into force; raise ConfigError with every fault, or Refused, before anything is changed."""
    with lock.held(here.paths.run / "save.lock", "signal-event nethserver-hotsync-save", wait=True):
        settings = _checked_settings(here.paths)
        refuse_if_held(here.paths)
        record = plan_role(settings, store.load_role(here.paths), store.load_peer(here.paths), here.clock.now())
        if record != store.load_role(here.paths):
            store.save_role_and_flag(here.paths, record)
        if settings.enabled:
            _let_standby_address_go(here, settings.slave_host, record, say)
        if switched := yum_plugin.follow(here.paths, record.role):
            say(switched)
        if record.role is not Role.SLAVE:
            detect.manager_of(here.paths).tidy()  # it installs nothing of a MASTER's any more
        changed = write_intervals(here.paths, settings)
        if changed:
            here.units.reload()
        streams = settings.streams and record.role is Role.MASTER
        if streams:
            _set_up(here, say)
        here.units.arrange(
            record.role,
            enabled=settings.enabled,
            changed=changed,
            streams=streams,
            watches=settings.watch_seconds > 0,
            drills=settings.drill,
        )
        if record.role is Role.MASTER and not streams:
            # what streaming had made on the servers goes with it
            for sentence in here.tend_streams(here.paths, 0):
                say(f"{sentence}.")
        say(describe(settings, record))


def _let_standby_address_go(
    here: Surroundings, slave_host: str, record: RoleRecord, say: Callable[[str], None]
) -> None:
    """Where a person says that the SLAVE is at the address that this MASTER had as SLAVE, let it go.

    The SLAVE tells it itself when it comes back; one that found no MASTER then tells it nobody any more.
    """
    promotion = claimed_promotion(here.paths, record) if record.role is Role.MASTER else None
    if promotion is None or not promotion.finished_at:
        return  # until then the settings may still be those of the server whose place it takes
    if slave_host in {address.address for address in promotion.network.standby}:
        save_returned(here.paths, Returned(slave_host, here.clock.now()))
        say(f"{slave_host} is the SLAVE's: this server lets it go (systemctl status hotsync-returned).")


def _set_up(here: Surroundings, say: Callable[[str], None]) -> None:
    """Make what the servers lack to be streamed; that one cannot be found keeps nothing else from force."""
    try:
        for sentence in here.set_up_streams(here.paths):
            say(sentence)
    except HotSyncError as error:
        say(f"Databases are not streamed yet: {error.sentence}")


def _checked_settings(paths: Paths) -> Settings:
    settings, faults = read_settings(paths)
    named = {(fault.record, fault.prop) for fault in faults}
    lacking = [fault for fault in validate_for_save(settings) if (fault.record, fault.prop) not in named]
    raise_if_any([*faults, *lacking])
    return settings


def plan_role(settings: Settings, record: RoleRecord, peer: Peer | None, now: float) -> RoleRecord:
    """Given settings, role and peer, return the role to be; raise Refused if only another command may change it."""
    wanted = settings.role
    if wanted in (record.role, Role.NONE):
        return record
    if record.claim is None and (peer is None or record.role is Role.NONE):
        return replace(record, role=wanted, since=now, why="set up by signal-event nethserver-hotsync-save")
    if not settings.enabled:
        return record  # switching off must not depend on anything else
    if record.claim is not None:
        raise Refused(
            reason=f"a promotion of this server to epoch {record.claim} is not finished",
            hint="Run hotsync-promote: it goes on where it stopped.",
        )
    way = "hotsync-promote puts it into production" if wanted is Role.MASTER else "install it anew as SLAVE"
    raise Refused(
        reason=f"this server is {record.role.name} and paired, and the prop role says {wanted.value}: "
        "settings do not change the role of a paired server",
        hint=f"If its role is to change: {way}. If not: config setprop hotsync role {record.role.value}",
    )


def describe(settings: Settings, record: RoleRecord) -> str:
    """Return in one sentence what is in force now."""
    if not settings.enabled:
        return "HotSync is disabled on this server: its daemon and timers are stopped, data and pairing stay."
    if record.role is Role.MASTER:
        said = f"This server is MASTER; it syncs to {settings.slave_host} every {settings.interval_minutes} minutes"
        return f"{said}, and streams its databases." if settings.streams else f"{said}."
    every = settings.slave_interval_minutes
    return f"This server is SLAVE of {settings.master_host}; it looks after itself every {every} minutes."
