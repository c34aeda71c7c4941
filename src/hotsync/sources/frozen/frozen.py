"""The databases in containers, for one run: their files are copied while they stand still, and shown in their places.

A copy is what a power cut would have left at one moment, from which a database server recovers by its own log. What did
not change is neither paused nor copied; of what changed most is copied before the pause.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from hotsync.errors import SourceError
from hotsync.model.generation import DatasetPoint
from hotsync.sources.frozen.find import Server, read_servers
from hotsync.sources.frozen.pause import NotPaused, let_go, paused
from hotsync.sources.frozen.scan import Seen, TooMany
from hotsync.sources.frozen.staging import Staging
from hotsync.sources.frozen.store import FolderCopy, Known, copy_of, finish_all, load_copies
from hotsync.sources.shadows.copy import ROOM
from hotsync.system.clock import Clock
from hotsync.system.files import open_beneath
from hotsync.system.mounts import read_mounts
from hotsync.system.paths import Paths
from hotsync.system.trees import remove

HINT = (
    "Its last good copy stays in the next generation. Where its container cannot be paused, have it dumped by a plugin "
    "in /etc/hotsync.d, and name it in `DumpedByPlugin`."
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
    """What came of a run's databases in containers."""

    covers: list[Cover] = field(default_factory=list[Cover])
    points: list[DatasetPoint] = field(default_factory=list[DatasetPoint])
    failed: list[SourceError] = field(default_factory=list[SourceError])


def forget_all(paths: Paths) -> None:
    """Remove all copies: databases in containers are copied while they are written; raise OSError."""
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
    proc: Path | None = None,
) -> Frozen:
    """Bring the copies of all databases in containers up to date; what fails keeps its last copy.

    A container is paused for at most some seconds. `elsewhere` names servers that a plugin dumps; `refused` says why
    nothing can be shown in the place of anything ("": it can).
    """
    let_go(paths)
    finish_all(paths.frozen)
    run = _Run(paths, clock, carried, seconds)
    servers = [one for one in read_servers(paths.root, proc) if not one.apart and one.name not in elsewhere]
    if refused:
        for server in servers:
            run.failed(server.name, (), f"a private view of the file systems is refused here ({refused})")
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
            folders = [path for path in map(self._below, server.folders) if path and self.carried(path.strip("/"))]
            if server.fault:
                known = [one.path for one in load_copies(self.paths.frozen) if one.server == server.name]
                self.failed(server.name, known, server.fault)
            elif not folders:
                where = ", ".join(server.folders)
                self.failed(
                    server.name, (), f"its files lie in {where}, which is not carried: carry that, or give it a volume"
                )
            else:
                wanted |= dict.fromkeys(folders, server.name)
        if wanted and place is not None:
            self._try(wanted, place)

    def copy_what_rests(self, servers: Sequence[Server], elsewhere: Collection[str]) -> None:
        """Copy what was copied before and whose server does not run; forget what is gone."""
        running = {self._below(path) for server in servers for path in server.folders}
        faulty = {server.name for server in servers if server.fault}
        for known in load_copies(self.paths.frozen):
            if known.path in running or known.server in faulty:
                continue
            copy = copy_of(self.paths.frozen, known.path)
            gone = not _is_folder(self.paths, known.path) or not self.carried(known.path.strip("/"))
            if gone or known.server in elsewhere:
                copy.forget()
            else:
                self._try({known.path: known.server}, None)

    def _below(self, path: str) -> str:
        """Given a path of this machine, return the path below our root; "" if it is not there."""
        top = os.path.realpath(self.paths.root).rstrip("/")
        return path[len(top) :] if path.startswith(f"{top}/") else ""

    def _try(self, wanted: dict[str, str], place: Path | None) -> None:
        try:
            taken_at = self._copied(wanted, place)
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

    def _copied(self, wanted: dict[str, str], place: Path | None) -> float:
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
                    self._check_time(sum(work.staging.size_of(due[work.path]) for work in works), rate)
                    taken_at = self._stage_paused(works, place)
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

    def _check_time(self, size: int, rate: float) -> None:
        if rate and size / rate > self.seconds:
            raise NotPaused(
                f"{size >> 20} MiB of it change while they are copied: too much for a pause of {self.seconds:.0f} s"
            )

    def _stage_paused(self, works: Sequence[_Work], place: Path) -> float:
        until = self.clock.monotonic() + self.seconds

        def check() -> None:
            if self.clock.monotonic() > until:
                raise NotPaused(f"what changed could not be copied in a pause of {self.seconds:.0f} seconds")

        with paused(self.paths, place, self.seconds) as confirm:
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


def shape_of(seen: Seen) -> str:
    """Given what lies in a folder, return a digest of all but the content of files."""
    folders = [(path, *_worn(status)) for path, status in sorted(seen.folders.items())]
    links = [(path, target, *_worn(status)) for path, (status, target) in sorted(seen.links.items())]
    shape = repr((folders, links, sorted(seen.files)))
    return hashlib.sha256(shape.encode("utf-8", "surrogateescape")).hexdigest()


def _worn(status: os.stat_result) -> tuple[int, ...]:
    return (status.st_mode, status.st_uid, status.st_gid, status.st_mtime_ns)


def _nothing() -> None:
    return


def _is_folder(paths: Paths, path: str) -> bool:
    return paths.at(path).is_dir()
