"""Which folders of this host a database server in a container keeps its files in."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from hotsync.backends.coverage_processes import held_for_writing
from hotsync.model.nesting import lies_in
from hotsync.sources.frozen.places import mount_of, mounts_of, on_host, real_path
from hotsync.system.mounts import Mount
from hotsync.system.processes import user_of

_SHALLOW = 2
_WORK_IN_DATA = frozenset(("mariadbd", "mysqld", "mysql", "postgres", "postmaster", "redis-server", "valkey-server"))
"""Servers that always work from where their files are."""
_BESIDE = re.compile(
    r"/(?:tmp|run|dev|var/(?:tmp|run|lock))/.*|.*/logs?/.*|.*\.(?:err|out|pid|lock|sock)|.*/(?!\d+\.log)[^/]*\.log"
)
"""What is written and no data: a log, unless its name is a number (RocksDB's are data)."""
_LAYER = re.compile(r".*/(?:docker|containerd|containers/storage)/(?!volumes/).*")
"""Where engines keep containers themselves; a container may also be a plain folder, as LXC's are."""
_NAMELESS = re.compile(r".*/volumes/[0-9a-f]{64}/_data(?:/.*)?")
_LEVELS = 2
"""So deep in a server's folder lie its links to others: `pg_wal`, `pg_tblspc/16384`, `shop`."""


@dataclass(slots=True)
class Kept:
    """Where a server in a container keeps its files.

    `folders` are paths of this host; `reach` are all its volumes that may be written. `inside`: files lie in the
    container itself; `perhaps`: it works from there; `nameless`: files lie in a volume that nobody gave a name.
    """

    folders: set[str] = field(default_factory=set[str])
    reach: set[str] = field(default_factory=set[str])
    inside: bool = False
    perhaps: bool = False
    nameless: bool = False


def note_kept(kept: Kept, program: str, process: Path, host: Sequence[Mount]) -> None:
    """Note where a process in a container keeps its files; raise OSError if it has ended."""
    _View(kept, program, process, host).note()


class _View:
    """What one process sees; all paths are its own."""

    def __init__(self, kept: Kept, program: str, process: Path, host: Sequence[Mount]) -> None:
        self._kept, self._program, self._process, self._host = kept, program, process, host
        self._mounts = mounts_of(process)
        self._home = os.readlink(process / "cwd")
        self._user = user_of(process)
        self._looked: set[str] = set()
        """The folders whose links were followed."""

    def note(self) -> None:
        for point in self._mounts:
            with suppress(OSError):
                self._note_volume(point)
        used: dict[str, list[str]] = {}
        for path in self._used():
            if (mount := mount_of(path, self._mounts)) is not None and self._is_written(mount.point):
                used.setdefault(mount.point, []).append(path)
        for point, paths in used.items():
            with suppress(OSError):
                self._note_used(self._mounts[point], paths)

    def _note_volume(self, point: str) -> None:
        """Note a volume as one that the server may write. One whose top is its user's own is the server's also while
        nothing in it is open, unless an image made it and nobody gave it a name."""
        mount = mount_of(point, self._mounts)
        if mount is None or not self._is_written(point):
            return
        here = self._on_host(mount, point)
        if here and here != "/":
            self._kept.reach.add(here)
            if point != "/" and self._is_own(point) and not _NAMELESS.fullmatch(here):
                self._kept.folders.add(here)

    def _used(self) -> Iterator[str]:
        """Return where it works, what it has open for writing, and of volumes also what it reads, or maps as shared."""
        if self._home != "/":
            yield self._home
        written = [path for path, _ in held_for_writing(self._process)]
        yield from written
        for path in (*self._mapped(), *self._open()):
            mount = mount_of(path, self._mounts)
            if path not in written and mount is not None and mount.point != "/":
                yield path

    def _mapped(self) -> list[str]:
        with suppress(OSError):
            maps = (self._process / "maps").read_text("utf-8", "surrogateescape").split("\n")
            words = [line.split(maxsplit=5) for line in maps]
            return [found[5] for found in words if len(found) > 5 and found[1][3:] == "s" and found[5][0] == "/"]
        return []

    def _open(self) -> list[str]:
        found: list[str] = []
        with suppress(OSError):
            for number in os.listdir(self._process / "fd"):
                with suppress(OSError):
                    status = os.stat(self._process / "fd" / number)
                    if stat.S_ISREG(status.st_mode) and status.st_nlink:
                        found.append(os.readlink(self._process / "fd" / number))
        return found

    def _note_used(self, mount: Mount, paths: Sequence[str]) -> None:
        """Given a mount and what is used in it, note the folder that holds that, and those to which its links lead."""
        data = [path for path in paths if path != self._home and not _BESIDE.fullmatch(path)]
        home = self._home if self._home in paths else ""
        sure = bool(data) or (bool(home) and self._program in _WORK_IN_DATA)
        if mount.point != "/":
            folder = home if home and all(lies_in(path, home) for path in paths) else mount.point
        elif home and (self._program in _WORK_IN_DATA or all(lies_in(path, home) for path in data)):
            folder = home
        elif data:
            above = os.path.commonpath([os.path.dirname(path) for path in data])
            folder = above if len(above.strip("/").split("/")) >= _SHALLOW else ""
        else:
            return
        self._note_folder(mount, folder, sure=sure)
        for top in {folder, home} - {""} if sure else ():
            self._note_linked(top)

    def _note_folder(self, mount: Mount, folder: str, *, sure: bool) -> None:
        here = self._on_host(mount, folder) if folder else ""
        if here:
            self._kept.folders.add(here)
            self._kept.nameless |= sure and _NAMELESS.fullmatch(here) is not None
        elif sure:
            self._kept.inside = True
        else:
            self._kept.perhaps = True

    def _on_host(self, mount: Mount, folder: str) -> str:
        """Return the path at which this host has a folder, "" for one that is not of it, or a container's own."""
        here = on_host(self._process, mount, folder, self._host)
        is_layer = mount.point == "/" and ("overlay" in mount.kind or _LAYER.fullmatch(here))
        return "" if is_layer else here

    def _note_linked(self, top: str) -> None:
        """Note the server's own folders to which links in one of its folders lead: nothing in them need be open."""
        for link in self._links(top, _LEVELS):
            with suppress(OSError):
                folder = real_path(self._process, link)
                mount = mount_of(folder, self._mounts)
                if folder == "/" or mount is None or not self._is_written(mount.point) or not self._is_own(folder):
                    continue
                if not _BESIDE.fullmatch(f"{folder}/"):
                    self._note_folder(mount, folder, sure=True)

    def _links(self, folder: str, levels: int) -> Iterator[str]:
        if folder in self._looked:
            return
        self._looked.add(folder)
        inner: list[str] = []
        with suppress(OSError), os.scandir(f"{self._process}/root{folder}") as found:
            for item in found:
                if item.is_symlink():
                    yield f"{folder}/{item.name}"
                elif item.is_dir(follow_symlinks=False):
                    inner.append(f"{folder}/{item.name}")
        for path in inner if levels > 1 else ():
            yield from self._links(path, levels - 1)

    def _is_own(self, path: str) -> bool:
        """Say whether a folder belongs to the server's user; of root, whose everything may be, that says nothing."""
        status = os.lstat(f"{self._process}/root{path}")
        return stat.S_ISDIR(status.st_mode) and bool(self._user) and status.st_uid == self._user

    def _is_written(self, point: str) -> bool:
        """Say whether what is mounted there may be written."""
        with suppress(OSError):
            return not os.statvfs(f"{self._process}/root{point}").f_flag & os.ST_RDONLY
        return False


def outermost(folders: Iterable[str]) -> tuple[str, ...]:
    """Return those folders that lie in no other of them, in order."""
    every = sorted(folders)
    return tuple(path for path in every if not any(path.startswith(f"{other}/") for other in every))
