"""The words of the questions: small clients of protocols that curl does not speak, with the standard library only.

Run as a program of the client's machine: `clients.py WORD SERVER ...`; what was answered is printed.
"""

from __future__ import annotations

import socket
import struct
import sys
import time
from collections.abc import Callable

WAIT = 60
TRIES = 15
"""How often a datagram is sent, a second apart: one may be lost, as on every network."""


def dns(server: str, port: str, name: str) -> str:
    """Ask a name server for the first IPv4 address of a name; its kind of refusal, if it has none."""
    labels = b"".join(bytes([len(part)]) + part.encode() for part in name.split("."))
    query = struct.pack(">HHHHHH", 4711, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack(">HH", 1, 1)
    reply = _datagram(server, port, query)
    code, answers = reply[3] & 15, struct.unpack(">H", reply[6:8])[0]
    # the address is the end of the first answer, which follows the question; aliases are not asked for here
    return socket.inet_ntoa(reply[len(query) + 12 : len(query) + 16]) if answers else f"refused with {code}"


def ntp(server: str, port: str) -> str:
    """Ask a time server; say whether it believes to know the time."""
    return f"stratum {_datagram(server, port, bytes([0x23]) + bytes(47))[1]}"


def _datagram(server: str, port: str, query: bytes) -> bytes:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
        line.settimeout(1)
        line.connect((server, int(port)))
        for left in reversed(range(TRIES)):
            try:
                line.send(query)
                return line.recv(4096)
            except (TimeoutError, ConnectionRefusedError):
                if not left:
                    raise
                time.sleep(0.1)
    raise AssertionError


def say(server: str, port: str, words: str, until: str) -> str:
    """Say lines to a TCP server, and return what it answers up to and with the text waited for."""
    with socket.create_connection((server, int(port)), WAIT) as line:
        line.sendall(words.encode().decode("unicode_escape").encode())
        said = b""
        while until.encode() not in said:
            piece = line.recv(4096)
            if not piece:
                break
            said += piece
    return said.decode(errors="replace").replace("\r", "")


def dhcp(hardware: str) -> str:
    """Ask, as a card of that hardware address without any address, for one; return what is offered."""
    card = bytes(int(part, 16) for part in hardware.split(":"))
    head = struct.pack(">BBBBIHH", 1, 1, 6, 0, 4711, 0, 0x8000) + bytes(16) + card.ljust(208, b"\0")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        line.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"eth0")
        line.bind(("", 68))
        line.settimeout(WAIT)
        line.sendto(head + b"\x63\x82\x53\x63\x35\x01\x01\xff", ("255.255.255.255", 67))
        return socket.inet_ntoa(line.recv(4096)[16:20])


WORDS: dict[str, Callable[..., str]] = {"dhcp": dhcp, "dns": dns, "ntp": ntp, "say": say}


if __name__ == "__main__":
    print(WORDS[sys.argv[1]](*sys.argv[2:]))
