"""`hotsync doctor`: every check that needs no peer and changes nothing, each with a thing to do."""

from __future__ import annotations

from dataclasses import dataclass

from hotsync.backends.packages import detect
from hotsync.backends.units import DAEMON, MASTER_TIMER, SLAVE_TIMER, Units
from hotsync.engine import doctor as machine
from hotsync.errors import HotSyncError
from hotsync.flows.notify import addressee_of, mail_fault
from hotsync.flows.undoing import undo_sentence
from hotsync.model.doctor import DoctorFacts, examine
from hotsync.model.handover import sentence_of as handover_sentence
from hotsync.model.hold import hint_of
from hotsync.model.hold import sentence_of as hold_sentence
from hotsync.model.identity import Role, RoleRecord
from hotsync.model.report import Check
from hotsync.state.boot_hold import load_boot_hold
from hotsync.state.boot_hold import sentence_of as boot_sentence
from hotsync.state.handover import current
from hotsync.state.hold import held
from hotsync.state.rejoin import unfinished_rejoin
from hotsync.state.settings import read_settings
from hotsync.state.store import load_peer, load_role
from hotsync.system import lock
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
    waits = _unfinished(paths, record)
    # the mail server of one that is held is production's, and held with it
    mails_as = Role.SLAVE if held(paths) is not None else role
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
        mail_fault=mail_fault(addressee_of(settings, mails_as)) if working else "",
        clock=machine.clock_is_right() if working else True,
        guarded=machine.is_guarded() if working else True,
        package_faults=machine.package_faults(paths),
        unfinished=waits.sentence,
        unfinished_hint=waits.hint,
        passes=waits.passes,
    )


@dataclass(frozen=True, slots=True)
class _Waits:
    """What a server waits for ("": nothing), what to do about it, and whether it is over soon by itself."""

    sentence: str = ""
    hint: str = ""
    passes: bool = False


def _unfinished(paths: Paths, record: RoleRecord) -> _Waits:
    """Return why the timers of this server stand still, as far as its documents tell."""
    hold = held(paths)
    if undo_sentence(paths):
        return _Waits("the undo of a promotion is not finished", "hotsync-promote --undo: it goes on.")
    if lock.owner(paths.rejoin_lock) is not None:
        return _Waits("it is coming back as SLAVE", "hotsync rejoin: it shows how far that is.", passes=True)
    if _is_coming_back(paths):
        return _Waits("it is coming back as SLAVE, and that is not finished", "hotsync rejoin: it goes on.")
    if hold is not None:
        return _Waits(hold_sentence(hold), hint_of(hold), passes=hold.planned and not hold.why)
    if record.claim is not None and record.claim > record.epoch:
        boot = load_boot_hold(paths, record.claim)
        more = f". {boot_sentence(boot)}" if boot is not None else ""
        hint = "hotsync-promote: it goes on; or give it up with hotsync-promote --undo."
        return _Waits(f"a promotion to epoch {record.claim} is not finished{more}", hint)
    handed = current(paths, record.highest_epoch) if record.role is Role.MASTER else None
    if handed is not None and handed.is_going_on and (said := handover_sentence(handed)):
        return _Waits(said, "`journalctl -u hotsync-handover` shows how far it is.", passes=True)
    return _Waits()


def _is_coming_back(paths: Paths) -> bool:
    try:
        return unfinished_rejoin(paths) is not None
    except HotSyncError:
        return True


def _who(paths: Paths) -> tuple[RoleRecord, str]:
    try:
        record = load_role(paths)
        load_peer(paths)
    except HotSyncError as error:
        return RoleRecord(), error.sentence
    return record, ""
