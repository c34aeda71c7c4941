"""What hotsync-slave plans with of packages, and what it says of them; where nothing changed, nothing is asked."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from hotsync.backends.packages import detect
from hotsync.errors import CommandFailed
from hotsync.model.facts import PackageFact, StreamFact
from hotsync.model.packages.checks import check_packages, check_updates, check_versions, outdated, told_here
from hotsync.model.packages.family import family_of
from hotsync.model.packages.local import LocalPackage
from hotsync.model.packages.module_streams import StreamDifferences, own_among, stream_differences
from hotsync.model.packages.values import NotCarried, Package, Wanted
from hotsync.model.packages.wants import Machine, differences, marks, new_architectures
from hotsync.model.ports.package_manager import PackageManager
from hotsync.model.report import Check
from hotsync.model.slave import SlaveFacts, SlaveOutcome
from hotsync.state.local_packages import load_accepted
from hotsync.state.slave_packages import load_brought, load_held
from hotsync.state.slave_run import SlaveRun
from hotsync.system.paths import Paths

REFRESH_AFTER = 6 * 3600.0
"""While all packages are here, lists are refreshed only to tell which updates wait."""
_KEPT = frozenset(("packages.missing", "packages.behind", "packages.database", "packages.versions", "packages.updates"))


@dataclass(frozen=True, slots=True)
class Standing:
    """This host's package manager, what the MASTER has, what the last run found, what is of no repository there, and
    the streams of its modules."""

    paths: Paths
    manager: PackageManager
    master: tuple[PackageFact, ...]
    last: SlaveRun
    local: tuple[LocalPackage, ...] = ()
    streams: tuple[StreamFact, ...] = ()

    def digest(self) -> str:
        """Return a digest of all that packages are planned with: while it stays, so does what was found."""
        told = hashlib.sha256(self.manager.digest().encode())
        for told_of in (*self.master, *self.streams):
            told.update(f"{told_of!r}\n".encode("utf-8", "surrogateescape"))
        if self.local:
            told.update(repr((self.local, sorted(load_accepted(self.paths)))).encode("utf-8", "backslashreplace"))
        return told.hexdigest()


def read_package_facts(standing: Standing, facts: SlaveFacts) -> SlaveFacts:
    """Given what is known already, return it with what is to be known of packages."""
    manager, told, last = standing.manager, standing.master, standing.last
    if (
        last.digest
        and not last.missing
        and not last.behind
        and not manager.was_cut
        and last.digest == standing.digest()
    ):
        left_out = tuple(NotCarried(each.name, each.reason) for each in last.not_carried)
        return replace(facts, settled=True, not_carried=left_out)
    try:
        machine, installed = manager.machine(), manager.installed()
        broken, cut = manager.broken(), manager.was_cut
    except CommandFailed as error:
        # accounts, mute and readiness need no package database; of packages what the last run missed is missing still
        missed = tuple(Wanted(each.name, "", manual=False) for each in last.missing)
        return replace(facts, broken=_unread(error), unread=True, wanted=missed)
    held = load_held(standing.paths)
    theirs = family_of(told)
    other = ""
    if theirs is not None and theirs is not machine.family:
        other = f"the MASTER's packages are {theirs.title}, this server's are {machine.family.title}"
    found = differences(told, installed, machine, held)
    streams = _streams(standing, machine, installed, held)
    return replace(
        facts,
        wanted=found.wanted,
        not_carried=found.not_carried,
        stays=found.stays,
        streams=streams.wanted,
        streams_stay=streams.stays,
        architectures=new_architectures(found.wanted, machine),
        marks=marks(told, installed, machine, load_brought(standing.paths), held),
        other_family=other,
        broken=broken,
        install_cut=cut,
    )


def _unread(error: CommandFailed) -> str:
    """Return in one line what a program says of a database that it cannot read."""
    return " ".join(error.stderr.split())[:500] or str(error.facts["detail"])


def _streams(
    standing: Standing, machine: Machine, installed: Mapping[str, Package], held: Collection[str]
) -> StreamDifferences:
    """Return what is to be done about modules; nothing is asked where they are as on the MASTER."""
    modules = detect.streams_of(standing.paths)
    here = modules.here()
    if frozenset(standing.streams) <= frozenset(here):
        return StreamDifferences()
    seen = {name: replace(each, held=each.held and name not in held) for name, each in installed.items()}
    told, brought = told_here(standing.master, machine), load_brought(standing.paths)
    own = own_among(modules.packages(), seen, told, brought, machine.family.order)
    return stream_differences(standing.streams, here, own)


def read_package_checks(
    standing: Standing,
    facts: SlaveFacts,
    outcome: SlaveOutcome,
    now: float,
    not_older: Collection[str] = (),
    applications: Mapping[str, Collection[str]] | None = None,
) -> Iterator[Check]:
    """Given the facts, what came of the plan, and the applications that serve on the MASTER with their packages there,
    return whether the packages are as they should be.

    The lists are refreshed here unless the plan did, or it was done lately and nothing changed since.
    """
    last = standing.last
    fresh = facts.settled and not _had(last, "packages.lists") and now - last.refreshed_at < REFRESH_AFTER
    if not fresh and not outcome.refreshed:
        outcome.lists_fault, outcome.refreshed = standing.manager.refresh(), True
    checks = list(check_packages(facts, outcome, standing.manager.hints, False, applications))
    if facts.settled and (fresh or standing.digest() == last.digest):
        yield from (each for each in checks if each.name not in _KEPT)
        yield from (each for each in last.checks if each.name in _KEPT)
        return
    yield from checks
    if facts.unread:
        return
    manager, machine = standing.manager, standing.manager.machine()
    told = told_here(standing.master, machine)
    yield check_versions(told, manager.installed(), machine.family.order, manager.hints, not_older)
    yield check_updates(manager.updates(), outdated(told, manager.available(told), machine.family.order))


def _had(last: SlaveRun, name: str) -> bool:
    return any(check.name == name and check.detail for check in last.checks)


def without_asking(facts: SlaveFacts, outcome: SlaveOutcome, manager: PackageManager) -> Sequence[Check]:
    """Return what can be said of packages by a run that looks after accounts only."""
    return tuple(check_packages(facts, outcome, manager.hints, only_permissions=True))
