"""The databases in containers and services, for one run: their files are copied while they stand still, and shown in
their places.

A copy is what a power cut would have left at one moment, from which a database server recovers by its own log. What did
not change is neither paused nor copied; of what changed most is copied before the pause.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from hotsync.errors import SourceError
from hotsync.model.generation import DatasetPoint
from hotsync.sources.frozen.find import Server, is_among
from hotsync.sources.frozen.pause import NotPaused, let_go, paused
from hotsync.sources.frozen.scan import TooMany, shape_of
from hotsync.sources.frozen.services import PausedUnit, read_servers
from hotsync.sources.frozen.staging import Staging
from hotsync.sources.frozen.store import FolderCopy, Known, copy_of, finish_all, load_copies
from hotsync.sources.live_databases import live_of
from hotsync.sources.shadows.copy import ROOM
from hotsync.system.clock import Clock
from hotsync.system.files import open_beneath
from hotsync.system.mounts import read_mounts
from hotsync.system.paths import Paths
from hotsync.system.trees import remove

HINT = (
    "Its last good copy stays in the next generation. Where it cannot be paused for so long, have it dumped by a "
    "plugin in /etc/hotsync.d, and name it in `DumpedByPlugin`."
)
_PASSES = 3
_STILL_SECONDS = 0.5
"""So long after its last change the time of a file tells whether it was changed again."""
_SMALL = 32 * 1024 * 1024
"""So much is copied in a pause without having been copied before it."""

Carried = Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class Cover:
    """A folder of this host (without a slash in front), and the copy that is shown in its place."""

    path: str
    copy: Path


@dataclass(slots=True)
class Frozen:
    """What came of a run's databases in containers and services.

    `live` are the servers whose files are copied while they are written, each with the reason.
    """

    covers: list[Cover] = field(default_factory=list[Cover])
    points: list[DatasetPoint] = field(default_factory=list[DatasetPoint])
    failed: list[SourceError] = field(default_factory=list[SourceError])
    live: dict[str, str] = field(default_factory=dict[str, str])


def forget_all(paths: Paths) -> None:
    """Remove all copies: databases are copied while they are written; raise OSError."""
    remove(paths.frozen)


def last_covers(paths: Paths, carried: Carried) -> list[Cover]:
    """Return the copies that the last run made: nothing is copied."""
    known = (known.path for known in load_copies(paths.frozen) if carried(known.path.strip("/")))
    return [Cover(path.strip("/"), copy_of(paths.frozen, path).tree) for path in known if _is_folder(paths, path)]


def copy_frozen(
    paths: Paths,
    clock: Clock,
    carried: Carried,
    *,
    seconds: float,
    elsewhere: Collection[str] = (),
    refused: str = "",
    units: Iterable[PausedUnit] = (),
    proc: Path | None = None,
) -> Frozen:
    """Bring the copies of all databases in containers and services up to date; what fails keeps its last copy.

    Each is paused for at most some seconds. `elsewhere` names servers that a plugin dumps, `units` what profiles name;
    `refused` says why nothing can be shown in the place of anything ("": it can).
    """
    let_go(paths)
    finish_all(paths.frozen)
    run = _Run(paths, clock, carried, seconds)
    servers = [one for one in read_servers(paths.root, units, proc) if not is_among(one.name, elsewhere)]
    if refused:
        for server in servers:
            run.refused(server, refused)
        return run.frozen
    for place in dict.fromkeys(server.place for server in servers):
        run.copy(place, [server for server in servers if server.place == place])
    run.copy_what_rests(servers, elsewhere)
    run.frozen.covers.sort(key=lambda cover: cover.path)
    return run.frozen


@dataclass(slots=True)
class _Run:
    paths: Paths
    clock: Clock
    carried: Carried
    seconds: float
    frozen: Frozen = field(default_factory=Frozen)

    def copy(self, place: Path | None, servers: Sequence[Server]) -> None:
        """Copy what the servers of one container hold."""
        wanted: dict[str, str] = {}
        for server in servers:
            folders = self._folders(server)
            if server.fault:
                known = [one.path for one in load_copies(self.paths.frozen) if one.server == server.name]
                if known or not server.apart:
                    self.failed(server.name, known, server.fault)
                else:
                    self.frozen.live |= live_of([server], pausing=True)
            elif not folders and server.service:
                continue  # a rule of this host leaves it out: all of /var/lib is carried, and disks are
            elif not folders:
                where = ", ".join(server.folders)
                self.failed(
                    server.name, (), f"its files lie in {where}, which is not carried: carry that, or give it a volume"
                )
            else:
                wanted |= dict.fromkeys(folders, server.name)
        if wanted and place is not None:
            self._try(wanted, place, min(self.seconds, *(server.seconds for server in servers)))

    def refused(self, server: Server, why: str) -> None:
        """Note that no copy can be shown in the place of a server's files."""
        if server.apart:
            self.frozen.live |= live_of([server], pausing=True)
        elif self._folders(server) or not server.service:
            self.failed(server.name, (), f"a private view of the file systems is refused here ({why})")

    def _folders(self, server: Server) -> list[str]:
        """Return the folders of a server that are carried, below our root."""
        return [path for path in map(self._below, server.folders) if path and self.carried(path.strip("/"))]

    def copy_what_rests(self, servers: Sequence[Server], elsewhere: Collection[str]) -> None:
        """Copy what was copied before and whose server does not run; forget what is gone."""
        running = {self._below(path) for server in servers for path in server.folders} - {""}
        faulty = {server.name for server in servers if server.fault}
        for known in load_copies(self.paths.frozen):
            if known.path in running or known.server in faulty:
                continue
            copy = copy_of(self.paths.frozen, known.path)
            gone = not _is_folder(self.paths, known.path) or not self.carried(known.path.strip("/"))
            if gone or is_among(known.server, elsewhere) or any(_overlap(known.path, path) for path in running):
                copy.forget()
            else:
                self._try({known.path: known.server}, None, self.seconds)

    def _below(self, path: str) -> str:
        """Given a path of this machine, return the path below our root; "" if it is not there."""
        top = os.path.realpath(self.paths.root).rstrip("/")
        return path[len(top) :] if path.startswith(f"{top}/") else ""

    def _try(self, wanted: dict[str, str], place: Path | None, seconds: float) -> None:
        try:
            taken_at = self._copied(wanted, place, seconds)
        except (NotPaused, TooMany) as error:
            reason = str(error) or "it has too many files to be copied in a pause"
        except OSError as error:
            reason = error.strerror or str(error)
        else:
            for path in wanted:
                self._cover(path)
            self.frozen.points += [DatasetPoint(name, taken_at) for name in dict.fromkeys(wanted.values())]
            return
        for name in dict.fromkeys(wanted.values()):
            self.failed(name, [path for path in wanted if wanted[path] == name], reason)

    def _copied(self, wanted: dict[str, str], place: Path | None, seconds: float) -> float:
        """Copy folders as of one moment, and return it; raise NotPaused, TooMany, OSError."""
        with ExitStack() as stack:
            works = [self._begin(stack, path, server) for path, server in wanted.items()]
            rate = self._copy_before(works)
            taken_at = self.clock.now()
            due = {work.path: work.staging.look() for work in works}
            if any(due.values()):
                if place is None:
                    self._stage_what_rests(works, due)
                else:
                    _check_time(sum(work.staging.size_of(due[work.path]) for work in works), rate, seconds)
                    taken_at = self._stage_paused(works, place, seconds)
            for work in works:
                work.finish(taken_at)
        return taken_at

    def _begin(self, stack: ExitStack, path: str, server: str) -> _Work:
        at = f"{os.path.realpath(self.paths.root).rstrip('/')}{path}/"
        if any(f"{mount.point}/".startswith(at) and f"{mount.point}/" != at for mount in read_mounts()):
            raise NotPaused(f"a file system is mounted inside of {path}")
        root = os.open(self.paths.root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            top = open_beneath(root, path.strip("/"), os.O_RDONLY | os.O_DIRECTORY)
        finally:
            os.close(root)
        stack.callback(os.close, top)
        copy = copy_of(self.paths.frozen, path)
        copy.prepare()
        known = copy.known()
        return _Work(
            path, server, top, copy, known, Staging(self.clock, top, copy.staging, known.looks if known else {})
        )

    def _copy_before(self, works: Iterable[_Work]) -> float:
        """Copy what is too much for the pause while it is written; return how many bytes a second could be copied."""
        rate = 0.0
        for _ in range(_PASSES):
            due = [(work.staging, work.staging.look()) for work in works]
            size = sum(staging.size_of(paths) for staging, paths in due)
            self._check_room(size)
            if size <= _SMALL:
                break
            began = self.clock.monotonic()
            for staging, paths in due:
                staging.stage(paths, live=True, check=_nothing)
            rate = size / max(self.clock.monotonic() - began, 0.001)
        return rate

    def _check_room(self, size: int) -> None:
        room = os.statvfs(self.paths.frozen)
        if room.f_bavail * room.f_frsize < size + ROOM:
            raise NotPaused(f"the disk of {self.paths.frozen} has no room for a copy of {size >> 20} MiB")

    def _stage_paused(self, works: Sequence[_Work], place: Path, seconds: float) -> float:
        until = self.clock.monotonic() + seconds

        def check() -> None:
            if self.clock.monotonic() > until:
                raise NotPaused(f"what changed could not be copied in a pause of {seconds:g} seconds")

        with paused(self.paths, place, seconds) as confirm:
            taken_at = self.clock.now()
            for work in works:
                work.staging.stage(work.staging.look(), live=False, check=check)
            confirm()
        return taken_at

    def _stage_what_rests(self, works: Sequence[_Work], due: dict[str, list[str]]) -> None:
        for work in works:
            left = due[work.path]
            for _ in range(_PASSES):
                work.staging.stage(left, live=True, check=_nothing)
                left = work.staging.look()
                if not left:
                    break
                self.clock.sleep(_STILL_SECONDS)
            else:
                raise NotPaused(f"{work.path} is written, and no database server was found that does it")

    def failed(self, name: str, folders: Iterable[str], reason: str) -> None:
        """Note why a server's files could not be copied; the last copies of its folders go on being carried."""
        taken = [known.taken_at for path in folders if (known := self._cover(path)) is not None]
        oldest = min(taken, default=0.0)
        note = reason if oldest else f"carried as it lies: {reason}"
        self.frozen.points.append(DatasetPoint(name, oldest, oldest or self.clock.now(), note[:500]))
        self.frozen.failed.append(SourceError(dataset=name, reason=note, hint=HINT))

    def _cover(self, path: str) -> Known | None:
        """Show the copy of a folder in its place, if there is one; return what is known of it."""
        copy = copy_of(self.paths.frozen, path)
        known = copy.known()
        if known is not None:
            self.frozen.covers.append(Cover(path.strip("/"), copy.tree))
        return known


@dataclass(slots=True)
class _Work:
    """One folder while it is copied."""

    path: str
    server: str
    top: int
    copy: FolderCopy
    known: Known | None
    staging: Staging

    def finish(self, taken_at: float) -> None:
        """Make what was staged the copy; raise OSError."""
        known = Known(self.path, self.server, taken_at, self.staging.looks(), shape_of(self.staging.seen))
        if self.known is not None and not self.staging.staged and self.known.shape == known.shape:
            self.copy.confirm(known)
        else:
            self.copy.publish(known, self.staging.seen, self.staging.staged, self.top)


def _check_time(size: int, rate: float, seconds: float) -> None:
    """Raise NotPaused if so much cannot be copied in a pause, at so many bytes a second (0: that is not known)."""
    if rate and size / rate > seconds:
        raise NotPaused(f"{size >> 20} MiB of it change while they are copied: too much for a pause of {seconds:g} s")


def _overlap(path: str, other: str) -> bool:
    """Say whether one of two folders is the other, or lies in it."""
    return f"{path}/".startswith(f"{other}/") or f"{other}/".startswith(f"{path}/")


def _nothing() -> None:
    return


def _is_folder(paths: Paths, path: str) -> bool:
    return paths.at(path).is_dir()
