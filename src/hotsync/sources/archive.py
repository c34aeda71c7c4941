"""A tar that is the same as long as what goes into it is: in the order given, times of the files, none of the clock."""

from __future__ import annotations

import grp
import hashlib
import io
import os
import pwd
import stat
import tarfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from hotsync.sources.spool import CHUNK, open_plain


@dataclass(frozen=True, slots=True)
class Member:
    """One path of the archive: its name (no slash in front), and where it is read or, if made, what it holds."""

    name: str
    path: Path
    data: bytes | None = None
    mtime: int = 0


class Changed(Exception):
    """A file was cut short while it was read."""


def md5_line(md5: str, path: str) -> bytes:
    """Return a line as md5sum writes it, so that `md5sum -c` reads it; odd names are escaped as it does."""
    escaped = path.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r")
    return os.fsencode(f"{'' if escaped == path else chr(92)}{md5}  {escaped}\n")


class _Reader:
    """A file while it is copied into the archive, hashed on the way."""

    def __init__(self, file: IO[bytes], name: str) -> None:
        self._file, self._name = file, name
        self.md5 = hashlib.md5(usedforsecurity=False)

    def read(self, count: int = -1) -> bytes:
        """Return the next bytes; raise Changed if there are less than the file had."""
        data = self._file.read(count)
        if len(data) < count:
            raise Changed(self._name)
        self.md5.update(data)
        return data


class _Sink:
    """What a tar is written to."""

    def __init__(self, write: Callable[[bytes], object]) -> None:
        self._write = write

    def write(self, data: bytes) -> int:
        """Take bytes."""
        self._write(bytes(data))
        return len(data)


def write_tar(members: Iterable[Member], write: Callable[[bytes], object]) -> list[tuple[str, str]]:
    """Given members in their order, write them as a tar; return name and md5 of each file in it.

    Raise OSError if one cannot be read (one that vanished meanwhile is left out).
    """
    contents: list[tuple[str, str]] = []
    sink = cast("IO[bytes]", _Sink(write))
    with tarfile.open(fileobj=sink, mode="w|", format=tarfile.PAX_FORMAT, bufsize=CHUNK) as tar:
        for member in members:
            with _open_member(member) as (status, file):
                if status is None:
                    continue
                info = _tar_info(member, status)
                if file is None:
                    tar.addfile(info)
                    continue
                reader = _Reader(file, "/" + member.name)
                tar.addfile(info, cast("IO[bytes]", reader))
                contents.append((member.name, reader.md5.hexdigest()))
    return contents


@contextmanager
def _open_member(member: Member) -> Iterator[tuple[os.stat_result | None, IO[bytes] | None]]:
    """Return a member's status and content; no content for a link, neither for what is gone."""
    if member.data is not None:
        with io.BytesIO(member.data) as file:
            yield os.stat("/"), file  # it is not asked for what is made
        return
    try:
        status = member.path.lstat()
        if stat.S_ISLNK(status.st_mode):
            yield status, None
            return
        opened = open_plain(member.path)
    except (FileNotFoundError, NotADirectoryError):
        yield None, None
        return
    with opened:
        yield os.fstat(opened.fileno()), opened


def _tar_info(member: Member, status: os.stat_result) -> tarfile.TarInfo:
    info = tarfile.TarInfo(member.name)
    if member.data is not None:
        info.size, info.mode, info.mtime = len(member.data), 0o600, member.mtime
        info.uname = info.gname = "root"
        return info
    info.mode, info.mtime = stat.S_IMODE(status.st_mode), int(status.st_mtime)
    info.uid, info.gid = status.st_uid, status.st_gid
    with suppress(KeyError):
        info.uname = pwd.getpwuid(status.st_uid).pw_name
    with suppress(KeyError):
        info.gname = grp.getgrgid(status.st_gid).gr_name
    if stat.S_ISLNK(status.st_mode):
        info.type, info.linkname = tarfile.SYMTYPE, os.readlink(member.path)
    else:
        info.size = status.st_size
    return info
