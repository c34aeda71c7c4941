"""What becomes of a path or a unit, and by which rule: pure, from the rules and from what was read."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from hotsync.model.coverage.not_data import reason_of, with_not_data
from hotsync.model.machine_units import base_reason, is_firewall, is_watcher
from hotsync.model.mute import ALWAYS_MUTED, covers
from hotsync.model.production import is_own
from hotsync.model.scope import Scope, scope_of
from hotsync.model.selection import Action, Rule, Selection

UNIT_KINDS = (".service", ".socket", ".timer", ".path", ".target", ".mount")
SOCKET = "a socket"
FILES_OF = "files of "
"""How the origin of a rule begins that keeps the files of a database server from being copied."""


class Fate(StrEnum):
    """What becomes of a path: carried, absent after a promotion, the SLAVE's own stays, or nothing speaks of it."""

    CARRIED = "carried"
    ABSENT = "absent"
    OWN = "own"
    UNKNOWN = "unknown"


_FATES = {Action.INCLUDE: Fate.CARRIED, Action.EXCLUDE: Fate.ABSENT, Action.PROTECT: Fate.OWN}


@dataclass(frozen=True, slots=True)
class Mounted:
    """What is mounted where (path to type), which points may be entered unnamed, and which types are no disks."""

    table: Mapping[str, str]
    allowed: Collection[str] = ()
    pseudo: Collection[str] = ()


@dataclass(frozen=True, slots=True)
class Standing:
    """What holds at a path: the scope of the rules, and the mount point that keeps what is said above it out ("")."""

    scope: Scope
    barred_by: str = ""


@dataclass(frozen=True, slots=True)
class PathAnswer:
    """What becomes of a path (absolute, as it was asked), by which rule, and which rules that one beat.

    `inside` are rules for something in it. `barred_by`: a file system that no rule names is mounted there. `no_data`:
    why nothing of it needs to be carried, where no rule speaks of it.
    """

    path: str
    fate: Fate
    rule: Rule | None = None
    beaten: tuple[Rule, ...] = ()
    inside: tuple[Rule, ...] = ()
    barred_by: str = ""
    no_data: str = ""


@dataclass(frozen=True, slots=True)
class UnitFacts:
    """What was read of a unit; `None` where this server cannot know it.

    `profiles` names each profile that speaks of it, with the key; `on_master`: it runs there as the system wants it;
    `kept`: why this SLAVE keeps it; `handmade`: an administrator wrote it, though it is called like the machine's.
    """

    name: str
    file: str = ""
    active: bool | None = None
    profiles: tuple[tuple[str, str], ...] = ()
    on_master: bool | None = None
    muted: Collection[str] | None = None
    kept: str = ""
    handmade: bool = False


@dataclass(frozen=True, slots=True)
class UnitAnswer:
    """What becomes of a unit on a waiting SLAVE and in a promotion, each as a sentence."""

    name: str
    profiles: tuple[tuple[str, str], ...]
    waiting: str
    promotion: str


def standing_of(selection: Selection, path: str, mounted: Mounted) -> Standing:
    """Given a path without a slash in front, return what holds there, also across mount points."""
    scope, walked, barred_by = scope_of(selection), "", ""
    for name in path.split("/") if path else ():
        scope, walked = scope.child(name), f"{walked}/{name}" if walked else name
        if (kind := mounted.table.get(walked)) is not None:
            entered = scope.across(allowed=walked in mounted.allowed, pseudo=kind in mounted.pseudo)
            if scope.carried and not entered.carried:
                barred_by = walked
            scope = entered
        if scope.rule is not None:
            barred_by = ""
    return Standing(scope, barred_by)


def explain_path(selection: Selection, path: str, mounted: Mounted) -> PathAnswer:
    """Given a path without a slash in front, return what becomes of it."""
    standing = standing_of(selection, path, mounted)
    rule = standing.scope.rule
    matching = selection.matching(path)
    no_data = "" if rule is not None else reason_of(with_not_data(selection).decide(path).rule)
    return PathAnswer(
        path=f"/{path}",
        fate=Fate.UNKNOWN if rule is None else _FATES[rule.action],
        rule=rule,
        beaten=tuple(other for other in matching if other != rule),
        inside=selection.inside(path),
        barred_by=f"/{standing.barred_by}" if standing.barred_by else "",
        no_data=no_data,
    )


def explain_unit(facts: UnitFacts) -> UnitAnswer:
    """Given what was read of a unit, return what becomes of it."""
    return UnitAnswer(facts.name, facts.profiles, _waiting(facts), _promotion(facts))


def _waiting(facts: UnitFacts) -> str:
    if facts.muted is not None and covers(frozenset(facts.muted), facts.name):
        return "held: it cannot start before a promotion"
    if reason := base_reason(facts.name, _written(facts)):
        unless = "; held if hotsync-slave installs it" if is_firewall(facts.name) else ""
        return f"runs on the SLAVE, too: {reason}{unless}"
    if facts.muted is not None:
        return f"not held: {facts.kept or 'nothing says that it is production'}"
    if facts.name in ALWAYS_MUTED:
        return "held on the SLAVE: any job there would be the MASTER's"
    if named := _named(facts.profiles, "mute"):
        return f"held on the SLAVE, by {named}"
    if is_watcher(facts.name):
        return "may run on the SLAVE, where it watches that machine; held if hotsync-slave installs it"
    if facts.on_master:
        return "held on the SLAVE, since it runs on the MASTER"
    return "held on the SLAVE if hotsync-slave installs its package; no profile names it"


def _promotion(facts: UnitFacts) -> str:
    if is_own(facts.name, _written(facts)):
        return f"left as the SLAVE runs it: {base_reason(facts.name)}"
    if facts.on_master is None:
        return "not known: nothing tells what runs on the MASTER"
    if not facts.on_master:
        return "not started: it does not run on the MASTER because the system wants it"
    order = _named(facts.profiles, "start")
    return "started, since it runs on the MASTER" + (f", in the order of {order}" if order else "")


def _written(facts: UnitFacts) -> tuple[str, ...]:
    return (facts.name,) if facts.handmade else ()


def _named(profiles: Iterable[tuple[str, str]], key: str) -> str:
    names = sorted({name for name, said in profiles if said == key})
    return ("profile " if len(names) == 1 else "the profiles ") + " and ".join(names) if names else ""


@dataclass(frozen=True, slots=True)
class Known:
    """What else is known of a path; a time that is 0 was never, a text that is "" says nothing.

    `really`: as it was asked for, where a link on the way leads to `path`. `lies`: what is there now. `datasets`: what
    carries its content instead, the oldest of `taken_at`. `copy`: it is carried as a sound copy of that format, of
    `copied_at`; `trouble` says why there is none. `whole`: it comes settled or stays as it was. `generation`: the
    newest one; `held`: that has it (None: there is none yet); `changed_in`: the held generations that changed it.
    """

    really: str = ""
    lies: str = ""
    datasets: tuple[str, ...] = ()
    taken_at: float = 0.0
    copy: str = ""
    copied_at: float = 0.0
    trouble: str = ""
    whole: bool = False
    generation: int = 0
    held: bool | None = None
    unsettled: bool = False
    changed_in: tuple[int, ...] = ()


def datasets_for(rule: Rule | None, engines: Mapping[str, Collection[str]], datasets: Iterable[str]) -> tuple[str, ...]:
    """Given the rule that keeps a path from being copied, return the datasets that carry its content instead.

    `engines` are the kinds of databases that a profile's application keeps, by the origin of its rules.
    """
    if rule is None or rule.action is Action.INCLUDE:
        return ()
    known = sorted(datasets)
    if rule.origin.startswith(FILES_OF):
        server = rule.origin.removeprefix(FILES_OF)
        return tuple(name for name in known if name == server or name.startswith(f"{server}/")) or (server,)
    kinds = engines.get(rule.origin, ())
    return tuple(name for name in known if name.partition("/")[0] in kinds)
