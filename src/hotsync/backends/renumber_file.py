"""One file gets other numbers: owner, group, and those that its ACLs name.

`chown` takes setuid bits and capabilities away, and refuses where chattr said `+i` or `+a`: all that is written down
and synced before it is taken, and given back after, also by the next run if this one was cut.
"""

from __future__ import annotations

import errno
import json
import os
import stat
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from hotsync.system import files, flags

_ACLS = ("system.posix_acl_access", "system.posix_acl_default")
_ACL_USER, _ACL_GROUP = 0x02, 0x08
_CAPABILITY = "security.capability"
_SPECIAL = stat.S_ISUID | stat.S_ISGID
_HELD = flags.IMMUTABLE | flags.APPEND_ONLY


@dataclass(frozen=True, slots=True)
class Renumbering:
    """Old number -> new number, of users and of groups; no new number is an old one.

    `users` and `groups` say whose an old number is.
    """

    uids: Mapping[int, int]
    gids: Mapping[int, int]
    users: Mapping[int, str] = field(default_factory=dict[int, str])
    groups: Mapping[int, str] = field(default_factory=dict[int, str])


@dataclass(frozen=True, slots=True)
class Change:
    """What one file needs: numbers (-1: it keeps its own), and ACLs by attribute, as they are and as they must be."""

    uid: int
    gid: int
    acls: Mapping[str, tuple[bytes, bytes]]

    @property
    def empty(self) -> bool:
        """Return whether it needs nothing."""
        return self.uid < 0 and self.gid < 0 and not self.acls


def read_change(folder: int, name: str, status: os.stat_result, maps: Renumbering) -> Change:
    """Given a file of an open folder, return what it needs."""
    acls: dict[str, tuple[bytes, bytes]] = {}
    path = f"/proc/self/fd/{folder}/{name}"
    for attribute in () if stat.S_ISLNK(status.st_mode) else _ACLS:
        try:
            value = os.getxattr(path, attribute, follow_symlinks=False)
        except OSError:
            continue
        new = renumber_acl(value, maps)
        if new != value:
            acls[attribute] = (value, new)
    return Change(maps.uids.get(status.st_uid, -1), maps.gids.get(status.st_gid, -1), acls)


def make_change(place: tuple[int, str, str], status: os.stat_result, change: Change, special: Path) -> None:
    """Given a file (open folder, name, path), change it, or raise OSError; `special` is where it is written down what
    has to be given back."""
    folder, name, path = place
    with pinned(folder, name, status) as pin:
        try:
            _make(pin, path, status, change, special, held=0)
        except PermissionError:
            held = _held(pin, status)
            if not held:
                raise
            _make(pin, path, status, change, special, held=held)


def _make(pin: str, path: str, status: os.stat_result, change: Change, special: Path, held: int) -> None:
    is_file = stat.S_ISREG(status.st_mode)
    owned = change.uid >= 0 or change.gid >= 0
    capability = _capability(pin) if is_file and owned else b""
    loses = bool(held or capability or (is_file and owned and status.st_mode & _SPECIAL))
    if loses:
        _note(special, path, status, capability, held)
    if held:
        _set_flags(pin, held, on=False)
    try:
        if owned:
            os.chown(pin, change.uid, change.gid)
        for attribute, (_, value) in change.acls.items():
            os.setxattr(pin, attribute, value)
    finally:
        if loses:
            _restore(pin, status.st_mode, capability, held)


def repair(root: Path, special: Path) -> None:
    """Give back what a run that was cut took away."""
    for line in read_lines(special):
        path = bytes.fromhex(str(line["path"])).decode("utf-8", "surrogateescape")
        try:
            with parent(root, path) as (descriptor, name):
                status = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
                # the device's number may be another one after a boot
                if status.st_ino == line["inode"] and stat.S_IFMT(status.st_mode) == line["kind"]:
                    capability, held = bytes.fromhex(str(line["capability"])), int(str(line["flags"]))
                    with pinned(descriptor, name, status) as pin:
                        _restore(pin, int(str(line["mode"])), capability, held)
        except OSError:
            continue


@contextmanager
def parent(root: Path, path: str) -> Iterator[tuple[int, str]]:
    """Given a path below the root, return its folder, opened without following links, and its name; raise OSError."""
    base = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        relative = os.path.relpath(path, root)
        folder = files.open_beneath(base, os.path.dirname(relative) or ".", os.O_RDONLY | os.O_DIRECTORY)
    finally:
        os.close(base)
    try:
        yield folder, os.path.basename(relative)
    finally:
        os.close(folder)


@contextmanager
def pinned(folder: int, name: str, status: os.stat_result) -> Iterator[str]:
    """Return a path that stays with the very object that was looked at, whoever renames what; raise OSError."""
    descriptor = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    try:
        found = os.fstat(descriptor)
        if (found.st_dev, found.st_ino) != (status.st_dev, status.st_ino):
            raise FileNotFoundError(errno.ENOENT, "it was replaced", name)
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)


def append_line(file: Path, line: Mapping[str, object]) -> None:
    """Write a line down for good, behind the last whole one: what was cut before it must not take it along."""
    with file.open("a+b") as stream:
        end = stream.seek(0, os.SEEK_END)
        if end and os.pread(stream.fileno(), 1, end - 1) != b"\n":
            stream.write(b"\n")
        stream.write(json.dumps(line).encode() + b"\n")
        stream.flush()
        os.fsync(stream.fileno())


def read_lines(file: Path) -> Iterator[dict[str, object]]:
    """Return the lines that were written down; one that was cut while it was written had no consequence yet."""
    try:
        lines = file.read_bytes().splitlines()
    except FileNotFoundError:
        return
    for line in lines:
        try:
            yield json.loads(line)
        except ValueError:
            continue


def _note(special: Path, path: str, status: os.stat_result, capability: bytes, held: int) -> None:
    line = {
        "path": path.encode("utf-8", "surrogateescape").hex(),
        "inode": status.st_ino,
        "kind": stat.S_IFMT(status.st_mode),
        "mode": stat.S_IMODE(status.st_mode),
        "capability": capability.hex(),
        "flags": held,
    }
    append_line(special, line)


def _held(pin: str, status: os.stat_result) -> int:
    """Return which flags keep a file from being changed."""
    if not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):
        return 0
    try:
        descriptor = os.open(pin, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            return flags.read_flags(descriptor) & _HELD
        finally:
            os.close(descriptor)
    except OSError:
        return 0


def _set_flags(pin: str, held: int, *, on: bool) -> None:
    descriptor = os.open(pin, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if on:
            flags.add_flags(descriptor, held)
        else:
            flags.clear_flags(descriptor, held)
    finally:
        os.close(descriptor)


def _capability(pin: str) -> bytes:
    try:
        return os.getxattr(pin, _CAPABILITY)
    except OSError:
        return b""


def _restore(pin: str, mode: int, capability: bytes, held: int) -> None:
    if held:
        _set_flags(pin, held, on=False)
    if stat.S_IMODE(os.stat(pin).st_mode) != stat.S_IMODE(mode):
        os.chmod(pin, stat.S_IMODE(mode))
    if capability:
        os.setxattr(pin, _CAPABILITY, capability)
    if held:
        _set_flags(pin, held, on=True)


def renumber_acl(value: bytes, maps: Renumbering) -> bytes:
    """Given an ACL as the kernel keeps it, return it with the old numbers of users and groups replaced."""
    changed = bytearray(value)
    for place, tag, permissions, number in acl_entries(value):
        chosen = {_ACL_USER: maps.uids, _ACL_GROUP: maps.gids}.get(tag, {})
        if number in chosen:
            struct.pack_into("<HHI", changed, place, tag, permissions, chosen[number])
    return bytes(changed)


def acl_entries(value: bytes) -> Iterator[tuple[int, int, int, int]]:
    """Given an ACL as the kernel keeps it, return place, tag, permissions and number of its entries."""
    if len(value) >= 4 and (len(value) - 4) % 8 == 0:
        for place in range(4, len(value), 8):
            tag, permissions, number = struct.unpack_from("<HHI", value, place)
            yield place, tag, permissions, number
