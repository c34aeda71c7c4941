"""ARP on an Ethernet, as bytes: RFC 826 frames, and the probes of RFC 5227."""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass

ETHERTYPE = 0x0806
BROADCAST = b"\xff" * 6
NOBODY = b"\0" * 4
_HEAD = struct.Struct("!HHBBH")


@dataclass(frozen=True, slots=True)
class Arp:
    """One frame: request or answer, who sends it, and about which address (0.0.0.0: a probe has no sender)."""

    request: bool
    sender_mac: str
    sender: str
    target: str


def encode(own: bytes, source: bytes, target_mac: bytes, target: bytes, *, request: bool) -> bytes:
    """Given our hardware address, the addresses of sender and target, return the frame, for everybody."""
    head = BROADCAST + own + struct.pack("!H", ETHERTYPE)
    return head + _HEAD.pack(1, 0x0800, 6, 4, 1 if request else 2) + own + source + target_mac + target


def encode_probe(own: bytes, address: str) -> bytes:
    """Given our hardware address, return the question whether anybody has an address.

    Its sender is 0.0.0.0, so it changes nobody's neighbour table.
    """
    return encode(own, NOBODY, b"\0" * 6, socket.inet_aton(address), request=True)


def decode(frame: bytes) -> Arp | None:
    """Given a frame as it came, return what it says, None if it is no whole ARP of IPv4 over Ethernet."""
    if len(frame) < 42 or frame[12:14] != struct.pack("!H", ETHERTYPE):
        return None
    hardware, protocol, size, length, operation = _HEAD.unpack(frame[14:22])
    if (hardware, protocol, size, length) != (1, 0x0800, 6, 4) or operation not in (1, 2):
        return None
    return Arp(operation == 1, frame[22:28].hex(":"), socket.inet_ntoa(frame[28:32]), socket.inet_ntoa(frame[38:42]))


def rival(seen: Arp, own: frozenset[str], wanted: frozenset[str]) -> str:
    """Given a frame, our hardware addresses and the addresses that we want, return the one that somebody else has.

    That is who sends from it, or asks for it without having an address (RFC 5227, 2.1.1): it is about to take it. ""
    where neither is so.
    """
    if seen.sender_mac in own:
        return ""
    if seen.sender in wanted:
        return seen.sender
    probes = seen.request and seen.sender == "0.0.0.0"  # noqa: S104 - no address, not a place to listen
    return seen.target if probes and seen.target in wanted else ""
