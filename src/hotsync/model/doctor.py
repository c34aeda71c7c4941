"""What this server lacks, as checks: pure, from what was read; needs no peer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from hotsync.model.identity import Role
from hotsync.model.ports.package_manager import Hints
from hotsync.model.report import Check, Verdict
from hotsync.model.slave_checks import check_room, listed

_SERVICES = "systemctl status"


@dataclass(frozen=True, slots=True)
class DoctorFacts:
    """What was read of this server; texts are what is wrong ("" if nothing), None that it could not be found out.

    `faults` are those of the settings, each with its hint; `listening`: something listens on our port; `guarded`: the
    port is open for the peer only, by nftables; `hints` are what a person types on this platform. `unfinished`: why
    this server waits (it is held, or in the middle of a change of roles), with what to do; HotSync's timers stand still
    then. `passes`: that is over soon by itself.
    """

    role: Role
    hints: Hints
    enabled: bool = True
    alone: bool = False
    identity_fault: str = ""
    faults: tuple[str, ...] = ()
    daemon: bool = True
    port: int = 273
    listening: bool = True
    timer: str = ""
    timer_runs: bool = True
    state_fault: str = ""
    total: int = 1
    free: int = 1
    rsync_fault: str = ""
    mail_fault: str = ""
    clock: bool | None = True
    guarded: bool | None = True
    package_faults: tuple[str, ...] = ()
    unfinished: str = ""
    unfinished_hint: str = ""
    passes: bool = False


def examine(facts: DoctorFacts) -> tuple[Check, ...]:
    """Given what was read, return every check; what a server without a role does not need is not asked."""
    checks = [*_unfinished(facts), *_settings(facts), *_disk(facts), *_programs(facts)]
    if facts.role is not Role.NONE and facts.enabled:
        checks += [*_work(facts), *_surroundings(facts)]
    return tuple(checks)


def _check(name: str, title: str, verdict: Verdict, fault: str, hint: str) -> Check:
    return Check(name, title, verdict, fault, hint) if fault else Check(name, title, Verdict.GREEN)


def _unfinished(facts: DoctorFacts) -> Iterator[Check]:
    if facts.role is not Role.NONE:
        verdict = Verdict.AMBER if facts.passes else Verdict.RED
        yield _check("unfinished", "nothing is unfinished here", verdict, facts.unfinished, facts.unfinished_hint)


def _settings(facts: DoctorFacts) -> Iterator[Check]:
    hint = "Run the command that stands behind each fault, then signal-event nethserver-hotsync-save."
    yield _check("settings", "the settings are valid", Verdict.RED, listed(facts.faults), hint)
    hint = "Put the file back from a backup of this server."
    yield _check("identity", "this server knows who it is", Verdict.RED, facts.identity_fault, hint)
    if facts.role is Role.NONE:
        hint = "config setprop hotsync role master (or slave); then signal-event nethserver-hotsync-save."
        yield Check("role", "this server has a role", Verdict.AMBER, "it has none yet", hint)
    elif not facts.enabled:
        hint = "config setprop hotsync status enabled; then signal-event nethserver-hotsync-save."
        yield Check("enabled", "HotSync is enabled here", Verdict.AMBER, "it is disabled", hint)


def _disk(facts: DoctorFacts) -> Iterator[Check]:
    hint = "Look at the disk below /var/lib/hotsync: `mount`, `dmesg`."
    yield _check("state.writable", "HotSync can write what it keeps", Verdict.RED, facts.state_fault, hint)
    if facts.total:
        yield check_room(facts.total, facts.free)


def _programs(facts: DoctorFacts) -> Iterator[Check]:
    hint = f"{facts.hints.install} rsync (3.2 or newer, with ACLs and extended attributes)."
    yield _check("rsync", "rsync can do what a true copy needs", Verdict.RED, facts.rsync_fault, hint)
    hint = f"{facts.hints.repair}; {facts.hints.reinstall} hotsync."
    title = "the packages that HotSync is made of are sound"
    yield _check("packages.own", title, Verdict.AMBER, listed(facts.package_faults), hint)


def _work(facts: DoctorFacts) -> Iterator[Check]:
    fault = "" if facts.daemon else "hotsyncd does not run"
    hint = f"systemctl start hotsyncd; `{_SERVICES} hotsyncd` says why it stopped."
    yield _check("daemon", "hotsyncd runs", Verdict.RED, fault, hint)
    fault = "" if facts.listening else f"nothing listens on TCP port {facts.port}"
    hint = f"`{_SERVICES} hotsyncd` says why; `ss -ltnp` shows who has the port."
    yield _check("daemon.port", "hotsyncd listens", Verdict.RED, fault, hint)
    if not facts.alone and not facts.unfinished:
        fault = "" if facts.timer_runs else f"{facts.timer} does not run"
        hint = f"systemctl enable --now {facts.timer}, or signal-event nethserver-hotsync-save."
        yield _check("timer", "runs come by themselves", Verdict.RED, fault, hint)


def _surroundings(facts: DoctorFacts) -> Iterator[Check]:
    hint = (
        "Install a mail server here (default-mta), or config setprop hotsync NotifyRelay HOST."
        if facts.role is Role.MASTER and not facts.unfinished
        else "config setprop hotsync NotifyRelay HOST; its own mail server is muted."
    )
    yield _check("mail", "a mail can leave this server", Verdict.AMBER, facts.mail_fault, hint)
    fault = {True: "", False: "it is not synchronized", None: "systemd cannot say whether it is"}[facts.clock]
    yield _check("clock", "the clock is right", Verdict.AMBER, fault, "timedatectl set-ntp true")
    fault = {
        True: "",
        False: "the table of HotSync's own is not there",
        None: "nftables is not installed; hotsyncd itself turns strangers away",
    }[facts.guarded]
    hint = "systemctl reload hotsyncd" if facts.guarded is False else f"{facts.hints.install} nftables"
    yield _check("firewall", "the port is open for the other server only", Verdict.AMBER, fault, hint)
