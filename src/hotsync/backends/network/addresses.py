"""Addresses on the running interfaces: read and added by `ip`; who else holds one, asked on wires; neighbours told."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from hotsync.backends.network.wires import Wire, answering
from hotsync.model.network.values import Address
from hotsync.system import command

_NO_BROADCAST = 31
"""From this prefix length on a network of IPv4 has no address for all."""


def parse_addresses(text: str, *, fixed_only: bool = False, without_routers: bool = False) -> tuple[Address, ...]:
    """Given the output of `ip -j address show`, return the addresses that were given to interfaces, lo left out.

    With `fixed_only` without those that a DHCP server or a router lent; `without_routers`: without those that this host
    made of a router's announcement.
    """
    found: list[Address] = []
    links: list[dict[str, Any]] = json.loads(text or "[]")
    for link in links:
        if link.get("ifname") == "lo":
            continue
        for info in link.get("addr_info", ()):
            made = info.get("temporary") or info.get("mngtmpaddr") or (without_routers and _is_announced(info))
            if info.get("scope") in ("global", "site") and not made and not (fixed_only and info.get("dynamic")):
                found.append(Address(link["ifname"], info["local"], info["prefixlen"]))
    return tuple(found)


def _is_announced(info: dict[str, Any]) -> bool:
    """Return whether an address is of a prefix that a router announced; a DHCP server lends single ones."""
    return bool(info.get("dynamic")) and info.get("family") == "inet6" and info.get("prefixlen") != 128


def read_addresses(*, fixed_only: bool = False, without_routers: bool = False) -> tuple[Address, ...]:
    """Return the addresses of this host now, link-local and temporary ones left out."""
    shown = command.run(["ip", "-j", "address", "show"]).text
    return parse_addresses(shown, fixed_only=fixed_only, without_routers=without_routers)


def read_interfaces() -> frozenset[str]:
    """Return the names of this host's interfaces."""
    links: list[dict[str, Any]] = json.loads(command.run(["ip", "-j", "link", "show"]).text)
    return frozenset(str(link["ifname"]) for link in links)


def read_gateways() -> tuple[Address, ...]:
    """Return the default gateways in use."""
    found: list[Address] = []
    for version in ("-4", "-6"):
        routes: list[dict[str, Any]] = json.loads(
            command.run(["ip", "-j", version, "route", "show", "default"]).text or "[]"
        )
        for route in routes:
            if "gateway" in route:
                gateway = ipaddress.ip_address(route["gateway"])
                found.append(Address(route["dev"], str(gateway), gateway.max_prefixlen))
    return tuple(found)


def add(address: Address) -> None:
    """Give an interface that is up an address; one that it has is fine."""
    command.run(["ip", "link", "set", "dev", address.interface, "up"])
    command.run(["ip", *give(address)])


def give(address: Address) -> list[str]:
    """Return the words for `ip` that give an interface an address as those who look after networks give it."""
    words = ["address", "replace", str(address), "dev", address.interface]
    if address.version == 6:
        # no duplicate address detection: whether somebody else has it was asked before, and it takes a second
        return [*words, "nodad"]
    # networkd takes one without a broadcast address for none of its own, and gives it again without end
    return [*words, "broadcast", "+"] if address.prefix < _NO_BROADCAST else words


def prefer(address: Address) -> None:
    """Make an IPv4 address the source of what is sent into its network, beside others that were there before it."""
    if address.version == 4 and address.prefix < _NO_BROADCAST:
        network = ipaddress.ip_interface(str(address)).network
        same = ["proto", "kernel", "scope", "link"]  # as the kernel's own, which it takes the place of
        command.run(["ip", "route", "replace", str(network), "dev", address.interface, *same, "src", address.address])


def set_gateway(gateway: Address, source: Address | None, *, on_link: bool) -> None:
    """Make an address the default gateway, and `source` the address of what is sent there.

    One that is in no network of ours (`on_link` false) is asked for on the wire all the same.
    """
    version = f"-{gateway.version}"
    extra = ["src", source.address] if source is not None else []
    extra += [] if on_link else ["onlink"]
    route = ["default", "via", gateway.address, "dev", gateway.interface]
    command.run(["ip", version, "route", "replace", *route, *extra])


def announce(addresses: Iterable[Address]) -> None:
    """Tell all neighbours that these addresses live here now: gratuitous ARP, unsolicited neighbour advertisement."""
    for address in addresses:
        with suppress(OSError):  # a cable that is out is no reason to stop; the network tells by itself when it is in
            wire = Wire(address.interface)
            try:
                wire.announce(address.address)
            finally:
                wire.close()


def holders(addresses: Iterable[Address], seconds: float) -> dict[str, str]:
    """Given addresses on interfaces of this host, ask who has each; return address -> hardware address."""
    return {address.address: mac for address, mac in answering(addresses, seconds).items()}


def heard(interfaces: Iterable[str], addresses: Iterable[str], seconds: float) -> dict[str, dict[str, str]]:
    """Given interfaces that are up, ask on the wire of each for every address; return by interface which answered
    there, with the hardware address that did."""
    names, wanted = tuple(interfaces), tuple(addresses)
    found: dict[str, dict[str, str]] = {name: {} for name in names}
    for each, mac in answering((Address(name, one, 32) for name in names for one in wanted), seconds).items():
        found[each.interface][each.address] = mac
    return found
