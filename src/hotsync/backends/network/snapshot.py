"""What the running network is, kept to be put back: addresses, routes, sizes of packets, and what hangs on what."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass

from hotsync.backends.network import addresses as live
from hotsync.backends.network import live_routes
from hotsync.backends.network.live_links import read_masters, read_up
from hotsync.errors import CommandFailed
from hotsync.model.network.values import Address
from hotsync.system import command

_PASSING = frozenset(("linkdown", "dead", "offload", "rt_offload", "trap", "rt_trap", "unresolved", "notify"))
_OF_THE_KERNEL = frozenset(("local", "broadcast", "anycast", "multicast"))
_GIVEN = ("proto boot", "proto static")
"""How routes are marked that a person or a network program gave: no daemon's, and none that comes with an address."""


@dataclass(frozen=True, slots=True)
class Neighbour:
    """Who answered, on which interface, and from which hardware address."""

    address: Address
    mac: str


@dataclass(frozen=True, slots=True)
class Before:
    """The network before a change; `made` are interfaces that it makes, `neighbours` who answered, `up` the interfaces
    that were on, `mtus` the size of their packets."""

    addresses: tuple[Address, ...]
    masters: tuple[tuple[str, str], ...]
    routes: tuple[str, ...]
    made: tuple[str, ...] = ()
    neighbours: tuple[Neighbour, ...] = ()
    up: tuple[str, ...] = ()
    mtus: tuple[tuple[str, int], ...] = ()


def read_before(made: Iterable[str] = (), neighbours: Iterable[Neighbour] = ()) -> Before:
    """Return the network as it runs now."""
    masters = tuple(sorted(read_masters().items()))
    routes, up = _routes("-4") + _routes("-6"), tuple(sorted(read_up()))
    mtus = tuple(live_routes.read_mtus().items())
    return Before(live.read_addresses(), masters, routes, tuple(made), tuple(neighbours), up, mtus)


def _routes(version: str) -> tuple[str, ...]:
    """Return the routes of a family, of all tables, as words that `ip route replace` takes, each after the family."""
    found: list[str] = []
    several = False
    for line in command.run(["ip", "-d", version, "route", "show", "table", "all"]).text.splitlines():
        words = [word for word in line.split() if word not in _PASSING]
        if line[:1].isspace():
            if several and words[:1] == ["nexthop"]:  # one of a route of several ways
                found[-1] = " ".join((found[-1], *words))
            continue
        for passing in ("expires", "nhid"):
            if passing in words:
                at = words.index(passing)
                del words[at : at + 2]
        several = not _is_kernels(words)
        found += [" ".join((version, *words))] if several else []
    return tuple(found)


def _is_kernels(words: list[str]) -> bool:
    """Return whether a route is there by itself, whatever anybody says."""
    own = "kernel" in words and (words[0] == "unreachable" or words[1].startswith("fe80::"))
    return own or words[0] in _OF_THE_KERNEL


def restore(before: Before) -> list[str]:
    """Put the network back as it was; what does not work stops nothing. Return what did not, in words."""
    failed: list[str] = []

    def do(*words: str) -> None:
        try:
            command.run(["ip", *words])
        except CommandFailed as error:
            failed.append(error.sentence)

    there = read_masters()
    for name in reversed([name for name in before.made if name in there]):
        do("link", "delete", "dev", name)
    there = read_masters()
    for name, master in before.masters:
        if name in there and there[name] != master:
            do("link", "set", "dev", name, *(["master", master] if master else ["nomaster"]))
            do("link", "set", "dev", name, "up")
    on = read_up()
    for name in (name for name in before.up if name in there and name not in on):
        do("link", "set", "dev", name, "up")  # its routes went with it, and its IPv6 addresses
    mtus = live_routes.read_mtus()
    # none is larger than that of what it stands on
    for name, mtu in sorted(before.mtus, key=lambda each: -each[1]):
        if mtus.get(name, mtu) != mtu:
            do("link", "set", "dev", name, "mtu", str(mtu))
    now = live.read_addresses()
    for address in (each for each in before.addresses if each not in now and each.interface in there):
        do(*live.give(address))
    for address in (each for each in now if each not in before.addresses):
        do("address", "delete", str(address), "dev", address.interface)
    for version in ("-4", "-6"):
        _restore_routes(before, version, do)
    return failed


def _restore_routes(before: Before, version: str, do: Callable[..., None]) -> None:
    """Give a family its routes again, and take those away that came since: default ones, and what was given to the
    interfaces that were there before."""
    mine = [line for line in before.routes if line.startswith(version)]
    names = {name for name, _ in before.masters}
    for line in (line for line in _routes(version) if line not in mine and _came_since(line, names)):
        do(version, "route", "delete", *line.split()[1:])
    there = _routes(version)
    left = [line for line in mine if line not in there]
    known = {_place(line) for line in mine if line in there}
    # one that leads through a gateway needs the one that leads to the gateway
    for line in sorted(left, key=lambda line: " via " in line):
        # beside one of the same metric, not in its place
        do(version, "route", "append" if _place(line) in known else "replace", *line.split()[1:])
        known.add(_place(line))


def _came_since(line: str, names: Collection[str]) -> bool:
    words = line.split()
    cards = [words[at + 1] for at, word in enumerate(words[:-1]) if word == "dev"]
    given = any(mark in line for mark in _GIVEN) and bool(cards) and all(card in names for card in cards)
    return given or (words[1:3] == ["unicast", "default"] and _said(words, "table", "main") == "main")


def _place(line: str) -> tuple[str, str, str, str]:
    """Return what only one route has, unless others were appended to it."""
    words = line.split()
    to = words[2] if words[1].isalpha() and words[1] != "default" else words[1]
    return to, _said(words, "table", "main"), _said(words, "metric", ""), _said(words, "tos", "")


def _said(words: list[str], key: str, default: str) -> str:
    return words[words.index(key) + 1] if key in words else default
