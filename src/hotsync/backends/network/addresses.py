"""Addresses on the running interfaces: read and added by `ip`; who else holds one, asked by ARP; neighbours told."""

from __future__ import annotations

import ipaddress
import json
import select
import socket
import struct
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from hotsync.backends.network.arp import BROADCAST, ETHERTYPE, decode, encode, encode_probe, rival
from hotsync.model.network import Address
from hotsync.system import command

_NA_OVERRIDE = 0x20000000


def parse_addresses(text: str, *, fixed_only: bool = False) -> tuple[Address, ...]:
    """Given the output of `ip -j address show`, return the addresses that were given to interfaces, lo left out.

    With `fixed_only` without those that a DHCP server or a router lent.
    """
    found: list[Address] = []
    links: list[dict[str, Any]] = json.loads(text or "[]")
    for link in links:
        if link.get("ifname") == "lo":
            continue
        for info in link.get("addr_info", ()):
            passing = info.get("temporary") or info.get("mngtmpaddr") or (fixed_only and info.get("dynamic"))
            if info.get("scope") in ("global", "site") and not passing:
                found.append(Address(link["ifname"], info["local"], info["prefixlen"]))
    return tuple(found)


def read_addresses(*, fixed_only: bool = False) -> tuple[Address, ...]:
    """Return the addresses of this host now, link-local and temporary ones left out."""
    return parse_addresses(command.run(["ip", "-j", "address", "show"]).text, fixed_only=fixed_only)


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
    # no duplicate address detection: whether somebody else has it was asked before, and it takes a second
    extra = ["nodad"] if address.version == 6 else []
    command.run(["ip", "address", "replace", str(address), "dev", address.interface, *extra])


def prefer(address: Address) -> None:
    """Make an IPv4 address the source of what is sent into its network, beside others that were there before it."""
    if address.version == 4 and address.prefix < 31:
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
            if address.version == 4:
                _announce_4(address)
            else:
                _announce_6(address)


def holders(addresses: Iterable[Address], seconds: float) -> dict[str, str]:
    """Given IPv4 addresses on interfaces of this host, ask who has each; return address -> hardware address."""
    wanted = [address for address in addresses if address.version == 4]
    sockets: dict[int, tuple[socket.socket, bytes]] = {}
    found: dict[str, str] = {}
    try:
        for interface in {address.interface for address in wanted}:
            with suppress(OSError):
                channel, own = arp_socket(interface)
                sockets[channel.fileno()] = (channel, own)
                for address in (each for each in wanted if each.interface == interface):
                    for _ in range(2):
                        channel.send(encode_probe(own, address.address))
        _collect({address.address for address in wanted}, sockets, found, seconds)
    finally:
        for channel, _ in sockets.values():
            channel.close()
    return found


def heard(interfaces: Iterable[str], addresses: Iterable[str], seconds: float) -> dict[str, dict[str, str]]:
    """Given interfaces that are up, ask on the wire of each for every IPv4 address; return by interface which answered
    there, with the hardware address that did."""
    wanted = [address for address in addresses if ipaddress.ip_address(address).version == 4]
    found: dict[str, dict[str, str]] = {}
    with ThreadPoolExecutor(max_workers=8) as pool:
        asking = {
            name: pool.submit(holders, [Address(name, address, 32) for address in wanted], seconds)
            for name in interfaces
            if wanted
        }
        for name, answer in asking.items():
            found[name] = answer.result()
    return found


def _collect(
    wanted: set[str], sockets: dict[int, tuple[socket.socket, bytes]], found: dict[str, str], seconds: float
) -> None:
    end = time.monotonic() + seconds
    while sockets and wanted - found.keys() and (left := end - time.monotonic()) > 0:
        ready, _, _ = select.select(list(sockets), [], [], left)
        for descriptor in ready:
            channel, own = sockets[descriptor]
            try:
                seen = decode(channel.recv(2048))
            except OSError:  # the interface is down: nobody will be heard there
                sockets.pop(descriptor)[0].close()
                continue
            if seen is not None and (address := rival(seen, frozenset({own.hex(":")}), frozenset(wanted))):
                found[address] = seen.sender_mac


def arp_socket(interface: str) -> tuple[socket.socket, bytes]:
    """Given an interface, return a socket that hears its ARP, and its hardware address; raise OSError."""
    channel = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETHERTYPE))
    channel.bind((interface, ETHERTYPE))
    return channel, channel.getsockname()[4]


def _announce_4(address: Address) -> None:
    channel, own = arp_socket(address.interface)
    try:
        packed = socket.inet_aton(address.address)
        for request in (True, False, True):  # some listen to one kind only
            channel.send(encode(own, packed, BROADCAST if not request else b"\0" * 6, packed, request=request))
    finally:
        channel.close()


def _announce_6(address: Address) -> None:
    _, own = _closed(arp_socket(address.interface))
    target = socket.inet_pton(socket.AF_INET6, address.address)
    message = struct.pack("!BBHI", 136, 0, 0, _NA_OVERRIDE) + target + b"\x02\x01" + own
    with socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6) as channel:
        channel.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
        index = socket.if_nametoindex(address.interface)
        channel.bind((address.address, 0, 0, index))
        for _ in range(2):
            channel.sendto(message, ("ff02::1", 0, 0, index))


def _closed(opened: tuple[socket.socket, bytes]) -> tuple[None, bytes]:
    opened[0].close()
    return None, opened[1]
