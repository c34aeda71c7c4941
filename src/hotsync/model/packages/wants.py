"""What the SLAVE needs of the MASTER's packages: what it lacks or has older, marks and holds; names without trust."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from hotsync.model.facts import PackageFact
from hotsync.model.packages.family import ALSO_RUNS, Family, identity
from hotsync.model.packages.own import own_reason
from hotsync.model.packages.values import NotCarried, Package, Wanted


@dataclass(frozen=True, slots=True)
class Machine:
    """What this host's packages are: their family, its own architecture, and the others that it takes packages of."""

    family: Family
    native: str
    foreign: tuple[str, ...] = ()

    @property
    def runs(self) -> frozenset[str]:
        """Return every architecture of which packages can run here, whether they are taken already or not."""
        return frozenset((self.native, self.family.everywhere, *self.foreign, *ALSO_RUNS.get(self.native, ())))


@dataclass(frozen=True, slots=True)
class Marks:
    """Marks of installed packages that are to be the MASTER's: wanted by a person or not, held or held no more."""

    manual: tuple[str, ...] = ()
    automatic: tuple[str, ...] = ()
    hold: tuple[str, ...] = ()
    release: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.manual or self.automatic or self.hold or self.release)


@dataclass(frozen=True, slots=True)
class Differences:
    """What is to be installed or updated, what never is carried, and what stays older than the MASTER's, and why."""

    wanted: tuple[Wanted, ...] = ()
    not_carried: tuple[NotCarried, ...] = ()
    stays: tuple[NotCarried, ...] = ()


def differences(
    master: Iterable[PackageFact], installed: Mapping[str, Package], machine: Machine, ours: Collection[str] = ()
) -> Differences:
    """Given the MASTER's packages, ours and what we put on hold for the MASTER, return what is to be done.

    Names come from the MASTER: one that is no package name is refused here and never reaches a command line.
    """
    wanted: dict[str, Wanted] = {}
    refused: dict[str, NotCarried] = {}
    stays: list[NotCarried] = []
    for package in sorted(master, key=lambda package: (package.name, package.architecture)):
        if fault := _fault(package, machine):
            shown = package.name[:100].encode("ascii", "replace").decode()
            if shown not in installed:
                refused.setdefault(shown, NotCarried(shown, fault))
            continue
        name = identity(package.name, package.architecture, machine.native)
        here = installed.get(name)
        if here is None:
            wanted.setdefault(name, Wanted(name, package.version, package.manual))
        elif machine.family.order(here.version, package.version) >= 0:
            continue
        elif here.held and name not in ours:
            stays.append(NotCarried(name, f"{here.version} is held on this server, the MASTER has {package.version}"))
        else:
            wanted.setdefault(name, Wanted(name, package.version, package.manual, here.version))
    left_out = tuple(each for name, each in refused.items() if name not in wanted)
    return Differences(tuple(wanted.values()), left_out, tuple(stays))


def _fault(package: PackageFact, machine: Machine) -> str:
    if not machine.family.name.match(package.name) or not machine.family.version.match(package.version):
        return "its name or version is none that a package can have"
    if reason := own_reason(package.name):
        return f"this host's own: {reason}"
    if package.architecture not in machine.runs:
        where = package.architecture[:30].encode("ascii", "replace").decode()
        return f"this server does not run {where} packages"
    return ""


def new_architectures(wanted: Iterable[Wanted], machine: Machine) -> tuple[str, ...]:
    """Given what is wanted, return the architectures of which this host takes no packages yet."""
    named = {package.name.partition(":")[2] for package in wanted}
    return tuple(sorted(named - {"", *machine.foreign}))


def marks(
    master: Iterable[PackageFact],
    installed: Mapping[str, Package],
    machine: Machine,
    brought: Collection[str],
    ours: Collection[str],
) -> Marks:
    """Given both sides' packages, those that hotsync-slave brought and those that it holds for the MASTER, return what
    is to be marked anew.

    What a person wanted on this server stays so: only a package that came for the MASTER is marked as automatic.
    """
    told = {
        identity(each.name, each.architecture, machine.native): each for each in master if not _fault(each, machine)
    }
    both = [(name, told[name], installed[name]) for name in sorted(told.keys() & installed.keys())]
    return Marks(
        tuple(name for name, there, here in both if there.manual and not here.manual),
        tuple(name for name, there, here in both if name in brought and here.manual and not there.manual),
        tuple(name for name, there, here in both if there.held and not here.held),
        tuple(name for name, there, here in both if name in ours and here.held and not there.held),
    )
