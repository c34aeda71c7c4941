"""One folder of a walk: its open handle, its names in order, and what was decided of them."""

from __future__ import annotations

import errno
import heapq
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import IO, Self

from hotsync.changes.verbs import in_range
from hotsync.model.changeset import MAX_NAME, MAX_PATH
from hotsync.model.entry import Entry, Kind, path_of_key
from hotsync.model.scope import Scope
from hotsync.system.attributes import attributes_of, hash_attributes, read_attributes
from hotsync.system.files import open_beneath, write_out
from hotsync.system.flags import read_flags

FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NO_FLAGS = (errno.ENOTTY, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL)
LONGEST = MAX_PATH - 96
"""Bytes of the longest path that is carried: the kernel and rsync take 4096, with the folder that it is sent into."""
DEEPEST = 500
"""The level of the deepest folder that is carried: rsync makes none below some thousand. Whoever may write anywhere can
make such a tree; nobody's data is one."""
_LARGE_FOLDER = 8 * 1024 * 1024
_RUN = 50_000
GONE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ESTALE)


@dataclass(slots=True)
class Frame:
    """A folder that a walk is in. `plain`: all names in it are simply carried; else `child` is the last name's scope.

    `listed` is where the names come from, if it is a list; `last` is the name that the walk went into; `pending`: it
    becomes an entry only if something in it does. `same` is the number of names in it if its seal holds; `sealable`: it
    has none, and nothing in it was found to differ.
    """

    key: bytes
    descriptor: int
    device: int
    inode: int
    kind: str
    scope: Scope
    mounted: Mapping[bytes, str]
    names: Iterator[bytes] = field(default_factory=lambda: iter(()))
    listed: list[bytes] | None = None
    plain: bool = True
    child: Scope | None = None
    last: bytes = b""
    place: str = ""
    before: int = 0
    pending: bool = False
    same: int = 0
    sealable: bool = False

    @property
    def prefix(self) -> bytes:
        """Return what the keys of everything in this folder begin with."""
        return self.key + b"\0" if self.key else b""

    def leave_out(self, hidden: AbstractSet[bytes]) -> None:
        """Take names away that have not come yet: those that have come lie before them, and keep their places."""
        if hidden and self.listed is not None:
            self.listed[:] = [name for name in self.listed if name not in hidden]

    def close(self) -> None:
        """Give up the handle; the folder can be opened again."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1


class Reach:
    """Looks at single paths below a folder, following no link; ask in the order of a walk, it keeps the last folder."""

    def __init__(self, root: Path) -> None:
        self._root = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._key: bytes | None = None
        self._folder = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._forget()
        os.close(self._root)

    def folder_of(self, key: bytes) -> int:
        """Given the key of a path, return its open folder; raise OSError."""
        above = key.rpartition(b"\0")[0]
        if self._key != above:
            self._forget()
            flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
            self._folder = open_beneath(self._root, above.replace(b"\0", b"/"), flags)
            self._key = above
        return self._folder

    def look(self, key: bytes, status_of: Callable[..., os.stat_result] = os.stat) -> os.stat_result:
        """Given the key of a path, return its stat; raise OSError."""
        return status_of(key.rpartition(b"\0")[2], dir_fd=self.folder_of(key), follow_symlinks=False)

    def _forget(self) -> None:
        self._key = None
        if self._folder >= 0:
            os.close(self._folder)
            self._folder = -1


def open_folder(name: bytes | str, above: int | None = None) -> int:
    """Given a name in an open folder, open that folder without touching its time of access; raise OSError."""
    with suppress(PermissionError):
        return os.open(name, FOLDER | os.O_NOATIME, dir_fd=above)
    return os.open(name, FOLDER, dir_fd=above)


def sorted_names(descriptor: int, size: int) -> list[bytes] | Iterator[bytes]:
    """Given an open folder and its size, return its names in the order of bytes; raise OSError.

    Those of a very large folder come from an unnamed file, so that they need no memory.
    """
    if size > _LARGE_FOLDER:
        return _spilled(descriptor)
    joined = os.fsencode("\0".join(os.listdir(descriptor)))
    return sorted(joined.split(b"\0")) if joined else []


def _spilled(descriptor: int) -> Iterator[bytes]:
    with ExitStack() as stack:
        runs: list[IO[bytes]] = []
        with os.scandir(descriptor) as entries:
            while batch := [os.fsencode(entry.name) for entry in islice(entries, _RUN)]:
                run = stack.enter_context(tempfile.TemporaryFile())
                run.writelines(name + b"\0" for name in sorted(batch))
                run.seek(0)
                runs.append(run)
        kept = stack.pop_all()
    return _merged(runs, kept)


def _merged(runs: list[IO[bytes]], kept: ExitStack) -> Iterator[bytes]:
    with kept:
        yield from heapq.merge(*map(words_of, runs))


def words_of(file: IO[bytes]) -> Iterator[bytes]:
    """Given a file of words with a NUL after each, return the words."""
    rest = b""
    while block := file.read(65536):
        *words, rest = (rest + block).split(b"\0")
        yield from words


def too_long(prefix: bytes, names: list[bytes]) -> bool:
    """Say whether a name in a folder may be longer than an entry can hold."""
    longest = max(map(len, names), default=0)
    return longest > MAX_NAME or len(prefix) + longest > LONGEST


def fold(number: int) -> int:
    """Return a number of 64 bits without sign as the manifest stores it."""
    return number - 2**64 if number >= 2**63 else number


def entry_at(
    folder: int,
    key: bytes,
    kind: Kind,
    status: os.stat_result,
    *,
    numbered: bool = True,
    peek: Callable[[int], None] | None = None,
) -> Entry:
    """Given an open folder, the key of a path in it and its stat, return the entry with all that stat does not tell.

    `numbered` is False on file systems that do not keep inode numbers; `peek` is called with an open file. Raise
    OSError if it is gone; also if it cannot be read, unless it is a folder: what it holds can still be carried.
    """
    name = key.rpartition(b"\0")[2]
    target = os.readlink(name, dir_fd=folder) if kind is Kind.SYMLINK else b""
    attributes, flags = "", 0
    try:
        if kind is Kind.FILE or kind is Kind.DIRECTORY:
            attributes, flags = _attributes_and_flags(name, folder, kind, peek)
        else:
            attributes = _attributes_by_name(name, folder)
    except BlockingIOError:
        attributes = _attributes_by_name(name, folder)  # a lease on it is being broken (a Samba oplock)
    except OSError as error:
        if kind is not Kind.DIRECTORY or error.errno in GONE:
            raise
    return Entry(
        path=path_of_key(key),
        kind=kind,
        mode=status.st_mode & 0o7777,
        uid=status.st_uid,
        gid=status.st_gid,
        size=status.st_size if kind is Kind.FILE else 0,
        mtime_ns=in_range(status.st_mtime_ns),
        ctime_ns=in_range(status.st_ctime_ns),
        inode=status.st_ino if numbered else 0,
        device=status.st_dev,
        links=1 if kind is Kind.DIRECTORY else status.st_nlink,
        rdev=status.st_rdev if kind in (Kind.CHARACTER, Kind.BLOCK) else 0,
        target=target.decode("utf-8", "surrogateescape"),
        attributes=attributes,
        flags=flags,
    )


def _attributes_by_name(name: bytes, folder: int) -> str:
    return hash_attributes(read_attributes(os.fsdecode(name), folder))


def _attributes_and_flags(name: bytes, folder: int, kind: Kind, peek: Callable[[int], None] | None) -> tuple[str, int]:
    # O_NONBLOCK: it may have become a fifo since it was looked at
    flags = FOLDER if kind is Kind.DIRECTORY else os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        descriptor = os.open(name, flags | os.O_NOATIME, dir_fd=folder)
    except PermissionError:
        descriptor = os.open(name, flags, dir_fd=folder)
    try:
        if kind is Kind.FILE:
            write_out(descriptor)  # the content is read after this: what is written later is seen by its time
            if peek is not None:
                peek(descriptor)
        attributes = hash_attributes(attributes_of(descriptor))
        try:
            return attributes, read_flags(descriptor)
        except OSError as error:
            if error.errno in _NO_FLAGS:
                return attributes, 0  # this file system has none
            raise
    finally:
        os.close(descriptor)
