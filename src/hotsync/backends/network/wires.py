"""Asks on the wire of a card who has an address: by ARP for IPv4, by neighbour solicitation for IPv6.

Nothing is taken for it: a card that is up is enough, with or without addresses.
"""

from __future__ import annotations

import ctypes
import errno
import ipaddress
import select
import socket
import struct
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path

from hotsync.backends.network import arp, ndp
from hotsync.model.network.values import Address

_OWN = Path("/proc/thread-self/net/if_inet6")
_LINK = "20"
_ATTACH_FILTER = 26
_PACKET, _ADD_MEMBERSHIP, _MULTICAST = 263, 1, 0
_TIMES = 2
_AGAIN_SECONDS = 0.4
_MOST_LATE = 256
# only solicitations and advertisements, or a busy server's traffic would drown them:
# each step is (operation, where to go on if it is so, if not, with which value)
_ONLY_NEIGHBOURS = (
    (0x28, 0, 0, 12), (0x15, 0, 6, ndp.ETHERTYPE),  # the kind of frame
    (0x30, 0, 0, 20), (0x15, 0, 4, ndp.ICMP),  # what the packet holds
    (0x30, 0, 0, 54), (0x15, 1, 0, ndp.SOLICITATION), (0x15, 0, 1, ndp.ADVERTISEMENT),
    (0x06, 0, 0, 0xFFFF), (0x06, 0, 0, 0),  # all of it, or nothing
)  # fmt: skip


class Wire:
    """The wire of one card, open for questions until it is closed."""

    def __init__(self, interface: str) -> None:
        """Open it; raise OSError where there is no such card, or none that has neighbours."""
        self._index = socket.if_nametoindex(interface)
        with ExitStack() as opened:
            self._arp = opened.enter_context(_bound(interface, arp.ETHERTYPE))
            self._ndp = opened.enter_context(_bound(interface, ndp.ETHERTYPE, _ONLY_NEIGHBOURS))
            self.mac: bytes = self._arp.getsockname()[4]
            if len(self.mac) != 6:
                raise OSError(errno.EADDRNOTAVAIL, "it has no hardware address", interface)
            self._opened = opened.pop_all()
        self._source = _link_local(interface) or ndp.link_local(self.mac)
        self._listened: set[bytes] = set()

    @property
    def channels(self) -> tuple[socket.socket, ...]:
        """Return what can be waited for."""
        return self._arp, self._ndp

    def close(self) -> None:
        """Ask and hear nothing more."""
        self._opened.close()

    def ask(self, address: str) -> None:
        """Ask who has an address; raise OSError while there is no cable."""
        if ipaddress.ip_address(address).version == 4:
            self._arp.send(arp.encode_probe(self.mac, address))
            return
        self._listen(ndp.mac_of(ndp.group_of(address)))  # others may ask for it, too
        self._ndp.send(ndp.encode_question(self.mac, self._source, address))

    def announce(self, address: str) -> None:
        """Tell everybody on the wire that an address lives here; raise OSError while there is no cable."""
        if ipaddress.ip_address(address).version == 6:
            for _ in range(_TIMES):
                self._ndp.send(ndp.encode_announcement(self.mac, address))
            return
        packed = socket.inet_aton(address)
        for request in (True, False, True):  # some listen to one kind only
            told = arp.BROADCAST if not request else b"\0" * 6
            self._arp.send(arp.encode(self.mac, packed, told, packed, request=request))

    def _listen(self, group: bytes) -> None:
        if group not in self._listened:
            self._ndp.setsockopt(_PACKET, _ADD_MEMBERSHIP, struct.pack("iHH8s", self._index, _MULTICAST, 6, group))
            self._listened.add(group)

    def hear(self, channel: socket.socket, own: frozenset[str], wanted: frozenset[str]) -> tuple[str, str] | None:
        """Given a channel on which something came, our hardware addresses and the addresses that are looked for, return
        which of them somebody else has, and that one's hardware address; raise OSError if the card went down."""
        frame = channel.recv(2048)
        if channel is self._arp:
            told = arp.decode(frame)
            found = arp.rival(told, own, wanted) if told else ""
            return (found, told.sender_mac) if told and found else None
        said = ndp.decode(frame)
        found = ndp.rival(said, own, wanted) if said else ""
        return (found, said.sender_mac) if said and found else None


def answering(addresses: Iterable[Address], seconds: float) -> dict[Address, str]:
    """Given addresses, ask for each on the wire of its interface; return those that somebody else has there, with that
    one's hardware address."""
    asked: defaultdict[str, defaultdict[str, list[Address]]] = defaultdict(lambda: defaultdict(list))
    for address in addresses:
        asked[address.interface][str(ipaddress.ip_address(address.address))].append(address)
    with ExitStack() as opened:
        wires: dict[str, Wire] = {}
        for interface in asked:
            with suppress(OSError):
                wires[interface] = Wire(interface)
                opened.callback(wires[interface].close)
        return _collect(asked, wires, seconds)


def _collect(
    asked: Mapping[str, Mapping[str, list[Address]]], wires: Mapping[str, Wire], seconds: float
) -> dict[Address, str]:
    """Ask again and again until all are found or the time is over: a card that has just come up loses what it sends."""
    own = frozenset(wire.mac.hex(":") for wire in wires.values())
    channels = {channel: interface for interface, wire in wires.items() for channel in wire.channels}
    found: dict[Address, str] = {}
    missing = {(interface, text) for interface in wires for text in asked[interface]}
    again = time.monotonic()
    end, late = again + seconds, 0
    # what came in time counts, also where a busy machine let us look too late
    while channels and missing and late < _MOST_LATE:
        now = time.monotonic()
        if again <= now < end:
            again = now + _AGAIN_SECONDS
            for interface, text in missing:
                with suppress(OSError):  # no cable yet
                    wires[interface].ask(text)
        late += now >= end
        ready = select.select(list(channels), [], [], max(0.0, min(again, end) - now))[0]
        if not ready and now >= end:
            break
        for channel in ready:
            interface = channels[channel]
            try:
                heard = wires[interface].hear(channel, own, frozenset(asked[interface]))
            except OSError:  # the card is down: nobody will be heard there
                del channels[channel]
                continue
            if heard is not None:
                found |= dict.fromkeys(asked[interface][heard[0]], heard[1])
                missing.discard((interface, heard[0]))
    return found


def _bound(interface: str, kind: int, only: Iterable[tuple[int, int, int, int]] = ()) -> socket.socket:
    channel = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    try:
        if steps := b"".join(struct.pack("HBBI", *step) for step in only):
            held = ctypes.create_string_buffer(steps, len(steps))
            program = struct.pack("HP", len(steps) // 8, ctypes.addressof(held))
            channel.setsockopt(socket.SOL_SOCKET, _ATTACH_FILTER, program)
        channel.bind((interface, kind))
    except OSError:
        channel.close()
        raise
    return channel


def _link_local(interface: str) -> str:
    """Return the card's link-local address, "" if it has none."""
    with suppress(OSError):
        for line in _OWN.read_text().splitlines():
            packed, _, _, scope, _, name = line.split()
            if (scope, name) == (_LINK, interface):
                return str(ipaddress.IPv6Address(bytes.fromhex(packed)))
    return ""
