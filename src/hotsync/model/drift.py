"""How this SLAVE differs from its MASTER, and whether it matters: pure, from the facts of both.

What matters is what a promotion would not put right: the rest comes with the MASTER's /etc, or belongs to the machine.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import chain

from hotsync.model.disk_tables import BIND, SHARES
from hotsync.model.drift_sysctl import SET_BY, WATCHED
from hotsync.model.facts import AccountFact, GroupFact, MasterFacts, PackageFact, ShareFact
from hotsync.model.handmade import handmade_of
from hotsync.model.machine_units import base_reason
from hotsync.model.packages.checks import is_database_server
from hotsync.model.packages.family import DEBIAN, Order, family_of
from hotsync.model.packages.own import own_reason
from hotsync.model.report import Check, Verdict
from hotsync.model.slave_checks import listed
from hotsync.model.unit_names import template_of

_CARRIED = ("/etc/", "/usr/local/")


class Topic(StrEnum):
    """What a difference is about."""

    ARCHITECTURE = "architecture"
    PACKAGE = "package"
    VERSION = "version"
    STREAM = "stream"
    UNIT = "unit"
    USER = "user"
    GROUP = "group"
    SYSCTL = "sysctl"
    LOCALE = "locale"
    TIMEZONE = "timezone"
    MODULE = "module"
    SHARE = "share"
    QUOTA = "quota"
    SELINUX = "selinux"


@dataclass(frozen=True, slots=True)
class Difference:
    """One difference: what the MASTER has and what this SLAVE ("" for nothing), whether it matters, and why."""

    topic: Topic
    name: str
    master: str
    slave: str
    matters: bool
    why: str


@dataclass(frozen=True, slots=True)
class Ground:
    """What else is known of this SLAVE: the units that a promotion finds here or in the generation, the kernel's
    modules (None: it cannot be told), the time zones, this server's values of the MASTER's kernel settings, and the
    packages that must not be older than the MASTER's."""

    units: Collection[str] = ()
    modules: Collection[str] | None = None
    zones: Collection[str] = ()
    sysctl: Mapping[str, str] | None = None
    not_older: Collection[str] = ()


def drift(master: MasterFacts, slave: MasterFacts, ground: Ground) -> tuple[Difference, ...]:
    """Given the facts of both, return how they differ, what matters first; what the MASTER did not tell is no
    difference."""
    topics: tuple[Callable[[MasterFacts, MasterFacts, Ground], Iterator[Difference]], ...] = (
        _architecture, _packages, _streams, _units, _users, _groups, _sysctl, _locale, _timezone, _modules, _shares,
        _quotas, _guard,
    )  # fmt: skip
    found = chain.from_iterable(topic(master, slave, ground) for topic in topics)
    return tuple(sorted(found, key=lambda each: not each.matters))


_CHECKED = frozenset((Topic.PACKAGE, Topic.VERSION, Topic.STREAM, Topic.USER, Topic.GROUP))
"""Topics for which readiness has checks of their own."""


_TITLE = "this server does not differ from the MASTER where it matters"


def check_drift(found: Iterable[Difference]) -> Check:
    """Given how this SLAVE differs, return whether anything that no other check asks for matters."""
    said = [
        f"{each.topic.value} {each.name} is {each.slave or 'missing'}, on the MASTER {each.master}: {each.why}"
        for each in found
        if each.matters and each.topic not in _CHECKED
    ]
    if not said:
        return Check("drift", _TITLE, Verdict.GREEN)
    hint = "hotsync coverage on this server shows every difference."
    return Check("drift", _TITLE, Verdict.AMBER, listed(said), hint)


def not_compared(reason: str) -> Check:
    """Given why this server could not be compared, return the check."""
    hint = "hotsync coverage on this server tries it again."
    return Check("drift", _TITLE, Verdict.AMBER, f"it could not be compared: {reason}", hint)


def _architecture(master: MasterFacts, slave: MasterFacts, _: Ground) -> Iterator[Difference]:
    theirs, ours = (_dpkgs(facts.packages) for facts in (master, slave))
    if theirs and ours and theirs != ours:
        why = "programs and databases of one do not run on the other"
        yield Difference(Topic.ARCHITECTURE, "processor", theirs, ours, True, why)


def _dpkgs(packages: Collection[PackageFact]) -> str:
    return next((package.architecture for package in packages if package.name == "dpkg"), "")


def _packages(master: MasterFacts, slave: MasterFacts, ground: Ground) -> Iterator[Difference]:
    if not master.packages:
        return
    order = (family_of(master.packages) or DEBIAN).order
    theirs, ours = ({package.name: package.version for package in facts.packages} for facts in (master, slave))
    for name in sorted(theirs.keys() | ours.keys()):
        there, here = theirs.get(name, ""), ours.get(name, "")
        if there == here:
            continue
        if own := own_reason(name):
            yield Difference(Topic.PACKAGE, name, there, here, False, f"each server's own: {own}")
        elif not here:
            why = "what needs it will not run after a promotion; hotsync-slave says why it is not here"
            yield Difference(Topic.PACKAGE, name, there, here, True, why)
        elif not there:
            yield Difference(Topic.PACKAGE, name, there, here, False, "the MASTER does without it")
        else:
            yield _version(name, there, here, ground, order)


def _version(name: str, there: str, here: str, ground: Ground, order: Order) -> Difference:
    older = order(here, there) < 0
    if older and (is_database_server(name) or name in ground.not_older):
        why = "an older server may refuse the MASTER's data: update it here"
        return Difference(Topic.VERSION, name, there, here, True, why)
    why = "each server has its own updates" if older else "newer here: it reads what the older one wrote"
    return Difference(Topic.VERSION, name, there, here, False, why)


def _streams(master: MasterFacts, slave: MasterFacts, _: Ground) -> Iterator[Difference]:
    if not master.packages:
        return
    theirs, ours = ({each.module: each.stream or "switched off" for each in facts.streams} for facts in (master, slave))
    for module in sorted(theirs.keys() | ours.keys()):
        there, here = theirs.get(module, ""), ours.get(module, "")
        if there and there != here:
            why = "it decides which versions of packages can be had; hotsync-slave says why it is not so here"
            yield Difference(Topic.STREAM, module, there, here, True, why)
        elif there != here:
            yield Difference(Topic.STREAM, module, there, here, False, "the MASTER left it as it came")


def _units(master: MasterFacts, slave: MasterFacts, ground: Ground) -> Iterator[Difference]:
    ours, known = {unit.name: unit for unit in slave.units}, frozenset(ground.units)
    handmade = handmade_of(master.units)
    for unit in master.units:
        here = ours.get(unit.name)
        there, found = _state(unit.enabled, unit.active), not known.isdisjoint((unit.name, template_of(unit.name)))
        if unit.active and not found and not base_reason(unit.name, handmade):
            why = "it runs on the MASTER, and neither this server nor the generation has a file of it"
            yield Difference(Topic.UNIT, unit.name, there, "", True, why)
        elif unit.enabled and unit.enabled != (here.enabled if here else ""):
            why = base_reason(unit.name, handmade) or "whether it is enabled comes with the MASTER's /etc"
            state = _state(here.enabled, here.active) if here else ""
            yield Difference(Topic.UNIT, unit.name, there, state, False, why)


def _state(enabled: str, active: bool) -> str:
    return ", ".join(word for word in (enabled, "runs" if active else "") if word)


def _users(master: MasterFacts, slave: MasterFacts, _: Ground) -> Iterator[Difference]:
    yield from _numbers(Topic.USER, {each.name: _user(each) for each in master.users},
                        {each.name: _user(each) for each in slave.users})  # fmt: skip


def _groups(master: MasterFacts, slave: MasterFacts, _: Ground) -> Iterator[Difference]:
    yield from _numbers(Topic.GROUP, {each.name: _group(each) for each in master.groups},
                        {each.name: _group(each) for each in slave.groups})  # fmt: skip


def _user(user: AccountFact) -> str:
    return f"{user.uid}:{user.gid}"


def _group(group: GroupFact) -> str:
    return str(group.gid)


def _numbers(topic: Topic, theirs: Mapping[str, str], ours: Mapping[str, str]) -> Iterator[Difference]:
    for name in sorted(theirs.keys() | ours.keys()) if theirs else ():
        there, here = theirs.get(name, ""), ours.get(name, "")
        if there == here:
            continue
        if there:
            why = "its files would be another's: hotsync-slave gives the MASTER's numbers"
            yield Difference(topic, name, there, here, True, why)
        else:
            yield Difference(topic, name, there, here, False, "only this server has it; nothing of the MASTER's is its")


def _sysctl(master: MasterFacts, slave: MasterFacts, ground: Ground) -> Iterator[Difference]:
    here = {fact.key: fact.value for fact in slave.system.sysctl} if ground.sysctl is None else ground.sysctl
    for fact in master.system.sysctl:
        value = here.get(fact.key, "")
        if value == fact.value:
            continue
        needed, unit = WATCHED.get(fact.key, ""), _setter(fact.key, master.active_units)
        if unit:
            matters, why = False, f"{unit} sets it when it starts"
        elif fact.source.startswith(_CARRIED):
            matters, why = False, f"{fact.source} comes with a promotion, which applies it"
        elif needed and not fact.source:
            matters, why = True, f"{needed}; no file on the MASTER sets it: put it into /etc/sysctl.d there"
        else:
            matters, why = False, "it comes from a package or from the size of the machine"
        yield Difference(Topic.SYSCTL, fact.key, fact.value, value, matters, why)


def _setter(key: str, active: Collection[str]) -> str:
    return next((unit for unit in SET_BY.get(key, ()) if unit in active), "")


def _locale(master: MasterFacts, slave: MasterFacts, _: Ground) -> Iterator[Difference]:
    there, here = master.system.locale, slave.system.locale
    if there and there != here:
        why = "it comes with the MASTER's /etc, and services take it in a promotion; hotsync-slave makes its locales"
        yield Difference(Topic.LOCALE, "LANG", there, here, False, why)


def _timezone(master: MasterFacts, slave: MasterFacts, ground: Ground) -> Iterator[Difference]:
    there, here = master.system.timezone, slave.system.timezone
    if not there or there == here:
        return
    missing = there not in ground.zones
    why = "this server does not know that zone: update tzdata" if missing else "it comes with the MASTER's /etc"
    yield Difference(Topic.TIMEZONE, "time zone", there, here, missing, why)


def _modules(master: MasterFacts, slave: MasterFacts, ground: Ground) -> Iterator[Difference]:
    ours, known = frozenset(slave.system.modules), ground.modules
    if known is None:
        return
    for name in master.system.modules:
        if name not in known:
            why = "the MASTER's firewall uses it, and this server's kernel does not have it"
            yield Difference(Topic.MODULE, name, "loaded", "", True, why)
        elif name not in ours:
            why = "the firewall loads it when it needs it"
            yield Difference(Topic.MODULE, name, "loaded", "not loaded", False, why)


def _shares(master: MasterFacts, slave: MasterFacts, _: Ground) -> Iterator[Difference]:
    ours = {mount.point for mount in slave.mounts} | {share.point for share in slave.shares}
    by_hand = "what mounts it (/etc/fstab, a unit)"
    mounted = (ShareFact(each.point, each.source, each.kind, by_hand) for each in master.mounts if each.kind in SHARES)
    theirs = {share.point: share for share in (*mounted, *master.shares)}
    for point in sorted(theirs.keys() - ours):
        share = theirs[point]
        what = f"{share.source} ({BIND})" if share.kind == BIND else share.source
        why = f"{share.table} is each server's own: mount it here, too, or after a promotion"
        yield Difference(Topic.SHARE, point, what, "", True, why)


def _quotas(master: MasterFacts, slave: MasterFacts, _: Ground) -> Iterator[Difference]:
    ours = {(quota.point, quota.kind) for quota in slave.quotas}
    for quota in master.quotas:
        if quota.unread:
            why = "a promotion sets none: `repquota` has to work on the MASTER (package quota)"
            yield Difference(Topic.QUOTA, f"{quota.kind} {quota.point}", "limits that cannot be read", "", True, why)
        elif quota.limits and (quota.point, quota.kind) not in ours:
            why = "a promotion can set limits only where they are on: mount it here with quotas, too"
            yield Difference(Topic.QUOTA, f"{quota.kind} {quota.point}", f"{len(quota.limits)} limits", "", True, why)


def _guard(master: MasterFacts, slave: MasterFacts, _: Ground) -> Iterator[Difference]:
    there, here = master.guard, slave.guard
    if not there.policy or not here.policy:
        return  # nothing is asked of a policy here, or the MASTER never asked one
    if there.policy != here.policy:
        why = "rules that were made in the MASTER's policy may mean nothing in this one: look at them"
        yield Difference(Topic.SELINUX, "policy", there.policy, here.policy, bool(there.rules), why)
        return
    theirs, ours = ({(rule.kind, rule.name): rule.value for rule in facts.rules} for facts in (there, here))
    for kind, name in sorted(theirs.keys() | ours.keys()):
        value, own = theirs.get((kind, name), ""), ours.get((kind, name), "")
        if value and value != own:
            how = "make it here, too (`semanage export` on the MASTER shows how)"
            if kind == "module":
                how = "install it here, too (semodule)"
            yield Difference(Topic.SELINUX, f"{kind} {name}", value, own, True, f"a promotion does not carry it: {how}")
        elif value != own:
            yield Difference(Topic.SELINUX, f"{kind} {name}", value, own, False, "only this server has it")
