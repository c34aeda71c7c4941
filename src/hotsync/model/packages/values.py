"""Packages as values: what is installed, what is asked for, and what a transaction would do."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from hotsync.model.packages.family import Order
from hotsync.model.packages.own import own_reason


@dataclass(frozen=True, slots=True)
class Package:
    """An installed package; `manual` is the package manager's mark, `essential` that it must not be removed."""

    name: str
    version: str
    architecture: str
    manual: bool = False
    held: bool = False
    essential: bool = False


@dataclass(frozen=True, slots=True)
class NotCarried:
    """A package of the MASTER that the SLAVE does not get, and why."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the SLAVE lacks: name (`name:architecture` where it is a foreign one), the MASTER's version, and whether a
    person wanted it there; `here` is the older version that this server has ("": it has none)."""

    name: str
    version: str
    manual: bool
    here: str = ""


@dataclass(frozen=True, slots=True)
class Request:
    """One version of a package, asked of the package manager; `file` is where its file lies on this host if it is of
    no repository."""

    name: str
    version: str
    file: str = ""


@dataclass(frozen=True, slots=True)
class Choice:
    """What is asked of the package manager for the packages that are wanted, and what cannot be had."""

    requests: tuple[Request, ...]
    unavailable: tuple[str, ...]


def choose(
    wanted: Iterable[Wanted],
    available: Mapping[str, Sequence[str]],
    order: Order,
    local: Mapping[str, str] | None = None,
) -> Choice:
    """Given what is wanted, the versions that can be had (the candidate first) and, by name, the files of the MASTER's
    versions that are of no repository, return what to ask for.

    It is the MASTER's version, else the candidate, if that is newer than what is here.
    """
    files = local or {}
    requests: list[Request] = []
    unavailable: list[str] = []
    for package in wanted:
        versions = available.get(package.name, ())
        if package.version in versions:
            requests.append(Request(package.name, package.version))
        elif file := files.get(package.name):
            requests.append(Request(package.name, package.version, file))
        elif versions and (not package.here or order(versions[0], package.here) > 0):
            requests.append(Request(package.name, versions[0]))
        else:
            unavailable.append(package.name)
    return Choice(tuple(requests), tuple(unavailable))


def resolve(
    requests: Sequence[Request], ask: Callable[[Sequence[Request]], Sequence[str]]
) -> tuple[tuple[Request, ...], dict[str, str]]:
    """Given requests and a question that returns every objection to several of them, return those that go together, as
    many as can be found by halving, and by name why the others do not."""
    accepted: list[Request] = []
    refused: dict[str, str] = {}
    waiting = [list(requests)] if requests else []
    while waiting:
        group = waiting.pop()
        reasons = ask([*accepted, *group])
        if not reasons:
            accepted += group
        elif len(group) == 1:
            refused[group[0].name] = "; ".join(reasons)
        else:
            half = len(group) // 2
            waiting += [group[half:], group[:half]]
    return tuple(accepted), refused


@dataclass(frozen=True, slots=True)
class Transaction:
    """What a simulated transaction would do: names with versions installed, upgraded from, and names removed."""

    installs: tuple[tuple[str, str], ...] = ()
    upgrades: tuple[tuple[str, str, str], ...] = ()
    removes: tuple[str, ...] = ()

    @property
    def comes(self) -> tuple[tuple[str, str], ...]:
        """Return names and versions of what is unpacked: what is new here, and what is newer."""
        return (*self.installs, *((name, new) for name, _, new in self.upgrades))


@dataclass(frozen=True, slots=True)
class Space:
    """Bytes that a transaction takes: of package files, and of what is in them."""

    files: int
    unpacked: int


@dataclass(frozen=True, slots=True)
class Room:
    """A disk: how large it is and what is free, in bytes."""

    total: int
    free: int


def lacks_room(needed: int, room: Room, keep: float = 0.02) -> str:
    """Given what a transaction takes of a disk, return why it must not run there ("": there is room).

    A disk that gets full while packages are unpacked leaves them half configured; a little is always left.
    """
    if needed + int(room.total * keep) <= room.free:
        return ""
    return f"there is no room: {_mib(needed)} needed, {_mib(room.free)} free"


def _mib(size: int) -> str:
    return f"{max(1, round(size / 2**20)) if size else 0} MiB"


def objections(transaction: Transaction, installed: Mapping[str, Package], order: Order) -> tuple[str, ...]:
    """Given a simulated transaction, return every reason why it must not run (none: it may)."""
    found: list[str] = []
    for name in transaction.removes:
        here = installed.get(name)
        why = own_reason(name) or ("essential" if here and here.essential else "")
        found.append(f"it would remove {name}" + (f" ({why})" if why else ""))
    for name, old, new in transaction.upgrades:
        here = installed.get(name)
        if reason := own_reason(name):
            found.append(f"it would change {name} from {old} to {new} ({reason})")
        elif here and here.held:
            found.append(f"it would change {name} from {old} to {new}, which is held on this server")
        elif order(new, old) < 0:
            found.append(f"it would put {name} back from {old} to {new}")
    for name, _ in transaction.installs:
        if name not in installed and (reason := own_reason(name)):
            found.append(f"it would install {name} ({reason})")
    return tuple(found)
