"""Whole trees: copied with all their metadata, removed, moved aside; no link is followed on the way."""

from __future__ import annotations

import errno
import fnmatch
import hashlib
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from hotsync.errors import ReplicaError
from hotsync.system import attributes, command, files

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def copy_exactly(source: Path, target: Path) -> None:
    """Copy a path with all its metadata, by reflink where the file system can; raise CommandFailed."""
    # cp -a alone forgives an attribute that it cannot set
    options = ["-a", "--no-target-directory", "--preserve=xattr", "--reflink=auto", "--sparse=auto"]
    command.run(["cp", *options, "--", os.fspath(source), os.fspath(target)], timeout=24 * 3600)


def make_folder_like(name: str, parent: int, target: Path) -> None:
    """Make an empty folder with owner, mode, attributes and times of `name` in the folder `parent`."""
    wanted = os.stat(name, dir_fd=parent, follow_symlinks=False)
    target.mkdir(mode=0o700)
    with opened(target.parent, target.name) as made:
        os.fchown(made, wanted.st_uid, wanted.st_gid)
    with opened(target.parent, ".") as place:
        attributes.write_attributes(target.name, place, attributes.read_attributes(name, parent))
        os.chmod(target.name, stat.S_IMODE(wanted.st_mode), dir_fd=place)
        os.utime(target.name, ns=(wanted.st_atime_ns, wanted.st_mtime_ns), dir_fd=place, follow_symlinks=False)


def remove(path: Path) -> None:
    """Remove what lies at a path, if anything does; a link is removed, not followed. Raise OSError.

    However deep it is: no path but the first one is ever said to the kernel, and one folder is open at a time.
    """
    if path.is_symlink() or not path.is_dir():
        path.unlink(missing_ok=True)
        return
    parent = os.open(path.parent, _FOLDER & ~os.O_NOFOLLOW)
    try:
        _remove_folder(parent, path.name)
    finally:
        os.close(parent)


def _remove_folder(parent: int, name: str) -> None:
    """Remove a folder in an open one with all it holds; raise OSError, also if it is moved meanwhile."""
    above = [(name, _identity(parent))]
    here = os.open(name, _FOLDER, dir_fd=parent)
    inner = [_unlink_all(here)]
    try:
        while above:
            if inner[-1]:
                deeper = inner[-1].pop()
                above.append((deeper, _identity(here)))
                here = _instead(here, os.open(deeper, _FOLDER, dir_fd=here))
                inner.append(_unlink_all(here))
                continue
            inner.pop()
            folder, holder = above.pop()
            here = _instead(here, os.open("..", _FOLDER, dir_fd=here))
            if _identity(here) != holder:
                raise OSError(errno.ESTALE, os.strerror(errno.ESTALE), folder)  # it hangs somewhere else now
            os.rmdir(folder, dir_fd=here)
    finally:
        os.close(here)


def _unlink_all(folder: int) -> list[str]:
    """Remove what an open folder holds, but for folders; return their names."""
    folders: list[str] = []
    for name in os.listdir(folder):
        try:
            os.unlink(name, dir_fd=folder)
        except IsADirectoryError:
            folders.append(name)
        except FileNotFoundError:
            continue
    return folders


def _identity(folder: int) -> tuple[int, int]:
    status = os.fstat(folder)
    return status.st_dev, status.st_ino


def _instead(old: int, new: int) -> int:
    os.close(old)
    return new


def folders_below(folder: Path) -> Iterator[Path]:
    """Return a folder and all below it, each before what it holds, without following links.

    What cannot be read comes, too, and nothing below it (see `items_of`). `os.walk` of Python 3.11 ends in a
    RecursionError where somebody made a thousand levels.
    """
    waiting = [folder]
    while waiting:
        here = waiting.pop()
        yield here
        with suppress(OSError), os.scandir(here) as found:
            waiting += [Path(item.path) for item in found if item.is_dir(follow_symlinks=False)]


def items_of(folder: Path) -> list[Path]:
    """Return what lies in a folder, nothing where it cannot be read, or is gone."""
    return [folder / name for name in names_in(folder)]


def names_in(folder: Path | str) -> list[str]:
    """Return the names of what lies in a folder, in order, nothing where it cannot be read, or is gone."""
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []


def matching(folder: Path, patterns: Iterable[str]) -> set[str]:
    """Given a folder and patterns of paths below it (a `*` stays within a name), return the paths that are there, also
    links that lead nowhere."""
    found: set[str] = set()
    for pattern in patterns:
        places = [""]
        for part in pattern.split("/"):
            places = [f"{place}/{name}".lstrip("/") for place in places for name in _names(folder / place, part)]
        found.update(places)
    return found


def _names(folder: Path, pattern: str) -> list[str]:
    if "*" not in pattern:
        return [pattern] if os.path.lexists(folder / pattern) else []
    try:
        return [name for name in os.listdir(folder) if fnmatch.fnmatchcase(name, pattern)]
    except (FileNotFoundError, NotADirectoryError):
        return []


def fingerprint(path: Path) -> str:
    """Return a digest (hex) of what lies below a folder: names, kinds, sizes, mtimes and inodes; raise OSError.

    No link is followed: what is behind one may be anything, and whose folder it is may be anybody.
    """
    hashed = hashlib.sha256()
    folders = [(b"", os.fsencode(path))]
    while folders:
        name, folder = folders.pop()
        with os.scandir(folder) as found:
            items = sorted(found, key=lambda item: item.name)
        for item in items:
            here = name + b"/" + item.name
            status = item.stat(follow_symlinks=False)
            seen = (stat.S_IFMT(status.st_mode), status.st_size, status.st_mtime_ns, status.st_ino)
            hashed.update(repr((here, *seen)).encode() + b"\n")
            if item.is_dir(follow_symlinks=False):
                folders.append((here, item.path))
    return hashed.hexdigest()


def inode(path: Path) -> int | None:
    """Return the inode of what lies at a path, without following a link, or None."""
    try:
        return os.lstat(path).st_ino
    except (FileNotFoundError, NotADirectoryError):
        return None


def move_aside(root: Path, path: str, aside: Path, *, as_name: str = "") -> None:
    """Move `root/path` to the same path below `aside` (or to `aside/as_name`), never over something."""
    parent, _, name = path.rpartition("/")
    new_parent, _, new_name = (as_name or path).rpartition("/")
    target = aside / new_parent
    target.mkdir(parents=True, exist_ok=True, mode=0o700)
    with opened(root, parent) as old, opened(aside, new_parent) as new:
        try:
            files.rename_noreplace(name, new_name, old_dir=old, new_dir=new)
        except OSError as error:
            if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
                raise
            raise ReplicaError(
                reason=f"{target / new_name} is taken, so this server's own /{as_name or path} cannot be set aside",
                hint=f"Rename {target / new_name}, then run the same command again.",
            ) from error
        os.fsync(new)
        os.fsync(old)


@contextmanager
def opened(root: Path, path: str, flags: int = os.O_RDONLY | os.O_DIRECTORY) -> Iterator[int]:
    """Open a path below a root for the block, following no link on the way; raise OSError."""
    base = os.open(root, os.O_PATH | os.O_DIRECTORY)
    try:
        descriptor = files.open_beneath(base, path or ".", flags)
    finally:
        os.close(base)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
