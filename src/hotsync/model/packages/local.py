"""Packages of no repository: which of the MASTER's are such, what travels of them, and why one does not."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from hotsync.model.packages.family import Order, identity
from hotsync.model.packages.own import own_reason
from hotsync.model.packages.values import Package
from hotsync.model.packages.wants import Machine

LARGEST_FILE = 1024**3
LARGEST_SUM = 4 * 1024**3

NO_TOOL, NO_FILE, FAILED, TOO_LARGE, NO_ROOM, TOO_MANY = (
    "no-tool", "no-file", "failed", "too-large", "no-room", "too-many",
)  # fmt: skip
_LACKS = {
    NO_TOOL: "the MASTER has its file no more: install dpkg-repack there, or lay it into /var/lib/hotsync/packages",
    NO_FILE: "the MASTER has its file no more: lay it into /var/lib/hotsync/packages there",
    FAILED: "the MASTER could not build its file anew (its system log has more)",
    TOO_LARGE: "its file is larger than what is carried of such packages",
    NO_ROOM: "the MASTER has no room to build its file anew",
    TOO_MANY: "the MASTER has too many such packages to carry: set up the repositories there that they are from",
}


@dataclass(frozen=True, slots=True)
class LocalPackage:
    """A package that no repository of the MASTER has in this version.

    `sha256` and `size` are those of its file, which travels under that name ("": it cannot be had, `lack` says why);
    `rebuilt` says that it was built anew of what is installed; `seen` tells the MASTER whether it was installed again
    since.
    """

    name: str
    version: str
    architecture: str
    sha256: str = ""
    size: int = 0
    rebuilt: bool = False
    seen: str = ""
    lack: str = ""

    @property
    def reason(self) -> str:
        """Return why its file did not travel, in our own words."""
        return _LACKS.get(self.lack, _LACKS[FAILED])


def find_local(
    installed: Mapping[str, Package], offered: Mapping[str, Sequence[str]], order: Order
) -> tuple[tuple[str, Package], ...]:
    """Given what is installed and the versions that repositories offer, by name, return what is of no repository.

    What a repository has newer is one of its own that waits for an update, unless it is held.
    """
    return tuple(
        (name, here)
        for name, here in sorted(installed.items())
        if here.version not in offered.get(name, ())
        and (here.held or not any(order(version, here.version) > 0 for version in offered.get(name, ())))
        and not own_reason(name)
    )


def are_too_many(found: int, installed: int, most: int = 50) -> bool:
    """Given how many packages are of no repository, of how many, return whether these are more than a person would have
    installed from files: then it is the lists of repositories that are incomplete."""
    return found > max(most, installed // 10)


def carried_here(told: Iterable[LocalPackage], machine: Machine) -> tuple[LocalPackage, ...]:
    """Given what the MASTER told, return those that may ever be asked for here; names come without trust."""
    return tuple(
        each
        for each in told
        if machine.family.name.match(each.name)
        and machine.family.version.match(each.version)
        and each.architecture in machine.runs
        and not own_reason(each.name)
    )


def to_accept(
    carried: Iterable[LocalPackage], installed: Mapping[str, Package], accepted: Collection[str], machine: Machine
) -> tuple[LocalPackage, ...]:
    """Given what may be asked for here, what is installed, and the files that were accepted (SHA-256), return those of
    which a person must be asked."""
    return tuple(
        each
        for each in carried
        if each.sha256
        and each.sha256 not in accepted
        and ((here := installed.get(identity(each.name, each.architecture, machine.native))) is None
             or machine.family.order(here.version, each.version) < 0)
    )  # fmt: skip
