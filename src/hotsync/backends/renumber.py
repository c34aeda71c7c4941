"""One walk over this host's own file systems that gives files other numbers of users and groups.

Setuid bits, file capabilities and times stay; ACLs that name a number follow. No link is followed. Whatever of it was
done before is left alone, so the walk may be repeated after a cut.
"""

from __future__ import annotations

import errno
import json
import logging
import os
import stat
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from hotsync.system import files
from hotsync.system.mounts import Mount, read_mounts
from hotsync.system.paths import Paths

_log = logging.getLogger("hotsync.accounts")
_DISKS = frozenset(
    ("ext2", "ext3", "ext4", "xfs", "btrfs", "zfs", "jfs", "f2fs", "reiserfs", "bcachefs", "nilfs2", "overlay")
)
_NEVER = ("/proc/", "/sys/", "/dev/", "/run/")
_ACLS = ("system.posix_acl_access", "system.posix_acl_default")
_ACL_USER, _ACL_GROUP = 0x02, 0x08
_CAPABILITY = "security.capability"
_SPECIAL = stat.S_ISUID | stat.S_ISGID
_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Renumbering:
    """Old number -> new number, of users and of groups; no new number is an old one."""

    uids: Mapping[int, int]
    gids: Mapping[int, int]


def renumber(paths: Paths, maps: Renumbering) -> list[str]:
    """Change every file below the root that bears an old number; return the paths that would not be changed."""
    failed: list[str] = []
    special = paths.state / "accounts-move.special"
    walk = _Walk(maps, special, failed)
    walk.repair(paths.root)
    skipped = {os.fspath(paths.replica)}
    for place in _own_places(paths.root, read_mounts()):
        walk.below(place, skipped)
    special.unlink(missing_ok=True)
    for path in failed[:_SHOWN]:
        _log.warning("%s keeps its old number: it cannot be changed", path)
    return failed


def _own_places(root: Path, mounts: list[Mount]) -> list[Path]:
    """Return where to begin: the root, and below it every other local file system, or the part of it that is mounted.

    One that is met twice costs time only: the walk may be repeated.
    """
    places = [root]
    seen = {(os.lstat(root).st_dev, "/")}
    prefix = os.fspath(root).rstrip("/") + "/"
    for mount in mounts:
        inside = mount.point.startswith(prefix) and f"/{mount.point[len(prefix) :]}/"
        if mount.kind not in _DISKS or not inside or inside.startswith(_NEVER):
            continue
        try:
            status = os.lstat(mount.point)
        except OSError:
            continue
        known = (status.st_dev, mount.subtree) in seen or (status.st_dev, "/") in seen
        if stat.S_ISDIR(status.st_mode) and not known:
            seen.add((status.st_dev, mount.subtree))
            places.append(Path(mount.point))
    return places


class _Walk:
    def __init__(self, maps: Renumbering, special: Path, failed: list[str]) -> None:
        self._maps = maps
        self._special = special
        self._failed = failed

    def below(self, place: Path, skipped: set[str]) -> None:
        """Walk one file system, staying on it."""
        device = os.lstat(place).st_dev
        base = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            self._one(base, ".", os.fspath(place), os.fstat(base))
            waiting = [""]
            while waiting:
                folder = waiting.pop()
                for name in self._folder(base, folder, device, place):
                    path = f"{folder}/{name}" if folder else name
                    if os.path.join(os.fspath(place), path) not in skipped:
                        waiting.append(path)
        finally:
            os.close(base)

    def _folder(self, base: int, folder: str, device: int, place: Path) -> list[str]:
        """Change what a folder holds; return the names of its folders on the same file system."""
        try:
            descriptor = files.open_beneath(base, folder or ".", os.O_RDONLY | os.O_DIRECTORY)
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):  # changed meanwhile
                self._failed.append(os.path.join(os.fspath(place), folder))
            return []
        below: list[str] = []
        try:
            for name in os.listdir(descriptor):
                try:
                    status = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
                    if status.st_dev == device:
                        self._one(descriptor, name, os.path.join(os.fspath(place), folder, name), status)
                        if stat.S_ISDIR(status.st_mode):
                            below.append(name)
                except FileNotFoundError:
                    continue
                except OSError as error:
                    _log.debug("%s: %s", name, error)
                    self._failed.append(os.path.join(os.fspath(place), folder, name))
        finally:
            os.close(descriptor)
        return below

    def _one(self, folder: int, name: str, path: str, status: os.stat_result) -> None:
        uid = self._maps.uids.get(status.st_uid, -1)
        gid = self._maps.gids.get(status.st_gid, -1)
        acls = {} if stat.S_ISLNK(status.st_mode) else self._changed_acls(f"/proc/self/fd/{folder}/{name}")
        if uid < 0 and gid < 0 and not acls:
            return
        with _pinned(folder, name, status) as pinned:
            if uid >= 0 or gid >= 0:
                self._change_owner(pinned, path, status, uid, gid)
            for attribute, value in acls.items():
                os.setxattr(pinned, attribute, value)

    def _change_owner(self, pinned: str, path: str, status: os.stat_result, uid: int, gid: int) -> None:
        is_file = stat.S_ISREG(status.st_mode)
        capability = _capability(pinned) if is_file else b""
        keeps = is_file and bool(status.st_mode & _SPECIAL or capability)
        if keeps:
            self._note(path, status, capability)
        os.chown(pinned, uid, gid)
        if keeps:
            _restore(pinned, stat.S_IMODE(status.st_mode), capability)

    def _changed_acls(self, path: str) -> dict[str, bytes]:
        changed: dict[str, bytes] = {}
        for attribute in _ACLS:
            try:
                value = os.getxattr(path, attribute, follow_symlinks=False)
            except OSError:
                continue
            new = renumber_acl(value, self._maps)
            if new != value:
                changed[attribute] = new
        return changed

    def _note(self, path: str, status: os.stat_result, capability: bytes) -> None:
        """Write down what chown takes away, before it does: a cut in between must not lose a setuid bit."""
        line = {
            "path": path.encode("utf-8", "surrogateescape").hex(),
            "device": status.st_dev,
            "inode": status.st_ino,
            "mode": stat.S_IMODE(status.st_mode),
            "capability": capability.hex(),
        }
        with self._special.open("ab") as file:
            file.write(json.dumps(line).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())

    def repair(self, root: Path) -> None:
        """Give back what a walk that was cut took away."""
        for line in _lines(self._special):
            path = bytes.fromhex(str(line["path"])).decode("utf-8", "surrogateescape")
            folder, _, name = path.rpartition("/")
            try:
                base = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
                try:
                    relative = os.path.relpath(folder or "/", root)
                    descriptor = files.open_beneath(base, relative, os.O_RDONLY | os.O_DIRECTORY)
                finally:
                    os.close(base)
            except OSError:
                continue
            try:
                status = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
                if (status.st_dev, status.st_ino) == (line["device"], line["inode"]):
                    with _pinned(descriptor, name, status) as pinned:
                        _restore(pinned, int(str(line["mode"])), bytes.fromhex(str(line["capability"])))
            except OSError:
                continue
            finally:
                os.close(descriptor)


@contextmanager
def _pinned(folder: int, name: str, status: os.stat_result) -> Iterator[str]:
    """Return a path that stays with the very object that was looked at, whoever renames what; raise OSError."""
    descriptor = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    try:
        found = os.fstat(descriptor)
        if (found.st_dev, found.st_ino) != (status.st_dev, status.st_ino):
            raise FileNotFoundError(errno.ENOENT, "it was replaced", name)
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)


def _lines(file: Path) -> Iterator[dict[str, object]]:
    try:
        lines = file.read_bytes().splitlines()
    except FileNotFoundError:
        return
    for line in lines:
        try:
            yield json.loads(line)
        except ValueError:
            return  # cut while it was written: then nothing had been changed yet


def _capability(pinned: str) -> bytes:
    try:
        return os.getxattr(pinned, _CAPABILITY)
    except OSError:
        return b""


def _restore(pinned: str, mode: int, capability: bytes) -> None:
    os.chmod(pinned, mode)
    if capability:
        os.setxattr(pinned, _CAPABILITY, capability)


def renumber_acl(value: bytes, maps: Renumbering) -> bytes:
    """Given an ACL as the kernel keeps it, return it with the old numbers of users and groups replaced."""
    if len(value) < 4 or (len(value) - 4) % 8:
        return value
    changed = bytearray(value)
    for place in range(4, len(value), 8):
        tag, permissions, number = struct.unpack_from("<HHI", value, place)
        chosen = {_ACL_USER: maps.uids, _ACL_GROUP: maps.gids}.get(tag, {})
        if number in chosen:
            struct.pack_into("<HHI", changed, place, tag, permissions, chosen[number])
    return bytes(changed)
