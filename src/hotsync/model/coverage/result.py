"""What a look at a server comes to: what is not protected, which applications are here, and what protects them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from hotsync.model.coverage.certificates import CertificateSeen, certificate_findings
from hotsync.model.coverage.containers import ContainerSeen, container_findings
from hotsync.model.coverage.findings import (
    Application,
    Coverage,
    Finding,
    Kind,
    OpenFile,
    data_findings,
    mount_findings,
)
from hotsync.model.coverage.groups import Group
from hotsync.model.coverage.jobs import JobSeen, job_findings
from hotsync.model.coverage.judge import Judge
from hotsync.model.coverage.places import PlaceSeen, place_findings
from hotsync.model.coverage.units import Listener, UnitSeen, other_services, port_findings, unit_findings
from hotsync.model.explain import Mounted
from hotsync.model.passing_ports import USUAL

_FEW = 4


@dataclass(frozen=True, slots=True)
class ProfileSeen:
    """A profile whose application is here: what it includes, which kinds of databases and which units it names."""

    name: str
    title: str
    includes: tuple[str, ...] = ()
    engines: tuple[str, ...] = ()
    units: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CoverageFacts:
    """What was read of this server. `datasets` are what the last run collected, `uncollected` what no
    run ever could, with the reason; `faults`: what could not be read."""

    judge: Judge
    mounted: Mounted
    profiles: tuple[ProfileSeen, ...] = ()
    databases: bool = True
    datasets: tuple[str, ...] = ()
    uncollected: tuple[tuple[str, str], ...] = ()
    groups: tuple[Group, ...] = ()
    opened: tuple[OpenFile, ...] = ()
    units: tuple[UnitSeen, ...] = ()
    jobs: tuple[JobSeen, ...] = ()
    listeners: tuple[Listener, ...] = ()
    passing: range = USUAL
    containers: tuple[ContainerSeen, ...] = ()
    certificates: tuple[CertificateSeen, ...] = ()
    places: tuple[PlaceSeen, ...] = ()
    faults: tuple[str, ...] = ()


def cover(facts: CoverageFacts, looked_at: float, days: int) -> Coverage:
    """Given what was read, return what nothing protects, and what protects the rest."""
    named = {unit for profile in facts.profiles for unit in profile.units}
    units = unit_findings(facts.units, named, facts.judge)
    lost = {finding.name for finding in units}
    findings = (
        *data_findings(facts.groups, facts.opened, facts.judge),
        *place_findings(facts.places, facts.judge),
        *mount_findings(facts.mounted, facts.judge),
        *_databases(facts),
        *units,
        *job_findings(facts.jobs, facts.judge),
        *port_findings(facts.listeners, lost, facts.passing),
        *container_findings(facts.containers, lost, facts.judge),
        *certificate_findings(facts.certificates, facts.judge),
    )
    applications = (*_applications(facts), *_others(other_services(facts.units, named, lost)))
    return Coverage(looked_at, days, findings, applications, facts.faults)


def _others(units: Iterable[str]) -> Iterator[Application]:
    said = "its package, or its files in /etc, /opt and /usr/local, and the rules for /etc, /var/lib, /srv and the like"
    yield from (Application("", unit, (said,)) for unit in units)


def _databases(facts: CoverageFacts) -> Iterator[Finding]:
    if facts.databases:
        for name, reason in facts.uncollected:
            yield Finding(Kind.DATABASE, name, reason)
        return
    for profile in facts.profiles:
        if profile.engines:
            reason = "the setting databases is disabled: neither its files nor dumps of it are carried"
            yield Finding(Kind.DATABASE, profile.title, reason)


def _applications(facts: CoverageFacts) -> Iterator[Application]:
    for profile in facts.profiles:
        said: list[str] = []
        if profile.engines and facts.databases:
            said.append(_dumps(profile.engines, facts.datasets))
        if profile.includes:
            said.append(f"carried: {_few(profile.includes)}")
        if profile.units:
            said.append(f"held on the SLAVE, started in a promotion: {_few(profile.units)}")
        yield Application(profile.name, profile.title, tuple(said))


def _dumps(engines: Collection[str], datasets: Iterable[str]) -> str:
    dumps = sorted(name for name in datasets if name.partition("/")[0] in engines)
    return f"collected as {_few(dumps)}" if dumps else "nothing collected of it yet"


def _few(names: Collection[str]) -> str:
    shown = ", ".join(list(names)[:_FEW])
    return shown + (f" and {len(names) - _FEW} more" if len(names) > _FEW else "")
