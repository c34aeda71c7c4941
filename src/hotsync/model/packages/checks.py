"""Readiness of a waiting SLAVE's packages as checks: pure, from what was read and what a run could not do."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from hotsync.model.facts import PackageFact
from hotsync.model.packages.family import Order, identity
from hotsync.model.packages.values import Package
from hotsync.model.packages.wants import Machine
from hotsync.model.ports.package_manager import Hints
from hotsync.model.report import Check, Verdict
from hotsync.model.slave import SlaveFacts, SlaveOutcome, behind_of, broken_of, missing_of
from hotsync.model.slave_checks import judged

_DATABASE_SERVER = re.compile(
    r"^(mariadb-server(-core)?|mysql-server(-core-[0-9.]+)?|postgresql-[0-9]+|postgresql[0-9]*-server)\Z"
)

_REMOVES = re.compile(r"it would remove ([^\s;()]+)( \([^)]*\))?")
"""An objection to a transaction: what would go, and why that must never go."""
_MOST_TYPED = 20


def is_database_server(package: str) -> bool:
    """Given a package's name, return whether it is a database server, which must not be older than the MASTER's."""
    return _DATABASE_SERVER.match(package) is not None


def told_here(master: Iterable[PackageFact], machine: Machine) -> dict[str, PackageFact]:
    """Given the MASTER's packages, return those that can be asked for here by what names them here."""
    return {
        identity(package.name, package.architecture, machine.native): package
        for package in master
        if machine.family.name.match(package.name) and package.architecture in machine.runs
    }


def check_packages(
    facts: SlaveFacts,
    outcome: SlaveOutcome,
    hints: Hints,
    only_permissions: bool,
    applications: Mapping[str, Collection[str]] | None = None,
) -> Iterator[Check]:
    """Given what was planned, what came of it, and the applications that serve on the MASTER with the packages there of
    which one must be here, return whether the MASTER's packages are here, and as new."""
    missing, behind = missing_of(facts, outcome), behind_of(facts, outcome)
    broken = broken_of(facts, outcome)
    if only_permissions and not facts.is_blocked:
        why = "fixperm installs nothing"
        missing |= {f"module {stream}": why for stream in facts.streams}
        missing |= {package.name: why for package in facts.wanted if not package.here}
        behind |= {package.name: why for package in facts.wanted if package.here}
    # a broken database makes no application less missing; a run of fixperm knows only what would be wanted
    lacking = () if only_permissions else _without(applications or {}, missing)
    yield _check_missing(facts, missing, hints, lacking)
    hint = "A promotion runs the older version: update it by hand, or give this server the MASTER's repositories."
    title = "no package is older here than on the MASTER"
    yield judged("packages.behind", title, Verdict.AMBER, _with_reasons(behind), hint)
    title = "the package database is sound"
    yield judged("packages.database", title, Verdict.AMBER, [broken] if broken else [], hints.repair)
    said = [outcome.lists_fault] if outcome.lists_fault else []
    hint = f"Nothing was lost: what is installed stays. `{hints.lists}` shows the cause."
    yield judged("packages.lists", "the repositories answer", Verdict.AMBER, said, hint)


def _without(applications: Mapping[str, Collection[str]], missing: Mapping[str, str]) -> tuple[str, ...]:
    """Return the applications of whose packages none is here."""
    names = {name.partition(":")[0] for name in missing}
    return tuple(sorted(title for title, packages in applications.items() if packages and names.issuperset(packages)))


def _check_missing(facts: SlaveFacts, missing: Mapping[str, str], hints: Hints, lacking: Sequence[str]) -> Check:
    title = "the MASTER's packages are installed"
    if not facts.told:
        return Check("packages.missing", title, Verdict.AMBER, "the MASTER has not told which packages it has")
    hint = f"{_in_the_way(missing, hints)}What needs them will not run after a promotion."
    said = [*(f"without its packages here: {name}" for name in lacking), *_with_reasons(missing)]
    if facts.unread:
        said.append("what is installed here cannot be read")
    verdict = Verdict.RED if lacking else Verdict.AMBER
    return judged("packages.missing", title, verdict, said, f"{hint} `hotsync-slave --json` lists all of them.")


def _in_the_way(missing: Mapping[str, str], hints: Hints) -> str:
    """Return what a person types for packages that would remove others of this server, which HotSync never does; what
    must not be removed is nothing to type."""
    removed = {name: _REMOVES.findall(reason) for name, reason in missing.items()}
    asked = {name: found for name, found in removed.items() if found and not any(why for _, why in found)}
    if not asked:
        return ""
    goes = sorted({name for found in asked.values() for name, _ in found})
    return (
        f"HotSync removes nothing of this server. If nobody needs {_few(goes)} here: `{hints.install} "
        f"{' '.join(sorted(asked)[:_MOST_TYPED])}` removes that and installs what is missing; then hotsync-slave. "
    )


def _with_reasons(packages: Mapping[str, str]) -> list[str]:
    return [f"{name} ({reason})" for name, reason in sorted(packages.items())]


def outdated(told: Mapping[str, PackageFact], available: Mapping[str, Sequence[str]], order: Order) -> tuple[str, ...]:
    """Given the MASTER's packages and the versions that can be had here (the candidate first), return those that could
    be updated there. Packages that no repository of this server has are not known."""
    return tuple(
        name
        for name, package in sorted(told.items())
        if (versions := available.get(name)) and order(package.version, versions[0]) < 0
    )


def check_updates(here: Sequence[str], there: Sequence[str]) -> Check:
    """Given the updates that wait on this server and on the MASTER, return them: said, and nobody's fault."""
    said = [_waiting(names, where) for names, where in ((here, "here"), (there, "on the MASTER")) if names]
    return Check("packages.updates", "updates that wait", Verdict.GREEN, "; ".join(said))


def _waiting(names: Sequence[str], where: str, most: int = 5) -> str:
    verb = "waits" if len(names) == 1 else "wait"
    return f"{len(names)} {verb} {where} ({_few(names, most)})"


def _few(names: Sequence[str], most: int = 8) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def check_versions(
    told: Mapping[str, PackageFact],
    installed: Mapping[str, Package],
    order: Order,
    hints: Hints,
    not_older: Collection[str] = (),
) -> Check:
    """Given both sides' packages, return whether versions fit where it matters: a database needs no older server."""
    older: list[str] = []
    much_older: list[str] = []
    differing = 0
    for name, package in told.items():
        here = installed.get(name)
        if here is None or here.version == package.version:
            continue
        differing += 1
        matters = is_database_server(package.name) or package.name in not_older
        if matters and order(here.version, package.version) < 0:
            worse = order(_series(here.version), _series(package.version)) < 0
            (much_older if worse else older).append(f"{name} is {here.version}, the MASTER's {package.version}")
    hint = f"Update this server ({hints.upgrade}); an older database server may refuse the MASTER's dumps."
    verdict = Verdict.RED if much_older else Verdict.AMBER
    good = f"{differing} packages have another version here" if differing else ""
    return judged("packages.versions", "database servers are not older here", verdict, much_older + older, hint, good)


def _series(version: str) -> str:
    """Given 1:10.11.6-0+deb12u1, return 1:10.11: what a database's files and dumps depend on."""
    found = re.match(r"(?:[0-9]+:)?[0-9]+(?:\.[0-9]+)?", version)
    return found[0] if found else version


def check_repositories(said: str) -> Check:
    """Given what is to be known of the MASTER's repositories ("" if nothing), return whether they are settled."""
    hint = "hotsync-slave --accept-repositories shows them with their keys, and asks."
    title = "the MASTER's repositories are settled"
    return judged("packages.repositories", title, Verdict.AMBER, [said] if said else [], hint)
