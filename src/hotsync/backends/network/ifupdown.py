"""Debian's ifupdown: /etc/network/interfaces and what it sources."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from hotsync.backends.network import addresses as live
from hotsync.backends.network import networkd
from hotsync.backends.network.files import names_in, read_text
from hotsync.backends.network.ifupdown_read import parse
from hotsync.backends.network.ifupdown_write import FILE, render
from hotsync.errors import ConfigError
from hotsync.model.network.values import Address, NetworkState
from hotsync.system import command

NAME = "ifupdown"
__all__ = [
    "FILE",
    "NAME",
    "activate",
    "available",
    "by_name",
    "commands",
    "drop_standby",
    "files",
    "make_room",
    "parse",
    "read",
    "render",
    "standby",
]
STATE = Path("/run/network/ifstate")
"""Where ifup writes down which interfaces it has set up: `name=name`, a line each."""
_MOST_FILES = 100
_PLAIN = re.compile(r"[a-zA-Z0-9_-]+")
_BEGIN = "# HotSync: this server's standby address, kept until the other server has rejoined."
_END = "# HotSync: end of the standby address."


def available(etc: Path) -> bool:
    """Given an /etc, return whether ifupdown configures more than the loopback there."""
    texts: dict[str, str] = {}
    _gather(etc, FILE, texts)
    return any(re.search(r"^\s*iface\s+(?!lo\s)\S", text, re.MULTILINE) for text in texts.values())


def read(etc: Path) -> NetworkState:
    """Given an /etc, return what its files say; raise ConfigError with file and line of what is not understood."""
    texts: dict[str, str] = {}
    _gather(etc, FILE, texts)
    return parse(texts)


def files(etc: Path) -> Iterable[str]:
    """Given an /etc, return the paths (below it) of the files that `read` reads."""
    texts: dict[str, str] = {}
    _gather(etc, FILE, texts)
    return texts


def by_name(etc: Path, cards: Mapping[str, str]) -> dict[str, str]:
    """Return nothing: its stanzas name interfaces only (`hwaddress` gives a card an address, it chooses none)."""
    del etc, cards
    return {}


def standby(etc: Path, addresses: Iterable[Address], changed: Mapping[str, str]) -> dict[str, str]:
    """Given the /etc to be, return the files that give its interfaces further addresses.

    They come last in the file, so that production's address is the first one and the source of what is sent.
    """
    stanzas = "".join(
        f"iface {address.interface} inet{'6' if address.version == 6 else ''} static\n    address {address}\n"
        for address in addresses
    )
    main = changed.get(FILE) or read_text(etc, FILE)
    if main is None or not stanzas:
        return {}
    return {FILE: f"{_without_standby(main).rstrip()}\n\n{_BEGIN}\n{stanzas}{_END}\n"}


def drop_standby(etc: Path) -> dict[str, str | None]:
    """Given an /etc, return the file without the stanzas that `standby` added."""
    main = read_text(etc, FILE)
    if main is None or _BEGIN not in main:
        return {}
    return {FILE: f"{_without_standby(main).rstrip()}\n"}


def _without_standby(text: str) -> str:
    before, begin, rest = text.partition(_BEGIN + "\n")
    return before + rest.partition(_END + "\n")[2] if begin else text


def activate(etc: Path) -> None:
    """Let the running system follow: ifupdown has no daemon, so only another system's must let go, but of tunnels that
    are its own there, too."""
    active = command.run(["systemctl", "is-active", "--quiet", "systemd-networkd.service"], ok=range(256))
    if active.returncode == 0:
        # what it configured statically stays on the interfaces when it ends
        command.run(["systemctl", "stop", "systemd-networkd.socket", "systemd-networkd.service"], ok=range(256))
        if networkd.is_enabled(etc):
            command.run(["systemctl", "start", "systemd-networkd.service"], ok=range(256))


def commands(state: NetworkState) -> tuple[str, ...]:
    """Given a network, return the commands that ifup runs when it sets its interfaces up, as a person would type them:
    what is said by addresses, routes and links is not among them."""
    words = [f"{family} {word}" for family in ("inet", "inet6") for word in ("pre-up", "up", "post-up")]
    found = (
        value.replace("${IFACE}", each.name).replace("$IFACE", each.name)
        for each in state.interfaces
        for key, value in each.options
        if key in words
    )
    return tuple(dict.fromkeys(found))


def make_room(etc: Path, state: Path = STATE) -> tuple[Address, ...]:
    """Take the addresses away that networking.service is about to give the interfaces that it has not set up yet, and
    return them.

    ifup ends with an interface at the first address that is there already: its gateway, its routes and whatever else
    its lines say does not come then.
    """
    try:
        wanted = {(each.interface, each.address) for each in read(etc).addresses}
    except ConfigError:
        return ()  # ifup reads it as it can
    try:
        set_up = {line.partition("=")[0] for line in state.read_text().splitlines()}
    except OSError:
        set_up = set[str]()
    there = tuple(each for each in live.read_addresses() if each.interface not in set_up)
    gone = tuple(each for each in there if (each.interface, each.address) in wanted)
    for each in gone:
        command.run(["ip", "address", "del", str(each), "dev", each.interface], ok=range(256))
    touched = {each.interface for each in gone}
    for each in reversed(there):
        if each not in gone and each.interface in touched:
            live.prefer(each)  # the way into its network may have gone along
    return gone


def _gather(etc: Path, path: str, texts: dict[str, str]) -> None:
    """Read a file and what it sources; a file that is sourced and not there is none."""
    text = read_text(etc, path)
    if path in texts or text is None or len(texts) >= _MOST_FILES:
        return
    texts[path] = text
    for line in text.splitlines():
        words = line.split()
        if len(words) == 2 and words[0] in ("source", "source-directory"):
            found = _fitting(
                etc, words[1] if words[1].startswith("/") else f"/etc/{path.rpartition('/')[0]}/{words[1]}"
            )
            if words[0] == "source-directory":  # which takes no name with a full stop; `source` takes them all
                found = [f"{each}/{name}" for each in found for name in names_in(etc, each) if _PLAIN.fullmatch(name)]
            for each in found:
                _gather(etc, each, texts)


def _fitting(etc: Path, pattern: str) -> list[str]:
    """Return the paths below /etc that a shell finds for a pattern, in its order."""
    if not pattern.startswith("/etc/"):
        return []  # refused where it is read
    found = [""]
    for part in pattern.split("/")[2:]:
        names = {folder: names_in(etc, folder or ".") if set(part) & set("*?[") else [part] for folder in found}
        found = [
            f"{folder}/{name}".lstrip("/")
            for folder in found
            for name in names[folder]
            if name == part or (fnmatch.fnmatchcase(name, part) and name.startswith(".") == part.startswith("."))
        ]
    return found
