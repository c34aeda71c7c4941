"""Neighbour discovery of IPv6 on an Ethernet, as bytes: solicitations and advertisements of RFC 4861."""

from __future__ import annotations

import ipaddress
import struct
from dataclasses import dataclass

ETHERTYPE = 0x86DD
ICMP = 58
SOLICITATION, ADVERTISEMENT = 135, 136
NOBODY = "::"
_HOPS = 255
"""What no router has passed on: it proves that the sender is on this wire."""
_HEAD = struct.Struct("!IHBB16s16s")
_OVERRIDE = 0x20000000
_EVERYBODY = ipaddress.IPv6Address("ff02::1").packed


@dataclass(frozen=True, slots=True)
class Ndp:
    """One message: advertisement or solicitation, who sends it, and about which address (from ::, somebody asks who is
    about to take it)."""

    advertises: bool
    sender_mac: str
    sender: str
    target: str


def link_local(own: bytes) -> str:
    """Given a hardware address, return the link-local address that is made of it."""
    middle = bytes((own[0] ^ 2,)) + own[1:3] + b"\xff\xfe" + own[3:]
    return str(ipaddress.IPv6Address(b"\xfe\x80" + bytes(6) + middle))


def group_of(address: str) -> bytes:
    """Given an address, return the group in which whoever has it is heard of solicitations."""
    return b"\xff\x02" + bytes(9) + b"\x01\xff" + ipaddress.IPv6Address(address).packed[13:]


def mac_of(group: bytes) -> bytes:
    """Given a group, return the hardware address that its members listen to."""
    return b"\x33\x33" + group[12:]


def encode_question(own: bytes, source: str, address: str) -> bytes:
    """Given our hardware address and a link-local one of ours, return the question who has an address.

    It is not asked from ::, as who is about to take an address would: a server that is just coming up with that address
    would give it up for us (RFC 4862, 5.4.3).
    """
    target, group = ipaddress.IPv6Address(address).packed, group_of(address)
    body = struct.pack("!BBHI", SOLICITATION, 0, 0, 0) + target + b"\x01\x01" + own
    return _frame(own, ipaddress.IPv6Address(source).packed, group, body)


def encode_announcement(own: bytes, address: str) -> bytes:
    """Given our hardware address and an address of ours, return the frame that tells everybody where it lives."""
    target = ipaddress.IPv6Address(address).packed
    body = struct.pack("!BBHI", ADVERTISEMENT, 0, 0, _OVERRIDE) + target + b"\x02\x01" + own
    return _frame(own, target, _EVERYBODY, body)


def _frame(own: bytes, source: bytes, group: bytes, body: bytes) -> bytes:
    pseudo = source + group + struct.pack("!II", len(body), ICMP)
    body = body[:2] + struct.pack("!H", _checksum(pseudo + body)) + body[4:]
    head = _HEAD.pack(6 << 28, len(body), ICMP, _HOPS, source, group)
    return mac_of(group) + own + struct.pack("!H", ETHERTYPE) + head + body


def _checksum(data: bytes) -> int:
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def decode(frame: bytes) -> Ndp | None:
    """Given a frame as it came, return what it says, None if it is no solicitation or advertisement from this wire."""
    if len(frame) < 78 or frame[12:14] != struct.pack("!H", ETHERTYPE):
        return None
    version, _, following, hops, source, _ = _HEAD.unpack(frame[14:54])
    kind, code = frame[54], frame[55]
    if (version >> 28, following, hops, code) != (6, ICMP, _HOPS, 0) or kind not in (SOLICITATION, ADVERTISEMENT):
        return None
    sender, target = str(ipaddress.IPv6Address(source)), str(ipaddress.IPv6Address(frame[62:78]))
    return Ndp(kind == ADVERTISEMENT, frame[6:12].hex(":"), sender, target)


def rival(seen: Ndp, own: frozenset[str], wanted: frozenset[str]) -> str:
    """Given a message, our hardware addresses and the addresses that we want, return the one that somebody else has.

    That is who says so, who sends from it, or asks for it without having an address: it is about to take it. "" where
    none of it is so.
    """
    if seen.sender_mac in own:
        return ""
    if seen.target in wanted and (seen.advertises or seen.sender == NOBODY):
        return seen.target
    return seen.sender if seen.sender in wanted else ""
