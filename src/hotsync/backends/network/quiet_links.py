"""Cards that are up without an address of production: link-local alone, and nothing taken from a router."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from hotsync.backends.network import giving_up
from hotsync.system import command
from hotsync.system.paths import Paths

_HOST = Paths()
_IPV6 = Path("/proc/sys/net/ipv6/conf")
_QUIET = ("accept_ra", "accept_dad")
"""Off meanwhile: a router's addresses are not to be taken, and a card's own one is to be used at once."""


class QuietLinks:
    """The cards that were brought up, and how they were set before."""

    def __init__(self) -> None:
        self._before: dict[str, dict[str, str]] = {}

    def up(self, name: str) -> None:
        """Bring a card up, if it is down; one that is up is left as it is."""
        if name in self._before or is_up(name):
            return
        self._before[name] = {key: value for key in _QUIET if (value := _read(name, key))}
        for key in self._before[name]:
            _write(name, key, "0")
        giving_up.links_up([name])

    def down(self) -> None:
        """Take down what was brought up, so that the network manager finds every card as it left the kernel."""
        for name in self._before:
            command.run(["ip", "link", "set", "dev", name, "down"], ok=range(256))

    def put_back(self) -> None:
        """Set the cards as they were set before."""
        for name, settings in self._before.items():
            for key, value in settings.items():
                _write(name, key, value)


@contextmanager
def quiet_links() -> Iterator[QuietLinks]:
    """Lend cards for the block; their settings are put back after it, whatever comes of it."""
    links = QuietLinks()
    try:
        yield links
    finally:
        links.put_back()


def is_up(name: str) -> bool:
    """Given an interface, return whether it is up (whether a cable is in, is another question)."""
    shown = command.run(["ip", "-j", "link", "show", "dev", name], ok=range(256)).text
    return any("UP" in link.get("flags", ()) for link in json.loads(shown or "[]"))


def settled_cards(paths: Paths = _HOST) -> tuple[str, ...]:
    """Return the cards that have their name: while udev is at one it must stay down, or it cannot be renamed."""
    cards = giving_up.read_cards()
    if not paths.at("/run/udev/control").exists():
        return cards
    known = (card for card in cards if paths.at(f"/run/udev/data/n{socket.if_nametoindex(card)}").exists())
    return tuple(known)


def _read(name: str, key: str) -> str:
    try:
        return (_IPV6 / name / key).read_text().strip()
    except OSError:
        return ""  # no IPv6 here


def _write(name: str, key: str, value: str) -> None:
    with suppress(OSError):
        (_IPV6 / name / key).write_text(value)
