"""One walk over this host's own file systems that gives files other numbers of users and groups.

Setuid bits, file capabilities and times stay; ACLs that name a number follow. No link is followed. Whatever of it was
done before is left alone, so the walk may be repeated after a cut.
"""

from __future__ import annotations

import errno
import logging
import os
import stat
from pathlib import Path

from hotsync.backends.renumber_file import Renumbering, make_change, read_change, repair
from hotsync.backends.renumber_left import LeftFiles
from hotsync.model.nesting import lies_in
from hotsync.system import files
from hotsync.system.mounts import Mount, read_mounts
from hotsync.system.paths import Paths

_log = logging.getLogger("hotsync.accounts")
_DISKS = frozenset(("ext2", "ext3", "ext4", "xfs", "btrfs", "zfs", "jfs", "f2fs", "reiserfs", "bcachefs", "nilfs2"))
_WITH_SUBVOLUMES = frozenset(("btrfs", "bcachefs"))
"""A folder there may have a device number of its own without being a mount point."""
_IN_MEMORY = frozenset(("tmpfs", "ramfs", "devtmpfs"))
_NEVER = ("/proc/", "/sys/", "/dev/", "/run/")
_YET = ("/dev/", "/dev/shm/", "/run/", "/run/lock/")  # noqa: S108 - looked at, not written to
"""What lies in memory there has owners, too: sockets, devices. Folders of sessions and of containers have their own."""

CONTAINERS = (
    "var/lib/docker", "var/lib/containerd", "var/lib/containers", "var/lib/lxc", "var/lib/lxd", "var/lib/incus",
    "var/lib/machines", "var/lib/portables", "var/snap/lxd", "var/snap/docker", "snap",
)  # fmt: skip
"""Below the root, systems of their own: a number in there means an account of theirs, not of this host."""

_SHOWN = 20


def special_of(paths: Paths) -> Path:
    """Return where it is written down what chown takes away."""
    return paths.state / "accounts-move.special"


def left_of(paths: Paths) -> LeftFiles:
    """Return the files that could not follow their account."""
    return LeftFiles(paths.state / "accounts-left.jsonl")


def renumber(paths: Paths, maps: Renumbering) -> list[str]:
    """Change every file below the root that bears an old number; return the paths that cannot be looked at.

    What cannot be changed is remembered (`left_of`).
    """
    special, left = special_of(paths), left_of(paths)
    repair(paths.root, special)
    mounts = read_mounts()
    walk = _Walk(maps, special, left, _skipped(paths), mounts)
    for place in _own_places(paths.root, mounts, walk.skipped):
        walk.below(place)
    walk.note_unread()
    special.unlink(missing_ok=True)
    for path in (*walk.unread, *walk.failed)[:_SHOWN]:
        _log.warning("%s keeps its old number: it cannot be changed", path)
    return list(walk.unread)


def renumber_below(paths: Paths, place: Path, maps: Renumbering, *, itself: bool) -> bool:
    """Do the same for what could not be looked at before, `itself` too or only what it holds; return whether it could.

    What could not be looked at in there is remembered by itself.
    """
    walk = _Walk(maps, special_of(paths), left_of(paths), _skipped(paths), read_mounts())
    try:
        if stat.S_ISDIR(os.lstat(place).st_mode):
            walk.below(place, itself=itself)
        elif itself:
            walk.file(place)
    except OSError:
        return False
    if os.fspath(place) in walk.unread:
        return False
    walk.note_unread()
    return True


def _skipped(paths: Paths) -> set[str]:
    return {os.fspath(place) for place in (paths.replica, *(paths.root / store for store in CONTAINERS))}


def _own_places(root: Path, mounts: list[Mount], skipped: set[str]) -> list[Path]:
    """Return where to begin: the root, and below it every other local file system, or the part of it that is mounted.

    One that is met twice costs time only: the walk may be repeated.
    """
    places = [root]
    seen = {(os.lstat(root).st_dev, "/")}
    prefix = os.fspath(root).rstrip("/") + "/"
    for mount in mounts:
        inside = mount.point.startswith(prefix) and f"/{mount.point[len(prefix) :]}/"
        if not inside or not _is_walked(mount.kind, inside):
            continue
        if any(lies_in(mount.point, store) for store in skipped):
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


def _is_walked(kind: str, inside: str) -> bool:
    if kind in _IN_MEMORY:
        return inside in _YET or not inside.startswith(_NEVER)
    return kind in _DISKS and not inside.startswith(_NEVER)


class _Walk:
    def __init__(
        self, maps: Renumbering, special: Path, left: LeftFiles, skipped: set[str], mounts: list[Mount]
    ) -> None:
        self.skipped = skipped
        self._mounts = {mount.point: mount.kind for mount in mounts}
        self._maps = maps
        self._special = special
        self._left = left
        self._known = {(each.path, each.inode) for each in left.read()}
        self.failed: list[str] = []
        self.unread: dict[str, bool] = {}
        """What could not be looked at, and whether that is so of it itself, not only of what it holds."""

    def note_unread(self) -> None:
        """Remember it."""
        for path, itself in self.unread.items():
            self._left.note_unread(path, self._maps, itself=itself)

    def below(self, place: Path, *, itself: bool = True) -> None:
        """Walk one file system, staying on it; its subvolumes are part of it. Raise OSError."""
        divided = self._kind_of(place) in _WITH_SUBVOLUMES
        base = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            if itself:
                self._one(base, ".", os.fspath(place), os.fstat(base))
            waiting = [""]
            while waiting:
                folder = waiting.pop()
                for name in self._folder(base, folder, place, divided):
                    path = f"{folder}/{name}" if folder else name
                    if os.path.join(os.fspath(place), path) not in self.skipped:
                        waiting.append(path)
        finally:
            os.close(base)

    def file(self, path: Path) -> None:
        """Change one file, or whatever it is but a folder. Raise OSError."""
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            status = os.stat(path.name, dir_fd=folder, follow_symlinks=False)
            self._one(folder, path.name, os.fspath(path), status)
        finally:
            os.close(folder)

    def _kind_of(self, place: Path) -> str:
        """Return the type of the file system that a path lies on."""
        known = (self._mounts.get(os.fspath(each)) for each in (place, *place.parents))
        return next((kind for kind in known if kind), "")

    def _is_subvolume(self, folder: int, name: str, path: str) -> bool:
        """Return whether a folder with a device number of its own belongs to this file system, and can be changed: a
        snapshot that is read-only is what was, and keeps the numbers of its time."""
        return path not in self._mounts and os.access(name, os.W_OK, dir_fd=folder, follow_symlinks=False)

    def _folder(self, base: int, folder: str, place: Path, divided: bool) -> list[str]:
        """Change what a folder holds; return the names of its folders on the same file system."""
        inside = os.path.join(os.fspath(place), folder) if folder else os.fspath(place)
        try:
            descriptor = files.open_beneath(base, folder or ".", os.O_RDONLY | os.O_DIRECTORY)
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):  # changed meanwhile
                self.unread.setdefault(inside, False)
            return []
        below: list[str] = []
        try:
            device = os.fstat(descriptor).st_dev
            for name in os.listdir(descriptor):
                try:
                    status = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
                    path, is_folder = os.path.join(inside, name), stat.S_ISDIR(status.st_mode)
                    is_part = divided and is_folder and self._is_subvolume(descriptor, name, path)
                    if status.st_dev == device or is_part:
                        self._one(descriptor, name, path, status)
                        if is_folder:
                            below.append(name)
                except FileNotFoundError:
                    continue
                except OSError as error:
                    _log.debug("%s: %s", name, error)
                    self.unread[os.path.join(inside, name)] = True
        finally:
            os.close(descriptor)
        return below

    def _one(self, folder: int, name: str, path: str, status: os.stat_result) -> None:
        change = read_change(folder, name, status, self._maps)
        if change.empty:
            return
        if (path, status.st_ino) in self._known:  # a number of before, which means somebody else by now
            self._left.note(path, status, change.acls, self._maps)
            return
        try:
            make_change((folder, name, path), status, change, self._special)
        except FileNotFoundError:
            raise
        except OSError as error:
            _log.debug("%s: %s", path, error)
            self._left.note(path, status, change.acls, self._maps)
            self.failed.append(path)
