"""NetworkManager: its profiles in /etc/NetworkManager/system-connections."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from hotsync.backends.network.files import names_in, read_text
from hotsync.backends.network.keyfile import settings_of
from hotsync.backends.network.nm_read import parse
from hotsync.backends.network.nm_write import FOLDER, render
from hotsync.errors import ConfigError
from hotsync.model.network.values import Address, NetworkState
from hotsync.system import command

NAME = "NetworkManager"
__all__ = ["FOLDER", "NAME", "activate", "available", "by_name", "files", "parse", "read", "render", "standby"]

_UNIT = "systemd/system/multi-user.target.wants/NetworkManager.service"
_OLD_FILES = "sysconfig/network-scripts"
_CLOSED = ("disabled", "ignore", "link-local")


def available(etc: Path) -> bool:
    """Given an /etc, return whether NetworkManager is enabled there and has profiles."""
    return (etc / _UNIT).is_symlink() and bool(_files(etc) or _old_files(etc))


def read(etc: Path) -> NetworkState:
    """Given an /etc, return what its profiles say; raise ConfigError with file and line of what is not understood."""
    for path in _old_files(etc):
        raise ConfigError(document=f"/etc/{path}", faults="profiles of this old form are not understood")
    return parse(_files(etc))


def _files(etc: Path) -> dict[str, str]:
    found: dict[str, str] = {}
    for name in names_in(etc, FOLDER):
        text = None if name.startswith(".") or name.endswith("~") else read_text(etc, f"{FOLDER}/{name}")
        if text is not None:
            found[f"{FOLDER}/{name}"] = text
    return found


def _old_files(etc: Path) -> list[str]:
    names = (name for name in names_in(etc, _OLD_FILES) if name.startswith("ifcfg-") and name != "ifcfg-lo")
    return [f"{_OLD_FILES}/{name}" for name in names]


def files(etc: Path) -> Iterable[str]:
    """Given an /etc, return the paths (below it) of the files that `read` reads."""
    return _files(etc)


def by_name(etc: Path, cards: Mapping[str, str]) -> dict[str, str]:
    """Given the /etc to be, and hardware address -> interface, return the profiles that choose their interface by such
    an address, with its name in that place: another machine's card has the name, and never the address."""
    changed = {path: _named(path, text, cards) for path, text in _files(etc).items()}
    return {path: text for path, text in changed.items() if text is not None}


def _named(path: str, text: str, cards: Mapping[str, str]) -> str | None:
    found = _said(path, text)
    section = next((name for name in ("ethernet", "802-3-ethernet") if (name, "mac-address") in found), "")
    name = cards.get(found.get((section, "mac-address"), "").lower(), "")
    if not name:
        return None
    lines: list[str] = []
    for line, where in _placed(text):
        if where == section and line.partition("=")[0].strip() == "mac-address":
            lines.append(f"# HotSync: the MASTER's file said {line.strip()}")
        elif where != "connection" or line.partition("=")[0].strip() != "interface-name":
            lines.append(line)
            lines += [f"interface-name={name}"] if line.strip() == "[connection]" else []
    return "\n".join(lines) + "\n"


def _said(path: str, text: str) -> dict[tuple[str, str], str]:
    """Return what a profile says, nothing for what is none: that is told where it is read, and stops no other."""
    try:
        return {(each.section, each.key): each.value for each in settings_of(path, text)}
    except ConfigError:
        return {}


def _placed(text: str) -> Iterable[tuple[str, str]]:
    """Return each line with its section."""
    section = ""
    for line in text.splitlines():
        bare = line.strip()
        section = bare[1:-1] if bare.startswith("[") and bare.endswith("]") else section
        yield line, section


def standby(etc: Path, addresses: Iterable[Address], changed: Mapping[str, str]) -> dict[str, str]:
    """Given the /etc to be, return the profiles that give its interfaces further addresses."""
    texts = {**_files(etc), **changed}
    found: dict[str, str] = {}
    for address in addresses:
        for path, text in texts.items():
            said = _said(path, text)
            if said.get(("connection", "interface-name")) == address.interface:
                found[path] = texts[path] = _with_address(text, said, address)
                break
    return found


def drop_standby(etc: Path) -> dict[str, str | None]:
    """Return nothing: the address is a line within a profile."""
    del etc
    return {}


def _with_address(text: str, said: Mapping[tuple[str, str], str], address: Address) -> str:
    section = "ipv6" if address.version == 6 else "ipv4"
    number = next(each for each in range(1, 1000) if (section, f"address{each}") not in said)
    method = said.get((section, "method"), "auto")
    new = [f"address{number}={address}"] + (["method=manual"] if method in _CLOSED else [])
    lines: list[str] = []
    for line, where in _placed(text):
        if where == section and method in _CLOSED and line.partition("=")[0].strip() == "method":
            continue
        lines.append(line)
        lines += new if line.strip() == f"[{section}]" else []
    if f"[{section}]" not in (line.strip() for line in lines):
        lines += ["", f"[{section}]", *new]
    return "\n".join(lines) + "\n"


def activate(etc: Path) -> None:
    """Let the running system follow: NetworkManager reads its profiles; addresses on its devices stay."""
    del etc
    command.run(["systemctl", "start", "NetworkManager.service"])
    command.run(["nmcli", "connection", "reload"])
