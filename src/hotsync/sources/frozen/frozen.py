"""The databases in containers and services, for one run: their files are copied while they stand still, and shown in
their places.

A copy is what a power cut would have left at one moment, from which a database server recovers by its own log. What did
not change is neither paused nor copied; of what changed most is copied before the pause.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hotsync.errors import SourceError
from hotsync.model.generation import DatasetPoint
from hotsync.model.nesting import lies_in, meet
from hotsync.model.readable import readable
from hotsync.sources.frozen.find import Server, is_among
from hotsync.sources.frozen.moment import copy_moment
from hotsync.sources.frozen.pause import NotPaused, let_go
from hotsync.sources.frozen.scan import TooMany
from hotsync.sources.frozen.services import PausedUnit, read_servers
from hotsync.sources.frozen.store import Known, copy_of, finish_all, load_copies
from hotsync.sources.live_databases import live_of
from hotsync.system.clock import Clock
from hotsync.system.paths import Paths
from hotsync.system.trees import remove

HINT = (
    "Its last good copy stays in the next generation. Where it cannot be paused for so long, have it dumped by a "
    "plugin in /etc/hotsync.d, and name it in `DumpedByPlugin`."
)
_LOST_HINT = (
    "It is copied all the same, to where no container looks for it. Where nothing of it need be kept (a cache), name "
    "it in `DumpedByPlugin`."
)
_NOTHING: Mapping[str, str] = {}

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
    run.known = [(one.path, one.server) for one in load_copies(paths.frozen)]
    run.running = {path for server in servers for path in map(run.below, server.folders) if path}
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
    known: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    """What was copied before: the folder, and whose it is."""
    running: set[str] = field(default_factory=set[str])
    """The folders of all servers that run, and those which one of them has kept before."""

    def copy(self, place: Path | None, servers: Sequence[Server]) -> None:
        """Copy what the servers of one container hold."""
        wanted: dict[str, str] = {}
        for server in servers:
            folders = self._and_kept_before(server, self._folders(server))
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
            lost = {server.name: server.lost for server in servers}
            self._try(wanted, place, min(self.seconds, *(server.seconds for server in servers)), lost)

    def refused(self, server: Server, why: str) -> None:
        """Note that no copy can be shown in the place of a server's files."""
        if server.apart:
            self.frozen.live |= live_of([server], pausing=True)
        elif self._folders(server) or not server.service:
            self.failed(server.name, (), f"a private view of the file systems is refused here ({why})")

    def _folders(self, server: Server) -> list[str]:
        """Return the folders of a server that are carried, below our root."""
        return [path for path in map(self.below, server.folders) if path and self.carried(path.strip("/"))]

    def _and_kept_before(self, server: Server, folders: list[str]) -> list[str]:
        """Given the folders of a server, return them with those that were copied as its own before and still may be,
        though nothing in them is open: they are paused with it, as it may write there at any moment."""
        mine = [path for path, name in self.known if name == server.name and server.place is not None]
        for known in mine if not server.fault else ():
            path = os.path.realpath(self.paths.root).rstrip("/") + known
            if not self._is_there(known):
                continue
            within = any(lies_in(path, reach.rstrip("/")) for reach in server.reach)
            inner = {other for other in folders if other != known and other.startswith(f"{known}/")}
            if within and not any(meet(known, other) for other in self.running - inner):
                self.running = self.running - inner | {known}
                folders = [*(other for other in folders if other not in inner), known]
        return folders

    def copy_what_rests(self, servers: Sequence[Server], elsewhere: Collection[str]) -> None:
        """Copy what was copied before and whose server does not run; forget what is gone."""
        faulty = {server.name for server in servers if server.fault}
        for known, server in self.known:
            if known in self.running or server in faulty:
                continue
            gone = not self._is_there(known) or is_among(server, elsewhere)
            if gone or any(meet(known, path) for path in self.running):
                copy_of(self.paths.frozen, known).forget()
            else:
                self._try({known: server}, None, self.seconds)

    def _is_there(self, path: str) -> bool:
        """Say whether there is such a folder, and it is carried."""
        return _is_folder(self.paths, path) and self.carried(path.strip("/"))

    def below(self, path: str) -> str:
        """Given a path of this machine, return the path below our root; "" if it is not there."""
        top = os.path.realpath(self.paths.root).rstrip("/")
        return path[len(top) :] if path.startswith(f"{top}/") else ""

    def _try(
        self, wanted: Mapping[str, str], place: Path | None, seconds: float, lost: Mapping[str, str] = _NOTHING
    ) -> None:
        """Copy folders of servers; `lost` says by the server's name what is of no use, though it is copied."""
        reason, taken_at = "", 0.0
        try:
            taken_at = copy_moment(self.paths, self.clock, wanted, place, seconds)
        except (NotPaused, TooMany) as error:
            reason = str(error) or "it has too many files to be copied in a pause"
        except OSError as error:
            reason = error.strerror or str(error)
        for name in dict.fromkeys(wanted.values()):
            folders = [path for path in wanted if wanted[path] == name]
            if reason:
                self.failed(name, folders, "; ".join(filter(None, (reason, lost.get(name)))))
            elif None in [self._cover(path) for path in folders]:
                self._note(name, 0.0, "carried as it lies: its copy cannot be read")
            elif lost.get(name):
                self._note(name, 0.0, lost[name], _LOST_HINT)
            else:
                self.frozen.points.append(DatasetPoint(name, taken_at))

    def failed(self, name: str, folders: Iterable[str], reason: str) -> None:
        """Note why a server's files could not be copied; the last copies of its folders go on being carried."""
        covered = [self._cover(path) for path in folders]
        taken = [known.taken_at for known in covered if known is not None]
        # of one folder without the others no server can be made
        oldest = min(taken) if taken and None not in covered else 0.0
        self._note(name, oldest, reason if oldest else f"carried as it lies: {reason}")

    def _note(self, name: str, oldest: float, reason: str, hint: str = HINT) -> None:
        note = readable(reason)
        self.frozen.points.append(DatasetPoint(name, oldest, oldest or self.clock.now(), note[:500]))
        self.frozen.failed.append(SourceError(dataset=name, reason=note, hint=hint))

    def _cover(self, path: str) -> Known | None:
        """Show the copy of a folder in its place, if there is one; return what is known of it."""
        copy = copy_of(self.paths.frozen, path)
        known = copy.known()
        if known is not None:
            self.frozen.covers.append(Cover(path.strip("/"), copy.tree))
        return known


def _is_folder(paths: Paths, path: str) -> bool:
    return paths.at(path).is_dir()
