"""What the database servers of a returning MASTER had and the new one never received: dumped anew, and compared.

The servers run for that while, with nobody reaching them. One that cannot be dumped keeps its files as they lie.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from hotsync.backends import loading_guard
from hotsync.backends.production_units import ProductionUnits, known_units, permit_flag
from hotsync.engine.promotion.master_facts import unit_of
from hotsync.engine.rejoin.work import BEFORE
from hotsync.engine.undo.databases import servers
from hotsync.errors import CommandFailed, HotSyncError, RestoreFailed, SourceError
from hotsync.manifest.store import Manifest
from hotsync.model.vault import KeptDatabase
from hotsync.sources.dump_rows import is_rows, rows_of
from hotsync.sources.postgresql import toc as pgtoc
from hotsync.sources.registry import known_directories, loadables
from hotsync.sources.source import Context, Dataset, Source
from hotsync.system import command, files
from hotsync.system.clock import Clock
from hotsync.system.paths import Paths
from hotsync.system.trees import copy_exactly, remove

DUMP, DIFFERENCE = "dump", "difference.txt"
_SPOOL = "var/lib/hotsync/spool"
_ORDER = {"LC_ALL": "C"}
_log = logging.getLogger("hotsync.rejoin")


class Servers(Protocol):
    """What runs database servers for a while, confined."""

    def start(self, unit: str) -> None:
        """Start a unit; raise CommandFailed."""
        ...

    def stop(self, unit: str) -> None:
        """Stop a unit."""
        ...


@dataclass(frozen=True)
class UnitServers:
    """The servers' own units, which are muted: they may run while a flag in /run is there."""

    units: ProductionUnits

    def start(self, unit: str) -> None:
        """Start a unit that this host has; raise CommandFailed."""
        if known_units([unit]):
            self.units.start(unit)

    def stop(self, unit: str) -> None:
        """Stop a unit."""
        command.run(["systemctl", "stop", unit], ok=range(256), timeout=900)


Confine = Callable[[Paths], AbstractContextManager[Servers]]
"""Returns what runs database servers in a block, where nobody reaches them."""


@contextmanager
def confined(paths: Paths) -> Iterator[Servers]:
    """Let database servers run in the block, with no new connection from the network."""
    units = ProductionUnits(paths)
    try:
        loading_guard.hold()
    except CommandFailed as error:
        _log.warning("%s", error.sentence)  # production's addresses are given up: few could reach it
    try:
        units.permit()
        yield UnitServers(units)
    finally:
        permit_flag(paths).unlink(missing_ok=True)
        if loading_guard.is_held():
            loading_guard.admit()


@dataclass
class DatabaseVault:
    """Dumps and compares the databases of one server for the vault at `part`."""

    paths: Paths
    clock: Clock
    part: Path
    confine: Confine = confined
    find: Callable[[Paths, Clock], Iterable[tuple[Source, Dataset]]] = servers
    failed: dict[str, str] = field(default_factory=dict[str, str])

    @property
    def _before(self) -> Path:
        return self.paths.state / BEFORE

    def keep(self, copy_directories: Callable[[str, Iterable[str]], tuple[str, ...]]) -> tuple[KeptDatabase, ...]:
        """Put into the vault what differs of each database server, and return what does.

        `copy_directories` keeps the files of one that could not be dumped, and returns those that cannot be read.
        """
        directories = known_directories(self.paths)
        try:
            known = {f"{one.engine}/{one.instance}": one for one in loadables(self.paths.spool)}
        except RestoreFailed as error:
            _log.warning("%s", error.sentence)
            known = {}
        if not known and not directories:
            return ()
        self._remember()
        units = {name: unit_of(one.engine, one.instance, one.unit) for name, one in known.items()}
        dumped = self._dump(units)
        found: list[KeptDatabase] = []
        for name in sorted({*known, *directories}):
            if name in dumped:
                found.append(self._compared(name))
                continue
            unread = copy_directories(name, directories.get(name, ()))
            why = self.failed.get(name, "it did not start")
            but = f", but for {', '.join(unread[:3])}{' ...' if unread[3:] else ''}: unreadable" if unread else ""
            found.append(KeptDatabase(name, note=f"could not be dumped ({why}); its files are kept as they were{but}"))
        return tuple(found)

    def forget(self) -> None:
        """Take away what was needed besides."""
        remove(self._before)

    def _remember(self) -> None:
        """Keep the dumps that were received under other names, before anything is dumped anew; only once."""
        if self._before.is_dir():
            return
        beside = self._before.with_name(f"{BEFORE}.part")
        remove(beside)
        if self.paths.spool.is_dir():
            command.run(["cp", "-al", "--", os.fspath(self.paths.spool), os.fspath(beside)])
        else:
            beside.mkdir(mode=0o700)
        os.rename(beside, self._before)
        files.sync_directory(self.paths.state)

    def _dump(self, units: dict[str, str]) -> frozenset[str]:
        """Start the servers, dump each into the spool, stop them; return which were dumped whole."""
        done: set[str] = set()
        context = Context(self.paths, self.clock)
        with self.confine(self.paths) as running:
            started: list[str] = []
            try:
                for name, unit in units.items():
                    try:
                        started.append(unit)
                        running.start(unit)
                    except CommandFailed as error:
                        self.failed[name] = error.sentence
                for source, dataset in self.find(self.paths, self.clock):
                    try:
                        points = source.collect(context, dataset)
                    except SourceError as error:
                        self.failed[dataset.name] = str(error.facts.get("reason", error.sentence))
                        continue
                    stale = [point.note for point in points if point.stale_since]
                    if stale:
                        self.failed[dataset.name] = stale[0]
                    else:
                        done.add(dataset.name)
            except (HotSyncError, OSError) as error:
                _log.warning("databases: %s", error)
            finally:
                for unit in reversed(started):
                    running.stop(unit)
        return frozenset(done)

    def _compared(self, name: str) -> KeptDatabase:
        """Keep the dump of a server that differs from what was received, with the rows that do."""
        old, new = self._before / name, self.paths.spool / name
        changed = sorted(path for path in {*_files(old), *_files(new)} if not _same(old / path, new / path))
        changed = [path for path in changed if Path(path).suffix != ".json"]
        if not changed:
            return KeptDatabase(name)
        place = self.part / "databases" / name
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        copy_exactly(new, place / DUMP)
        if not old.is_dir() or not self._was_received(name, old):
            return KeptDatabase(name, note="the last dump that was received is not here to compare: see the whole one")
        here = there = 0
        unread: list[str] = []
        with (place / DIFFERENCE).open("wb") as out:
            for path in changed:
                if not is_rows(Path(path)):
                    unread += [path] if Path(path).name != "toc.dat" else []
                    continue
                for sign, row in self._rows_apart(old / path, new / path, place):
                    here, there = here + (sign == b"+"), there + (sign == b"-")
                    out.write(sign + b" " + row)
        note = f"{', '.join(unread)} differ, and cannot be shown line by line" if unread else ""
        return KeptDatabase(name, here, there, note)

    def _was_received(self, name: str, old: Path) -> bool:
        """Return whether the dump that was kept is the one that the new MASTER received."""
        with Manifest(self.paths.manifest) as manifest:
            for path in _files(old):
                entry, status = manifest.get(f"{_SPOOL}/{name}/{path}"), (old / path).stat()
                if entry is None or (entry.size, entry.mtime_ns) != (status.st_size, status.st_mtime_ns):
                    return False
        return True

    def _rows_apart(self, old: Path, new: Path, work: Path) -> Iterator[tuple[bytes, bytes]]:
        """Return the rows that only one of two files has, in order, each with its sign: + only here, - only there."""
        sorted_files = [work / "old.rows", work / "new.rows"]
        for source, target in zip((old, new), sorted_files, strict=True):
            with target.open("wb") as file:
                for row in rows_of(source, _tables(source)) if source.exists() else ():
                    file.write(row + b"\n")
            command.run(["sort", f"--temporary-directory={work}", "-o", str(target), str(target)], env=_ORDER)
        with sorted_files[0].open("rb") as there, sorted_files[1].open("rb") as here:
            yield from _merged(there, here)
        for target in sorted_files:
            target.unlink()


def _merged(there: Iterable[bytes], here: Iterable[bytes]) -> Iterator[tuple[bytes, bytes]]:
    left, right = iter(there), iter(here)
    old, new = next(left, None), next(right, None)
    while old is not None or new is not None:
        if old == new:
            old, new = next(left, None), next(right, None)
        elif new is None or (old is not None and old < new):
            assert old is not None
            yield b"-", old
            old = next(left, None)
        else:
            yield b"+", new
            new = next(right, None)


def _tables(path: Path) -> dict[str, tuple[bytes, bytes]]:
    """Return the tables of a PostgreSQL dump, by the file of their rows."""
    with suppress(OSError):
        found = pgtoc.contents((path.parent / "toc.dat").read_bytes())
        return {} if found is None else found.tables
    return {}


def _files(folder: Path) -> list[str]:
    return [os.fspath(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()]


def _same(one: Path, other: Path) -> bool:
    """Return whether two files have the same content; a dump that did not change is the very same file."""
    try:
        first, second = one.stat(), other.stat()
        if (first.st_dev, first.st_ino) == (second.st_dev, second.st_ino):
            return True
        if first.st_size != second.st_size:
            return False
        with one.open("rb") as left, other.open("rb") as right:
            while block := left.read(1 << 20):
                if block != right.read(1 << 20):
                    return False
            return True
    except FileNotFoundError:
        return False
