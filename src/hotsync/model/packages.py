"""Packages as values: what is installed, what is this host's own, and what a transaction would do."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from hotsync.model.facts import PackageFact
from hotsync.model.own_packages import own_reason

PACKAGE_NAME = re.compile(r"^[a-z0-9][a-z0-9+.-]{0,99}\Z")
PACKAGE_VERSION = re.compile(r"^[0-9][A-Za-z0-9.+:~-]{0,199}\Z")


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
    """What the SLAVE lacks: name and the MASTER's version, and whether it is marked as wanted by a person."""

    name: str
    version: str
    manual: bool


def missing_packages(
    master: Iterable[PackageFact], installed: Mapping[str, Package], architectures: frozenset[str]
) -> tuple[tuple[Wanted, ...], tuple[NotCarried, ...]]:
    """Given the MASTER's packages, ours and our architectures, return what is to be installed and what never is.

    Names come from the MASTER: one that is no package name is refused here and never reaches a command line.
    """
    wanted: dict[str, Wanted] = {}
    refused: dict[str, NotCarried] = {}
    for package in sorted(master, key=lambda package: package.name):
        if package.name in installed:
            continue
        if not PACKAGE_NAME.match(package.name) or not PACKAGE_VERSION.match(package.version):
            name = package.name[:100].encode("ascii", "replace").decode()
            refused[name] = NotCarried(name, "its name or version is none that a package can have")
        elif reason := own_reason(package.name):
            refused[package.name] = NotCarried(package.name, f"this host's own: {reason}")
        elif package.architecture not in architectures:
            where = package.architecture[:30].encode("ascii", "replace").decode()
            refused.setdefault(package.name, NotCarried(package.name, f"this server does not run {where} packages"))
        else:
            wanted.setdefault(package.name, Wanted(package.name, package.version, package.manual))
    left_out = tuple(each for name, each in refused.items() if name not in wanted)
    return tuple(wanted.values()), left_out


@dataclass(frozen=True, slots=True)
class Choice:
    """What is asked of the package manager for the packages that are wanted: words `name=version`, and what cannot be.

    `other_version` maps names to the version that is taken because the MASTER's cannot be had.
    """

    words: tuple[str, ...]
    other_version: Mapping[str, str]
    unavailable: tuple[str, ...]


def choose(wanted: Iterable[Wanted], available: Mapping[str, Sequence[str]]) -> Choice:
    """Given what is wanted and the versions that can be had (the candidate first), return what to ask for."""
    words: list[str] = []
    other: dict[str, str] = {}
    unavailable: list[str] = []
    for package in wanted:
        versions = available.get(package.name, ())
        if package.version in versions:
            words.append(f"{package.name}={package.version}")
        elif versions:
            other[package.name] = versions[0]
            words.append(f"{package.name}={versions[0]}")
        else:
            unavailable.append(package.name)
    return Choice(tuple(words), other, tuple(unavailable))


def resolve(
    words: Sequence[str], ask: Callable[[Sequence[str]], Sequence[str]]
) -> tuple[tuple[str, ...], dict[str, str]]:
    """Given words and a question that returns every objection to asking for several of them, return those that go
    together, as many as can be found by halving, and by name why the others do not."""
    accepted: list[str] = []
    refused: dict[str, str] = {}
    waiting = [list(words)] if words else []
    while waiting:
        group = waiting.pop()
        reasons = ask([*accepted, *group])
        if not reasons:
            accepted += group
        elif len(group) == 1:
            refused[group[0].partition("=")[0]] = "; ".join(reasons)
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


def objections(transaction: Transaction, installed: Mapping[str, Package]) -> tuple[str, ...]:
    """Given a simulated transaction, return every reason why it must not run (none: it may)."""
    found: list[str] = []
    for name in transaction.removes:
        found.append(f"it would remove {name}" + (f" ({own_reason(name)})" if own_reason(name) else ""))
    for name, old, new in transaction.upgrades:
        here = installed.get(name)
        if reason := own_reason(name):
            found.append(f"it would change {name} from {old} to {new} ({reason})")
        elif here and here.held:
            found.append(f"it would change {name} from {old} to {new}, which is held on this server")
        elif compare_versions(new, old) < 0:
            found.append(f"it would put {name} back from {old} to {new}")
    for name, _ in transaction.installs:
        if name not in installed and (reason := own_reason(name)):
            found.append(f"it would install {name} ({reason})")
    return tuple(found)


def compare_versions(left: str, right: str) -> int:
    """Given two versions, return -1, 0 or 1 as Debian's rules order them."""
    ours, theirs = _version_key(left), _version_key(right)
    if ours[0] != theirs[0]:
        return -1 if ours[0] < theirs[0] else 1
    return _compare_part(ours[1], theirs[1]) or _compare_part(ours[2], theirs[2])


def _version_key(version: str) -> tuple[int, str, str]:
    epoch, colon, rest = version.partition(":")
    if not colon:
        epoch, rest = "0", version
    upstream, dash, revision = rest.rpartition("-")
    return (int(epoch) if epoch.isdigit() else 0, upstream if dash else rest, revision if dash else "")


def _compare_part(left: str, right: str) -> int:
    """Compare by turns what is no digit (where ~ sorts before the end, letters before other signs) and numbers."""
    ours, theirs = _turns(left), _turns(right)
    for place in range(max(len(ours), len(theirs))):
        one = ours[place] if place < len(ours) else ((0,), 0)
        other = theirs[place] if place < len(theirs) else ((0,), 0)
        if one != other:
            return -1 if one < other else 1
    return 0


def _turns(text: str) -> list[tuple[tuple[int, ...], int]]:
    turns: list[tuple[tuple[int, ...], int]] = []
    for signs, digits in re.findall(r"([^0-9]*)([0-9]*)", text):
        if signs or digits:
            turns.append(((*(_weight(sign) for sign in signs), 0), int(digits or 0)))
    return turns


def _weight(sign: str) -> int:
    if sign == "~":
        return -1
    return ord(sign) if sign.isalpha() else ord(sign) + 256
