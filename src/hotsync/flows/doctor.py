"""`hotsync doctor`: every check that needs no peer and changes nothing, each with a thing to do."""

from __future__ import annotations

from hotsync.backends.packages import detect
from hotsync.backends.units import DAEMON, MASTER_TIMER, SLAVE_TIMER, Units
from hotsync.engine import doctor as machine
from hotsync.errors import HotSyncError
from hotsync.flows.notify import addressee_of, mail_fault
from hotsync.model.doctor import DoctorFacts, examine
from hotsync.model.identity import Role, RoleRecord
from hotsync.model.report import Check
from hotsync.state.settings import read_settings
from hotsync.state.store import load_peer, load_role
from hotsync.system.paths import Paths


def doctor(paths: Paths, units: Units | None = None) -> tuple[Check, ...]:
    """Return what this server lacks, and what it does not."""
    return examine(read_facts(paths, units or Units()))


def read_facts(paths: Paths, units: Units) -> DoctorFacts:
    """Read what the checks ask for; what a server without a role does not need is not looked at."""
    settings, faults = read_settings(paths)
    record, identity_fault = _who(paths)
    role = record.role
    working = role is not Role.NONE and settings.enabled
    timer = SLAVE_TIMER if role is Role.SLAVE else MASTER_TIMER
    total, free = machine.room(paths)
    return DoctorFacts(
        role=role,
        hints=detect.manager_of(paths).hints,
        enabled=settings.enabled,
        alone=role is Role.MASTER and not settings.slave_host,
        identity_fault=identity_fault,
        faults=tuple(str(fault) for fault in faults),
        daemon=not working or units.is_active(DAEMON),
        port=settings.slave_port,
        listening=not working or machine.is_listening(settings.slave_port),
        timer=timer,
        timer_runs=not working or units.is_active(timer),
        state_fault=machine.state_fault(paths),
        total=total,
        free=free,
        rsync_fault=machine.rsync_fault(),
        mail_fault=mail_fault(addressee_of(settings, role)) if working else "",
        clock=machine.clock_is_right() if working else True,
        guarded=machine.is_guarded() if working else True,
        package_faults=machine.package_faults(paths),
    )


def _who(paths: Paths) -> tuple[RoleRecord, str]:
    try:
        record = load_role(paths)
        load_peer(paths)
    except HotSyncError as error:
        return RoleRecord(), error.sentence
    return record, ""
