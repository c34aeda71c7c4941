"""The spool: what is equal to the last good copy stays as it is (inode, times); what differs appears as a whole.

A dataset's files are compared while they arrive; only those that differ are written, outside the spool. When all of
them are there, a list of what to put where is written (`publish.json`: from then on the dataset *will* be the new one),
then each file is renamed into its place. A run that dies before the list leaves the last copy; one that dies after it
is finished by the next. Nothing is ever created in the spool that is not to stay: folder times are carried too.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO
from urllib.parse import quote

from hotsync.errors import SourceError
from hotsync.system.files import sync_directory, write_atomic
from hotsync.system.paths import Paths

CHUNK = 1024 * 1024
_LONGEST_NAME = 200
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@dataclass(frozen=True, slots=True)
class Digest:
    """What a collected file holds: length and SHA-256 (hex), and how many line ends (-1: not counted)."""

    size: int
    sha256: str
    lines: int = field(default=-1, compare=False)


def file_name(name: str) -> str:
    """Given any name of a database, return one that is safe as a file name and differs for each."""
    encoded = "".join(sign if sign.isalnum() else quote(sign, safe="_-.", errors="surrogateescape") for sign in name)
    if encoded.startswith("."):
        encoded = "%2E" + encoded[1:]
    if len(os.fsencode(encoded)) > _LONGEST_NAME:
        fingerprint = hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()[:16]
        encoded = os.fsencode(encoded)[: _LONGEST_NAME - 20].decode("utf-8", "ignore") + "%~" + fingerprint
    return encoded


class Candidate:
    """A file that is being collected: compared with the last good copy, written only from the first difference on."""

    def __init__(self, last: Path, staged: Path) -> None:
        self._last_path, self._staged_path = last, staged
        self._last: IO[bytes] | None = None
        self._staged: IO[bytes] | None = None
        self.differs = not _is_plain_file(last)
        self._hash = hashlib.sha256()
        self.size = 0

    @property
    def digest(self) -> Digest:
        """Return length and hash of what was written so far."""
        return Digest(self.size, self._hash.hexdigest())

    def write(self, data: bytes) -> None:
        """Take the next bytes."""
        self._hash.update(data)
        if not self.differs:
            if self._last is None:
                self._last = open_plain(self._last_path)
                self._last.seek(self.size)
            if self._last.read(len(data)) != data:
                self._begin()
        if self.differs:
            if self._staged is None:
                self._staged = _open_staged(self._staged_path)
            self._staged.write(data)
        self.size += len(data)

    def pause(self) -> None:
        """Let go of the files; the next `write` goes on."""
        if self._last is not None:
            self._last.close()
            self._last = None
        if self._staged is not None:
            self._staged.close()
            self._staged = None

    def finish(self) -> bool:
        """Say that this was all; return whether the file differs from the last good copy (it then lies on the disk)."""
        self.pause()
        if not self.differs and self._last_path.lstat().st_size != self.size:
            self._begin()
        if self.differs:
            with _open_staged(self._staged_path) as file:
                os.fsync(file.fileno())
        self.pause()
        return self.differs

    def _begin(self) -> None:
        """Write what was equal so far; from here on the file is a new one."""
        self.differs = True
        self._staged = _open_staged(self._staged_path)
        remaining = self.size
        with open_plain(self._last_path) as last:
            while remaining and (chunk := last.read(min(CHUNK, remaining))):
                self._staged.write(chunk)
                remaining -= len(chunk)


class Collection:
    """One dataset while it is collected. Every file of the new state is put, adopted or kept; then `publish`."""

    def __init__(self, paths: Paths, dataset: str, folder: Path | None = None) -> None:
        self.dataset = dataset
        self.folder = folder or paths.spool / dataset
        self._shared = folder is not None
        self._stage = paths.collecting / dataset
        self._staged = self._stage / "files"
        self._complete: set[str] = set()
        self._open: dict[str, Candidate] = {}

    @property
    def work(self) -> Path:
        """Return a folder for what is not ready to be compared; emptied with the rest."""
        folder = self._stage / "work"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return folder

    def candidate(self, name: str) -> Candidate:
        """Given a file's name in the dataset's folder, return what to write it to."""
        self._complete.add(name)
        self._open[name] = Candidate(self.folder / name, self._staged / name)
        return self._open[name]

    def put(self, name: str, data: bytes) -> Digest:
        """Given a whole small file, take it."""
        candidate = self.candidate(name)
        candidate.write(data)
        return candidate.digest

    def adopt(self, name: str, directory: int, entry: str) -> Digest:
        """Given a file that another program wrote (a name in an open folder that is root's by now), take it over.

        Raise SourceError if it is anything but a plain file with one name.
        """
        descriptor = os.open(entry, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=directory)
        with os.fdopen(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode) or status.st_nlink != 1:
                raise SourceError(dataset=self.dataset, reason=f"the dump holds something odd: {entry!r}")
            digest, equal = _compare(file, self.folder / name)
            self._complete.add(name)
            if not equal:
                os.fchown(descriptor, 0, 0)
                os.fchmod(descriptor, 0o600)
                os.fsync(descriptor)
                target = self._staged / name
                target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                os.rename(entry, target, src_dir_fd=directory)
        return digest

    def keep(self, name: str) -> None:
        """Say that a file, or a folder with all that it holds, stays as it is."""
        path = self.folder / name
        if path.is_dir() and not path.is_symlink():
            self._complete.update(f"{name}/{below}" for below in _files_below(path))
        else:
            self._complete.add(name)

    def publish(self) -> bool:
        """Make the dataset's folder exactly what was put, adopted and kept; return whether anything changed."""
        for candidate in self._open.values():
            candidate.finish()
        staged = sorted(_files_below(self._staged))
        gone = [] if self._shared else sorted(set(_files_below(self.folder)) - self._complete)
        if staged or gone:
            document = {"folder": os.fspath(self.folder), "files": staged, "gone": gone}
            write_atomic(self._stage / "publish.json", json.dumps(document).encode(), mode=0o600)
            _finish(self._stage)
        return bool(staged or gone)


@contextmanager
def collecting(paths: Paths, dataset: str, folder: Path | None = None) -> Iterator[Collection]:
    """Given a dataset's name, return its collection; what a block leaves unpublished is dropped.

    With `folder` the files go there instead of into the spool, and others that lie there are left alone.
    Raise SourceError for whatever the disk says no to, with the name of the dataset.
    """
    stage = paths.collecting / dataset
    collection = Collection(paths, dataset, folder)
    try:
        recover(paths, dataset)
        (stage / "files").mkdir(parents=True, mode=0o700)
        try:
            yield collection
        finally:
            for candidate in collection._open.values():  # pyright: ignore[reportPrivateUsage]
                candidate.pause()
            if not (stage / "publish.json").exists():
                shutil.rmtree(stage, ignore_errors=True)
    except OSError as error:
        raise disk_error(paths, dataset, error) from error


def recover(paths: Paths, dataset: str) -> None:
    """Finish what a run that died had decided to publish, and drop what it had not; raise OSError."""
    stage = paths.collecting / dataset
    for private in (paths.spool, paths.collecting):
        if not private.is_dir():
            private.mkdir(parents=True, exist_ok=True)
            private.chmod(0o700)
    if (stage / "publish.json").exists():
        _finish(stage)
    elif stage.exists():
        shutil.rmtree(stage)


def forget(paths: Paths, dataset: str) -> None:
    """Take a dataset that is no more out of the spool; raise OSError."""
    recover(paths, dataset)
    if (paths.spool / dataset).is_dir():
        shutil.rmtree(paths.spool / dataset)


def rename(paths: Paths, before: str, now: str) -> None:
    """Give a dataset another name of the same source; raise OSError."""
    for dataset in (before, now):
        recover(paths, dataset)
    os.rename(paths.spool / before, paths.spool / now)
    sync_directory((paths.spool / now).parent)


def disk_error(paths: Paths, dataset: str, error: OSError) -> SourceError:
    """Given what the disk said, return it as the error of a dataset."""
    if error.errno in _FULL:
        return SourceError(
            dataset=dataset,
            reason=f"the spool {paths.spool} is full",
            hint=f"Make room on the file system of {paths.spool}; the last good copy stays in the next generation.",
        )
    if error.errno == errno.EXDEV:
        return SourceError(
            dataset=dataset,
            reason=f"{paths.spool} and {paths.collecting} lie on two file systems",
            hint=f"Mount both below one file system, best the one of {paths.state}.",
        )
    return SourceError(dataset=dataset, reason=str(error))


def open_plain(path: Path) -> IO[bytes]:
    """Given a path, open the plain file there, not following a link in its last part; raise OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "not a plain file", str(path))
    return os.fdopen(descriptor, "rb")


def digest_of(path: Path) -> Digest:
    """Given a plain file, return its length and hash; raise OSError."""
    with open_plain(path) as file:
        return _compare(file, None)[0]


def _finish(stage: Path) -> None:
    """Do what `publish.json` says; each part of it may have been done already."""
    document = json.loads((stage / "publish.json").read_bytes())
    folder = Path(document["folder"])
    touched: set[Path] = set()
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    for name in document["gone"]:
        (folder / name).unlink(missing_ok=True)
        touched.add((folder / name).parent)
        _drop_empty(folder, (folder / name).parent)
    for name in document["files"]:
        staged, target = stage / "files" / name, folder / name
        if staged.exists():
            target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            os.replace(staged, target)
            touched.add(target.parent)
    for changed in touched | {folder, folder.parent}:
        if changed.is_dir():
            sync_directory(changed)
    (stage / "publish.json").unlink()
    shutil.rmtree(stage)


def _drop_empty(top: Path, folder: Path) -> None:
    """Remove a folder in which nothing is left, and those above it, up to `top`, which stays."""
    while folder != top and folder.is_dir() and not os.listdir(folder):
        folder.rmdir()
        folder = folder.parent


def _files_below(folder: Path) -> Iterator[str]:
    """Return everything below a folder that is no folder, relative to it; links are not followed."""
    for path, folders, files in os.walk(folder):
        links = [name for name in folders if os.path.islink(os.path.join(path, name))]
        for name in (*files, *links):
            yield os.path.relpath(os.path.join(path, name), folder)


def _compare(file: IO[bytes], last: Path | None) -> tuple[Digest, bool]:
    """Given an open file, return its digest, and whether the file at `last` holds the same."""
    hashed, size, lines = hashlib.sha256(), 0, 0
    old = open_plain(last) if last is not None and _is_plain_file(last) else None
    equal = old is not None
    try:
        while chunk := file.read(CHUNK):
            hashed.update(chunk)
            size += len(chunk)
            lines += chunk.count(b"\n")
            equal = equal and old is not None and old.read(len(chunk)) == chunk
        equal = equal and old is not None and not old.read(1)
    finally:
        if old is not None:
            old.close()
    return Digest(size, hashed.hexdigest(), lines), equal


def _is_plain_file(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False


def _open_staged(path: Path) -> IO[bytes]:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
    return os.fdopen(os.open(path, flags, 0o600), "ab")
