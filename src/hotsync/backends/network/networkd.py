"""systemd-networkd: /etc/systemd/network/*.network and *.netdev with their drop-ins."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Mapping
from pathlib import Path

from hotsync.backends.network.by_name import named
from hotsync.backends.network.files import names_in, read_text
from hotsync.backends.network.networkd_lines import lines_of
from hotsync.backends.network.networkd_read import parse
from hotsync.backends.network.networkd_write import FOLDER, render
from hotsync.errors import ConfigError
from hotsync.model.network.values import Address, NetworkState
from hotsync.system import command

NAME = "networkd"
__all__ = [
    "FOLDER",
    "NAME",
    "activate",
    "available",
    "by_name",
    "files",
    "is_enabled",
    "parse",
    "read",
    "render",
    "standby",
]
_STANDBY = "zz-hotsync-standby.conf"


def available(etc: Path) -> bool:
    """Given an /etc, return whether networkd is enabled there and has files of more than tunnels.

    Beside another system it often has those of a tunnel alone: that one's are the network then.
    """
    if not is_enabled(etc):
        return False
    tunnels = {
        name
        for parts in _parts(etc, ".netdev").values()
        for name in _values(parts, "NetDev", "Name")
        if not {"bond", "bridge", "vlan"} & set(_values(parts, "NetDev", "Kind"))
    }
    named = [_values(parts, "Match", "Name") for parts in _parts(etc).values()]
    return any(not names or not set(names) <= tunnels for names in named)


def is_enabled(etc: Path) -> bool:
    """Given an /etc, return whether networkd starts at boot and has files, be they of tunnels alone."""
    units = etc / "systemd/system"
    links = ("multi-user.target.wants/systemd-networkd.service", "dbus-org.freedesktop.network1.service")
    return any((units / link).is_symlink() for link in links) and bool(_parts(etc))


def read(etc: Path) -> NetworkState:
    """Given an /etc, return what its files say; raise ConfigError with file and line of what is not understood."""
    files = {**_parts(etc, ".netdev"), **_parts(etc)}
    return parse({path: text for parts in files.values() for path, text in parts.items()})


def _parts(etc: Path, suffix: str = ".network") -> dict[str, dict[str, str]]:
    """Return each file with its drop-ins as path below /etc -> text; one that is masked by a link is none."""
    found: dict[str, dict[str, str]] = {}
    for name in names_in(etc, FOLDER):
        path = f"{FOLDER}/{name}"
        text = read_text(etc, path) if name.endswith(suffix) else None
        if text is None:
            continue
        drop_ins = [f"{path}.d/{each}" for each in names_in(etc, f"{path}.d") if each.endswith(".conf")]
        found[path] = {path: text, **{each: read_text(etc, each) or "" for each in drop_ins}}
    return found


def _values(parts: Mapping[str, str], section: str, key: str) -> list[str]:
    """Given a file with its drop-ins, return the words of a key, none where it is not understood."""
    try:
        lines = [line for path, text in parts.items() for line in lines_of(path, text)]
    except ConfigError:
        return []
    return [word for line in lines if (line.section, line.key) == (section, key) for word in line.value.split()]


def files(etc: Path) -> Iterable[str]:
    """Given an /etc, return the paths (below it) of the files that `read` reads."""
    return [path for suffix in (".netdev", ".network") for parts in _parts(etc, suffix).values() for path in parts]


def by_name(etc: Path, cards: Mapping[str, str]) -> dict[str, str]:
    """Given the /etc to be, and hardware address -> interface, return the files that choose their interface by such an
    address, with its name in that place: another machine's card has the name, and never the address."""
    texts = {path: text for parts in _parts(etc).values() for path, text in parts.items()}
    changed = {path: named(text, cards) for path, text in texts.items()}
    return {path: text for path, text in changed.items() if text != texts[path]}


def standby(etc: Path, addresses: Iterable[Address], changed: Mapping[str, str]) -> dict[str, str]:
    """Given the /etc to be, return the drop-ins that give its interfaces further addresses."""
    texts: dict[str, list[str]] = {}
    for address in addresses:
        for path, parts in _parts(etc).items():
            text = "\n".join(changed.get(each, text) for each, text in parts.items())
            if _names(path, text, address.interface):
                texts.setdefault(f"{path}.d/{_STANDBY}", []).append(f"Address={address}\n")
                break
    head = "# HotSync: this server's standby address, kept until the other server has rejoined.\n[Network]\n"
    return {path: head + "".join(lines) for path, lines in texts.items()}


def drop_standby(etc: Path) -> dict[str, str | None]:
    """Given an /etc, return the drop-ins that `standby` added, to be removed."""
    return {path: None for parts in _parts(etc).values() for path in parts if path.endswith(f"/{_STANDBY}")}


def activate(etc: Path) -> None:
    """Let the running system follow: networkd takes the interfaces as its files say; addresses in them stay."""
    del etc
    command.run(["systemctl", "start", "systemd-networkd.service"])
    command.run(["networkctl", "reload"])


def _names(path: str, text: str, interface: str) -> bool:
    # what is not understood is told where it is read; another file may be the interface's
    return any(fnmatch.fnmatch(interface, pattern) for pattern in _values({path: text}, "Match", "Name"))
