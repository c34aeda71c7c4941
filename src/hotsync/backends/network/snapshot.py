"""What the running network is, kept so that it can be put back: addresses, routes, and what hangs on what."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass

from hotsync.backends.network import addresses as live
from hotsync.backends.network.live_links import read_masters, read_up
from hotsync.errors import CommandFailed
from hotsync.model.network.values import Address
from hotsync.system import command

_PASSING = frozenset(("linkdown", "dead", "offload", "notify"))


@dataclass(frozen=True, slots=True)
class Neighbour:
    """Who answered, on which interface, and from which hardware address."""

    address: Address
    mac: str


@dataclass(frozen=True, slots=True)
class Before:
    """The network before a change; `made` are interfaces that it makes, `neighbours` who answered, `up` the interfaces
    that were on."""

    addresses: tuple[Address, ...]
    masters: tuple[tuple[str, str], ...]
    routes: tuple[str, ...]
    made: tuple[str, ...] = ()
    neighbours: tuple[Neighbour, ...] = ()
    up: tuple[str, ...] = ()


def read_before(made: Iterable[str] = (), neighbours: Iterable[Neighbour] = ()) -> Before:
    """Return the network as it runs now."""
    masters = tuple(sorted(read_masters().items()))
    routes, up = _routes("-4") + _routes("-6"), tuple(sorted(read_up()))
    return Before(live.read_addresses(), masters, routes, tuple(made), tuple(neighbours), up)


def _routes(version: str) -> tuple[str, ...]:
    """Return the routes of a family as words that `ip route replace` takes, each after the family."""
    found: list[str] = []
    for line in command.run(["ip", version, "route", "show"]).text.splitlines():
        if line.startswith(("fe80::", "unreachable", "\t", " ")):
            continue  # the kernel's own, and the parts of a route of several ways
        words = [word for word in line.split() if word not in _PASSING]
        if "expires" in words:
            at = words.index("expires")
            del words[at : at + 2]
        found.append(" ".join((version, *words)))
    return tuple(found)


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
    now = live.read_addresses()
    for address in (each for each in before.addresses if each not in now and each.interface in there):
        do(*live.give(address))
    for address in (each for each in now if each not in before.addresses):
        do("address", "delete", str(address), "dev", address.interface)
    for version in ("-4", "-6"):
        mine = [line.partition(" ")[2] for line in before.routes if line.startswith(version)]
        if [line.partition(" ")[2] for line in _routes(version)] == mine:
            continue
        with suppress(CommandFailed):  # there may be none
            command.run(["ip", version, "route", "flush", "default"])
        # one that leads through a gateway needs the one that leads to the gateway
        for line in sorted(mine, key=lambda line: " via " in line):
            do(version, "route", "replace", *line.split())
    return failed
