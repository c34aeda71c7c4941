"""Which running units and listening ports nothing brings back after a promotion: pure, from what was read of them."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from hotsync.model.coverage.findings import Finding, Kind
from hotsync.model.coverage.judge import Cover, Judge
from hotsync.model.coverage.runners import Runner
from hotsync.model.machine_units import base_reason
from hotsync.model.passing_ports import is_passing
from hotsync.model.unit_names import is_passing as is_passing_unit
from hotsync.model.unit_names import template_of

_RUN = "/run/"
_GENERATED = "/run/systemd/generator"
_HEALTH_CHECK = re.compile(r"^[0-9a-f]{64}(?:-[0-9a-f]+)?\.(?:timer|service)\Z")
_LOGIN_PROGRAMS = frozenset(("sshd", "sshd-session"))
_NOT_BROUGHT = (Cover.NOTHING, Cover.NO_DATA)


@dataclass(frozen=True, slots=True)
class UnitSeen:
    """A loaded unit: its file and the configuration that it was made from, the programs that it starts, other files
    that it names, all where they really lie; what it triggers.

    `started_by`: what starts it, if anything does; `state`: what `systemctl is-enabled` says; `handmade`: an
    administrator wrote it, though it is called like a part of the machine.
    """

    name: str
    active: bool = False
    file: str = ""
    source: str = ""
    programs: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    triggers: tuple[str, ...] = ()
    transient: bool = False
    started_by: tuple[str, ...] = ()
    state: str = ""
    handmade: bool = False

    @property
    def is_machines(self) -> bool:
        """Say whether it belongs to the machine itself."""
        return not self.handmade and bool(base_reason(self.name))


@dataclass(frozen=True, slots=True)
class Listener:
    """Something that listens: protocol and address, the process (None: the kernel, or it has ended), its package."""

    address: str
    runner: Runner | None
    package: str = ""


def unit_reason(unit: UnitSeen, known: Mapping[str, UnitSeen], named: Collection[str], judge: Judge) -> str:
    """Given a unit, return why nothing brings it back after a promotion, "" if something does.

    `named` are the units of profiles. A timer, a socket and a path are judged with what they start.
    """
    if _HEALTH_CHECK.match(unit.name):
        return ""  # a container's, made anew with it
    if unit.transient:
        return "" if unit.is_machines and not is_passing_unit(unit.name) else _BY_HAND
    if unit.is_machines or unit.name in named or template_of(unit.name) in named:
        return ""
    reasons = [_reason(unit, judge), *(_reason(known[name], judge) for name in unit.triggers if name in known)]
    return next(filter(None, reasons), "")


_BY_HAND = "it was made by hand for this boot (systemd-run)"


def _reason(unit: UnitSeen, judge: Judge) -> str:
    if unit.is_machines:
        return ""
    file = unit.source or unit.file
    if file.startswith(_RUN) and not file.startswith(_GENERATED):
        return f"its unit file {file} lives until the next boot only"
    needed = [("its unit file", file)] if file and not file.startswith(_RUN) else []
    for what, path in (*needed, *(("its program", path) for path in unit.programs)):
        judged = judge(path)
        if judged.cover in _NOT_BROUGHT:
            return f"{what} {path}: {judged.reason}"
    for path in unit.files:
        if not (judged := judge(path)).is_covered:
            return f"it names {path}: {judged.reason}"
    return ""


def start_reason(unit: UnitSeen) -> str:
    """Given a unit that is up, return why nothing starts it after a promotion, "" if something does, or may.

    One of a package that cannot be enabled was started by a program that knows it; what a generator makes, its settings
    say.
    """
    if unit.started_by or unit.transient or unit.is_machines or _HEALTH_CHECK.match(unit.name):
        return ""
    if unit.state in ("disabled", "linked") or (unit.state == "indirect" and "@" in unit.name):
        return f"{_ALONE}: `systemctl enable {unit.name}`"
    if unit.state == "static" and not unit.file.startswith(_OF_PACKAGES):
        return f"{_ALONE}: its unit file has no [Install] section to enable it by"
    return ""


_ALONE = "it runs, but nothing starts it, neither after a promotion nor after a reboot"
_OF_PACKAGES = ("/usr/lib/", "/lib/", _RUN)


def unit_findings(units: Iterable[UnitSeen], named: Collection[str], judge: Judge) -> list[Finding]:
    """Given the loaded units, return those that are up and that nothing brings back, or starts, after a promotion.

    What a timer triggers is told with the timer.
    """
    known = {unit.name: unit for unit in units}
    found: list[Finding] = []
    for name, unit in sorted(known.items()):
        reason = (unit_reason(unit, known, named, judge) or start_reason(unit)) if unit.active else ""
        if reason:
            kind = Kind.TIMER if name.endswith(".timer") else Kind.UNIT
            found.append(Finding(kind, name, reason, unit.triggers if kind is Kind.TIMER else ()))
    return found


def port_findings(listeners: Iterable[Listener], lost: Collection[str], passing: range) -> list[Finding]:
    """Given what listens, and the units that nothing brings back, return the ports that are lost with a promotion.

    `passing`: the UDP ports that the kernel gives to whoever asks somebody something.
    """
    found: dict[tuple[str, str], Finding] = {}
    for listener in listeners:
        if listener.runner is None or listener.runner.pid == 1:
            continue  # NFS and WireGuard come from settings in /etc; sockets of the init system are units of their own
        reason = _port_reason(listener, listener.runner, lost, passing)
        if reason:
            by = (str(listener.runner), *((f"package {listener.package}",) if listener.package else ()))
            found[(listener.address, reason)] = Finding(Kind.PORT, listener.address, reason, by)
    return sorted(found.values(), key=lambda finding: finding.name)


def _port_reason(listener: Listener, runner: Runner, lost: Collection[str], passing: range) -> str:
    if runner.container:
        return ""  # told as a container
    if not runner.unit or runner.person:
        asks = is_passing(listener.address, passing)
        if asks or (runner.person and runner.name in _LOGIN_PROGRAMS):
            return ""  # an answer is waited for; a login forwards something
        if runner.person and runner.unit:
            return "a service of somebody's own: nothing starts it after a promotion until he logs in"
        return "started by hand: nothing starts it after a promotion"
    if runner.unit in lost:
        return f"nothing brings {runner.unit} back after a promotion"
    return ""


def other_services(units: Iterable[UnitSeen], named: Collection[str], lost: Collection[str]) -> Iterator[str]:
    """Given the loaded units, return the services that no profile names, and that come back without one."""
    for unit in sorted(units, key=lambda unit: unit.name):
        is_named = unit.name in named or template_of(unit.name) in named
        if unit.active and unit.programs and not (is_named or unit.name in lost or unit.is_machines):
            yield unit.name
