"""Addresses of connections: who is at the other end, and which link-local address this server has on that line."""

from __future__ import annotations

import ipaddress
import socket
import struct

from pydantic import BaseModel, TypeAdapter, ValidationError

from hotsync.errors import CommandFailed
from hotsync.system import command

_TCPI_RTT = 68  # struct tcp_info: eight bytes, then numbers of four; this is the sixteenth, in microseconds


def plain_address(address: str) -> str:
    """Given an address as a socket shows it, return it in one form: IPv4 in IPv6 as IPv4, without a scope."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    mapped = getattr(parsed, "ipv4_mapped", None)
    return str(mapped or parsed)


def is_link_local(address: str) -> bool:
    """Given an address in its one form, return whether it is one of IPv6 that only neighbours can have."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    return parsed.version == 6 and parsed.is_link_local


class _Route(BaseModel):
    type: str = ""


_ROUTES = TypeAdapter(list[_Route])


def is_own(address: str) -> bool:
    """Given an address, with the interface towards it if it has a scope, return whether it is this host's own.

    The kernel's routes are asked. The source of what is sent there does not say it: of several addresses in one network
    the first is the source, also of what is sent to the others. Raise CommandFailed where nobody can say it.
    """
    bare, _, interface = address.partition("%")
    try:
        if ipaddress.ip_address(bare).is_loopback:
            return True
    except ValueError:
        return False
    towards = ["oif", interface] if interface else []  # two wires may have the same link-local address
    told = command.run(["ip", "-j", "route", "get", bare, *towards], timeout=10, ok=range(256))
    return told.returncode == 0 and any(route.type == "local" for route in _ROUTES.validate_json(told.text or "[]"))


def addresses_of(host: str) -> frozenset[str]:
    """Given an address or a name, return all its addresses in their one form (none if the name is not known)."""
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        try:
            found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
        except OSError:
            return frozenset()
        return frozenset(plain_address(str(entry[4][0])) for entry in found)
    return frozenset({plain_address(host)})


def scoped(address: str, interface: str) -> str:
    """Given the peer's link-local address and our interface towards it, return what can be dialled ("" = nothing)."""
    return f"{address}%{interface}" if address and interface else ""


class _Address(BaseModel):
    local: str = ""
    scope: str = ""


class _Interface(BaseModel):
    ifname: str = ""
    addr_info: list[_Address] = []


_INTERFACES = TypeAdapter(list[_Interface])


def parse_link_local(text: str, address: str) -> tuple[str, str]:
    """Given what `ip -j address` says, return the link-local address of the interface that has `address`, and its name.

    Both are empty if no interface has it; the address alone if the interface has no link-local one.
    """
    try:
        interfaces = _INTERFACES.validate_json(text)
    except ValidationError:
        return "", ""
    for interface in interfaces:
        if address in [plain_address(entry.local) for entry in interface.addr_info]:
            own = [entry.local for entry in interface.addr_info if entry.scope == "link" and ":" in entry.local]
            return (own[0] if own else ""), interface.ifname
    return "", ""


def round_trip(sock: socket.socket) -> float:
    """Given a connection, return its round trip in seconds as the kernel knows it (0: it does not)."""
    try:
        told = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)
    except OSError:
        return 0.0
    return float(struct.unpack_from("=I", told, _TCPI_RTT)[0]) / 1e6 if len(told) >= _TCPI_RTT + 4 else 0.0


def link_local(sock: socket.socket) -> tuple[str, str]:
    """Given a connection, return this server's link-local address on its interface, and the interface ("" = none)."""
    try:
        own = plain_address(str(sock.getsockname()[0]))
        return parse_link_local(command.run(["ip", "-j", "address", "show"], timeout=10).text, own)
    except (OSError, CommandFailed):
        return "", ""  # it only makes the boot guard's way to us shorter
