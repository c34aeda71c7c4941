"""NethServer's yum plugin: after a transaction it runs the events of packages, which would start and write things.

On a waiting SLAVE it is switched off, so that installing the MASTER's packages starts nothing; afterwards it is what it
was before. Only the value of its one line is changed, and nothing where it was off already.
"""

from __future__ import annotations

import os
import re
import stat

from hotsync.model.identity import Role
from hotsync.system import files
from hotsync.system.paths import Paths

FILE = "/etc/yum/pluginconf.d/nethserver_events.conf"
OFF = b"0"
_ON = frozenset((b"1", b"yes", b"true", b"on"))
_LARGEST = 64 * 1024
_SECTION = re.compile(rb"^\[([^\]\n]*)\]", re.MULTILINE)
_LINE = re.compile(rb"^enabled[ \t]*[=:][ \t]*(\S+)", re.MULTILINE | re.IGNORECASE)


def value_of(text: bytes) -> tuple[int, int] | None:
    """Given the plugin's file, return where the value of `enabled` lies in it, or None if it says none.

    It is that of the section `main`; of several lines yum takes the last one.
    """
    found: tuple[int, int] | None = None
    heads = [*_SECTION.finditer(text)]
    for index, head in enumerate(heads):
        end = heads[index + 1].start() if index + 1 < len(heads) else len(text)
        if head[1] == b"main":
            for line in _LINE.finditer(text, head.end(), end):
                found = line.span(1)
    return found


def with_value(text: bytes, value: bytes) -> bytes:
    """Given the plugin's file and a value, return the file with it in the place of the old one, all else as it was."""
    place = value_of(text)
    return text if place is None else text[: place[0]] + value + text[place[1] :]


def is_on(text: bytes) -> bool:
    """Given the plugin's file, return whether yum runs the plugin."""
    place = value_of(text)
    return place is not None and text[slice(*place)].lower() in _ON


def follow(paths: Paths, role: Role) -> str:
    """Given this server's role, switch the plugin off on a SLAVE, and to what it was elsewhere; return what was done.

    What it was is written down first, so that a cut in between loses nothing. Raise OSError.
    """
    memory = paths.yum_plugin
    text = _read(paths)
    if role is Role.SLAVE:
        place = value_of(text)
        if place is None or not is_on(text):
            return ""
        files.write_atomic(memory, text[slice(*place)], mode=0o600)
        _write(paths, with_value(text, OFF))
        return "NethServer's yum plugin is switched off while this server is a SLAVE."
    try:
        before = memory.read_bytes()
    except FileNotFoundError:
        return ""
    switch = text and not is_on(text) and before.lower() in _ON
    if switch:
        _write(paths, with_value(text, before))
    memory.unlink()
    files.sync_directory(memory.parent)
    return "NethServer's yum plugin is switched on again." if switch else ""


def _read(paths: Paths) -> bytes:
    """Return the plugin's file; nothing where there is none, or something that is no plain file."""
    try:
        descriptor = os.open(paths.at(FILE), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return b""
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(file.fileno())
        return file.read() if stat.S_ISREG(status.st_mode) and status.st_size <= _LARGEST else b""


def _write(paths: Paths, text: bytes) -> None:
    path = paths.at(FILE)
    status = path.lstat()
    files.write_atomic(path, text, mode=stat.S_IMODE(status.st_mode), owner=(status.st_uid, status.st_gid))
