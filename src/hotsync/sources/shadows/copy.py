"""Makes sound copies in a temporary folder: of SQLite by a child with their owner's rights, of TDB by tdbbackup."""

from __future__ import annotations

import hashlib
import json
import os
import pwd
import select
import shutil
import stat
import struct
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self, cast
from urllib.parse import quote_from_bytes

from hotsync.errors import CommandFailed
from hotsync.sources.shadows.index import SQLITE, Format
from hotsync.system import command
from hotsync.system.namespace import bind, unbind

TEMPORARY = Path("/var/tmp")  # noqa: S108 - a folder of root's own is made in it
ROOM = 64 * 1024 * 1024
"""What must be left of a disk when a copy is on it."""
_CHILD = Path(__file__).with_name("sqlite_child.py")
_NOBODY = 65534
_USER_OBJ, _USER, _GROUP_OBJ, _MASK, _OTHER, _ANY = 1, 2, 4, 16, 32, 0xFFFFFFFF
_CHILDREN = 4
_LONGEST = 64 * 1024
_STALL_SECONDS, _BYTES_PER_SECOND = 300.0, 2 * 1024 * 1024
_SLACK = 64 * 1024 * 1024


class CopyFailed(Exception):
    """A file could not be copied soundly; `damaged`: not as long as it stays as it is."""

    def __init__(self, reason: str, *, damaged: bool = False) -> None:
        super().__init__(reason)
        self.reason, self.damaged = reason, damaged


class _NoEnd(CopyFailed):
    """It took too long: an owner whose files do that, or who stops our child, must not hold up the run again."""


@dataclass(frozen=True, slots=True)
class Original:
    """A live file that is to be copied: its open folder, its name there, and what one stat told of it."""

    folder: int
    name: bytes
    format: Format
    status: os.stat_result

    @property
    def size(self) -> int:
        """Return how large a copy may become: the file with its log and journal."""
        total = self.status.st_size
        for side in (b"-wal", b"-journal") if self.format == SQLITE else ():
            try:
                total += os.stat(self.name + side, dir_fd=self.folder, follow_symlinks=False).st_size
            except OSError:
                continue
        return total


def rights_of(status: os.stat_result, folder: os.stat_result) -> tuple[int, int]:
    """Given the stat of a file and of its folder, return as which user and group it is read: its owner, never more.

    What root owns and others can write is read as nobody: root should not parse what they wrote.
    """
    uid = status.st_uid
    if uid == 0:
        open_to_others = status.st_mode & 0o022 and folder.st_mode & 0o011
        return (_NOBODY, status.st_gid) if open_to_others else (0, 0)
    try:
        return uid, pwd.getpwuid(uid).pw_gid
    except KeyError:
        return uid, _NOBODY


class Copier:
    """Copies files within a private view of the file systems; use it as a context manager.

    Left over folders of a run that was killed are removed. `owner` tells apart those of several hosts' roots.
    """

    def __init__(self, owner: Path, temporary: Path = TEMPORARY) -> None:
        self._prefix = f"hotsync-shadows-{hashlib.sha256(os.fsencode(owner)).hexdigest()[:12]}-"
        self._temporary = temporary
        self._children: dict[tuple[int, int], _Child] = {}
        self._given_up: set[tuple[int, int]] = set()
        self._base: Path | None = None

    def __enter__(self) -> Self:
        _clear(self._temporary, self._prefix)
        return self

    def __exit__(self, *_: object) -> None:
        for child in self._children.values():
            child.close()
        self._children.clear()
        if self._base is not None:
            shutil.rmtree(self._base, ignore_errors=True)

    @contextmanager
    def copied(self, original: Original) -> Iterator[int]:
        """Return the copy of a file, open for reading, for the block; raise CopyFailed or OSError."""
        _check_room(self._temporary, original.size)
        if original.format == SQLITE:
            rights = rights_of(original.status, os.fstat(original.folder))
            if rights in self._given_up:
                raise CopyFailed("copying another file of its owner came to no end in this run")
            try:
                with self._child_for(rights).copied(original) as descriptor:
                    yield descriptor
            except _NoEnd:
                self._given_up.add(rights)
                raise
        else:
            with _tdb_copied(self._made_base(), original) as descriptor:
                yield descriptor

    def _made_base(self) -> Path:
        if self._base is None:
            self._base = Path(tempfile.mkdtemp(prefix=self._prefix, dir=self._temporary))
            self._base.chmod(0o711)  # owners must get to their own folders in it
        return self._base

    def _child_for(self, rights: tuple[int, int]) -> _Child:
        child = self._children.pop(rights, None)
        if child is not None and not child.alive:
            child.close()
            child = None
        if child is None:
            if len(self._children) >= _CHILDREN:
                self._children.pop(next(iter(self._children))).close()
            child = _Child(self._made_base(), rights)
        self._children[rights] = child  # the last one used is the last one in
        return child


class _Child:
    """A process with the rights of one owner, and the folders that it works in."""

    def __init__(self, base: Path, rights: tuple[int, int]) -> None:
        uid, gid = rights
        self._rights = rights
        self._folder = base / f"{uid}-{gid}"
        self._live, self._copies = self._folder / "live", self._folder / "copies"
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir(mode=0o700)
        self._live.mkdir(mode=0o700)  # what is bound there brings its own mode
        _let_through(self._folder, uid)
        self._copies.mkdir(mode=0o700)
        os.chown(self._copies, uid, gid)
        self._stack = ExitStack()
        argv = [sys.executable, "-I", "-S", str(_CHILD), str(uid), str(gid)]
        self._process = self._stack.enter_context(
            command.spawn(argv, stdin=command.PIPE, stdout=command.PIPE, stderr=command.DEVNULL, cwd="/")
        )

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def close(self) -> None:
        self._stack.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    @contextmanager
    def copied(self, original: Original) -> Iterator[int]:
        live = os.open(self._live, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        copies = os.open(self._copies, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            bind(original.folder, live)
            try:
                self._ask(original)
            finally:
                unbind(str(self._live))
            yield from self._taken(copies, original)
        finally:
            os.close(live)
            _empty(copies)
            os.close(copies)

    def _taken(self, copies: int, original: Original) -> Iterator[int]:
        """Yield the copy, if it is a plain file of the owner's: he could have put anything there."""
        descriptor = os.open("copy", os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=copies)
        try:
            status = os.fstat(descriptor)
            plain = stat.S_ISREG(status.st_mode) and status.st_nlink == 1 and status.st_uid == self._rights[0]
            if not plain or status.st_size > original.size + _SLACK:
                raise CopyFailed("its copy was tampered with")
            yield descriptor
        finally:
            os.close(descriptor)

    def _ask(self, original: Original) -> None:
        request = {
            "folder": quote_from_bytes(os.fsencode(self._live)),
            "name": quote_from_bytes(original.name),
            "inode": [original.status.st_dev, original.status.st_ino],
            "target": quote_from_bytes(os.fsencode(self._copies)),
            "limit": original.size + _SLACK,
        }
        answer = self._answered(json.dumps(request), _STALL_SECONDS + original.size / _BYTES_PER_SECOND)
        if answer.get("ok") is not True:
            reason = str(answer.get("reason", "its copy came to nothing"))[:300]
            raise CopyFailed(reason, damaged=answer.get("trouble") == "damaged")

    def _answered(self, request: str, seconds: float) -> dict[str, object]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        heard = b""
        try:
            self._process.stdin.write(request.encode("ascii") + b"\n")
            self._process.stdin.flush()
            output = self._process.stdout.fileno()
            while not heard.endswith(b"\n") and len(heard) < _LONGEST:
                if not select.select([output], [], [], seconds)[0]:
                    raise _NoEnd(f"copying it came to no end within {seconds:.0f} seconds")
                chunk = os.read(output, _LONGEST)
                if not chunk:
                    raise CopyFailed("what copies it died over it")
                heard += chunk
            answer = cast("dict[str, object]", json.loads(heard))
        except (BrokenPipeError, ValueError) as error:
            command.kill_group(self._process)
            raise CopyFailed("what copies it died over it") from error
        except CopyFailed:
            command.kill_group(self._process)
            raise
        return answer


@contextmanager
def _tdb_copied(base: Path, original: Original) -> Iterator[int]:
    """Have tdbbackup copy a file that is bound to a name of ours, so that it writes nothing beside the live one."""
    folder = base / "tdb"
    folder.mkdir(mode=0o700, exist_ok=True)
    name, made = folder / "file", folder / "file.copy"
    name.touch(mode=0o600)
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        live = os.open(original.name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=original.folder)
        stack.callback(os.close, live)
        status = os.fstat(live)
        if (status.st_dev, status.st_ino) != (original.status.st_dev, original.status.st_ino):
            raise CopyFailed("it was replaced meanwhile")
        target = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
        stack.callback(os.close, target)
        bind(live, target)
        try:
            command.run(["tdbbackup", "-r", "-s", ".copy", str(name)], timeout=_STALL_SECONDS)
        except CommandFailed as error:
            missing = error.returncode is None and shutil.which("tdbbackup", path=command.ENVIRONMENT["PATH"]) is None
            reason = "the program tdbbackup (package tdb-tools) is missing" if missing else error.sentence
            # a status of its own means that it could not read the file as it is
            raise CopyFailed(reason, damaged=(error.returncode or 0) > 0) from error
        finally:
            unbind(str(name))
        descriptor = os.open(made, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        stack.callback(os.close, descriptor)
        yield descriptor


def _let_through(folder: Path, uid: int) -> None:
    """Let one user, and no other but root, get to what lies in a folder of root's: what is bound there is his."""
    entries = ((_USER_OBJ, 7, _ANY), (_USER, 1, uid), (_GROUP_OBJ, 0, _ANY), (_MASK, 1, _ANY), (_OTHER, 0, _ANY))
    acl = struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)
    try:
        os.setxattr(folder, "system.posix_acl_access", acl)
    except OSError:
        folder.chmod(0o711)  # a file system without ACLs


def _check_room(folder: Path, size: int) -> None:
    """Raise CopyFailed if a copy would leave too little of a disk."""
    room = os.statvfs(folder)
    if room.f_bavail * room.f_frsize < size + ROOM:
        raise CopyFailed(f"the disk of {folder} has no room for a copy of {size} bytes")


def _empty(folder: int) -> None:
    """Remove what lies in an open folder, whatever it is; no link is followed."""
    for name in os.listdir(folder):
        try:
            os.unlink(name, dir_fd=folder)
        except OSError:
            shutil.rmtree(name, ignore_errors=True, dir_fd=folder)


def _clear(temporary: Path, prefix: str) -> None:
    """Remove the folders of a run that was killed."""
    for path in temporary.glob(f"{prefix}*"):
        if path.lstat().st_uid == 0:
            shutil.rmtree(path, ignore_errors=True)
