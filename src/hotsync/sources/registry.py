"""All sources, and one run over them: each dataset fresh, or stale with its age and the reason."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from math import inf
from pathlib import Path

from hotsync.errors import SourceError
from hotsync.model.explain import FILES_OF
from hotsync.model.generation import DatasetPoint
from hotsync.model.pace import may_rest
from hotsync.model.report import Notice
from hotsync.model.selection import Action, Rule, Voice
from hotsync.sources import backup_config, documents, facts, local_packages, spool
from hotsync.sources.collected import DOCUMENTS, folders_in, lies_whole, load_directories, load_times, load_whole
from hotsync.sources.documents import Document, MariadbInstance, PostgresqlCluster
from hotsync.sources.ejabberd import source as ejabberd
from hotsync.sources.ejabberd.documents import EjabberdServer
from hotsync.sources.followed import Pace
from hotsync.sources.mariadb import source as mariadb
from hotsync.sources.openldap import source as openldap
from hotsync.sources.openldap.documents import OpenldapServer
from hotsync.sources.postgresql import source as postgresql
from hotsync.sources.redis import source as redis
from hotsync.sources.redis.documents import RedisServer
from hotsync.sources.source import Context, Dataset, Source
from hotsync.system.files import write_atomic
from hotsync.system.paths import Paths

SOURCES: tuple[Source, ...] = (mariadb, postgresql, openldap, redis, ejabberd, backup_config, facts, local_packages)
"""In the order in which they are collected: databases first, so that every file they speak of is there after them."""

LOADED_AT_REST = frozenset((openldap.NAME, redis.NAME, ejabberd.NAME))
"""Sources whose data is put where a server finds it when it starts; the others are loaded into one that runs."""

log = logging.getLogger(__name__)
_STALE_CODE = "source.stale"


@dataclass(frozen=True, slots=True)
class Collected:
    """What a run collected: a point for each dataset (stale ones too), and an error for each that failed.

    `rules` protect the files of database servers, wherever they lie.
    """

    points: tuple[DatasetPoint, ...]
    failures: tuple[SourceError, ...]
    rules: tuple[Rule, ...] = ()


@dataclass(frozen=True, slots=True)
class Loadable:
    """One collected database server as the SLAVE finds it: what a promotion has to load, known by its digest.

    `unit` and `directory` are those on the MASTER, as far as it told.
    """

    engine: str
    instance: str
    digest: str
    version: str
    size: int
    unit: str = ""
    directory: str = ""


def source_named(name: str) -> Source:
    """Given a source's name, return it; raise KeyError."""
    return {source.NAME: source for source in SOURCES}[name]


def collect_all(
    context: Context,
    *,
    databases: bool = True,
    elsewhere: Collection[str] = (),
    pace: Pace | None = None,
    begin: Callable[[str], None] | None = None,
    sources: Sequence[Source] = SOURCES,
) -> Collected:
    """Given the host, bring the whole spool up to date; a dataset that fails keeps its last good copy and is stale.

    `databases` is False where the administrator left them out, `elsewhere` names those that a plugin dumps: their dumps
    leave the spool, and their files are not copied all the same. `pace` is given where servers are streamed. `begin` is
    called with the name of each dataset before it is collected.
    """
    run = _Run(context, begin or _nothing, pace, frozenset(elsewhere))
    for source in sources:
        if source.IS_DATABASE and not databases:
            run.leave_out(source)
        else:
            run.collect(source)
    run.save()
    return Collected(tuple(run.points), tuple(run.failures), directory_rules(run.directories))


def known_rules(paths: Paths) -> tuple[Rule, ...]:
    """Return the rules that protect the files of database servers, as the last run knew them."""
    return directory_rules(load_directories(paths))


def known_directories(paths: Paths) -> Mapping[str, tuple[str, ...]]:
    """Return where each database server keeps its files, by its name, as the last run knew them."""
    return load_directories(paths)


def directory_rules(directories: Mapping[str, Sequence[str]]) -> tuple[Rule, ...]:
    """Given where each server keeps its files, return the rules that protect them."""
    return tuple(
        Rule(path, Action.PROTECT, FILES_OF + name, Voice.PROFILE)
        for name, paths in directories.items()
        for path in paths
    )


def loadables(folder: Path) -> tuple[Loadable, ...]:
    """Given a spool (the MASTER's, or the replica's copy of it), return the database servers in it.

    Raise RestoreFailed if the document of one cannot be read.
    """
    found: list[Loadable] = []
    for engine, name, kind in DOCUMENTS:
        for instance in folders_in(folder / engine):
            if (instance / name).exists():
                document = documents.load(instance / name, kind)
                size = sum(file.size for file in document.files)
                found.append(Loadable(engine, instance.name, document.digest, document.version, size, *_told(document)))
    return tuple(found)


def _told(document: Document) -> tuple[str, str]:
    """Given what was collected of a server, return the unit and the directory that the MASTER told with it."""
    match document:
        case MariadbInstance():
            return document.unit, document.directory
        case PostgresqlCluster():
            return (document.unit, document.place) if document.place else ("", "")
        case RedisServer():
            return document.unit, document.place
        case OpenldapServer() | EjabberdServer():
            return "", document.place
        case _:
            return "", ""


class _Run:
    def __init__(
        self, context: Context, begin: Callable[[str], None], pace: Pace | None, elsewhere: frozenset[str]
    ) -> None:
        self._context, self._begin, self._pace, self._elsewhere = context, begin, pace, elsewhere
        self._times = load_times(context.paths)
        self._last_whole = load_whole(context.paths)
        self._whole: dict[str, float] = {}
        self._known_directories = load_directories(context.paths)
        self.directories: dict[str, tuple[str, ...]] = {}
        self.points: list[DatasetPoint] = []
        self.failures: list[SourceError] = []

    def collect(self, source: Source) -> None:
        """Collect all datasets of a source; what fails is noted and the next one goes on."""
        try:
            datasets = self._inspect(source)
        except (SourceError, OSError) as error:
            self._stale(source.NAME, error)
            return
        if source.IS_DATABASE:
            self._take_names(source, datasets)
            datasets = tuple(dataset for dataset in datasets if dataset.name not in self._elsewhere)
        for dataset in datasets:
            self._begin(dataset.name)
            if dataset.parked:
                self._parked(dataset)
                continue
            streamed = source.IS_DATABASE and self._pace is not None and self._pace.is_followed(dataset)
            if streamed and self._rests(dataset):
                continue
            try:
                points = source.collect(self._context, dataset)
            except (SourceError, OSError) as error:
                self._stale(dataset.name, error)
            else:
                self._fresh(dataset, points, streamed=streamed)
        if source.IS_DATABASE:
            self._forget_others(source, {dataset.name for dataset in datasets}, "is not on this server any more")

    def leave_out(self, source: Source) -> None:
        """Take a source's dumps out of the spool: it was switched off. Its servers' files are still not copied."""
        with suppress(SourceError, OSError):
            self._inspect(source)
        self._forget_others(source, set(), "is left out by the setting `databases`")

    def save(self) -> None:
        """Remember when each dataset was collected last."""
        times = {point.name: point.taken_at for point in self.points if point.taken_at}
        document = {"schema": 1, "taken_at": times, "directories": self.directories, "whole": self._whole}
        data = json.dumps(document, sort_keys=True).encode()
        try:
            write_atomic(self._context.paths.collected, data, mode=0o600)
        except OSError as error:
            self._tell(f"the times of the collected datasets could not be written: {error}")

    def _inspect(self, source: Source) -> tuple[Dataset, ...]:
        """Return a source's datasets; where one keeps its files is remembered while it cannot be asked."""
        known = {name: paths for name, paths in self._known_directories.items() if name.startswith(f"{source.NAME}/")}
        try:
            datasets = source.inspect(self._context)
        except (SourceError, OSError):
            self.directories |= known
            raise
        for dataset in datasets:
            if directories := _whole(dataset.directories) or known.get(dataset.name, ()):
                self.directories[dataset.name] = directories
        return datasets

    def _rests(self, dataset: Dataset) -> bool:
        """Return whether a server that the SLAVE follows is not dumped in this run; its last dump is then noted.

        Only one that was whole, and lies in the spool in full, may rest.
        """
        assert self._pace is not None
        taken_at = self._last_whole.get(dataset.name)
        age = inf if taken_at is None else self._context.clock.now() - taken_at
        known = self._known(dataset.name)
        if not may_rest(followed=True, age=age, every=self._pace.every) or not known:
            return False
        if not lies_whole(self._context.paths.spool, dataset) or not self._pace.brings_all(self._context, dataset):
            return False
        log.info("%s is streamed: its dump, %.0f minutes old, stays", dataset.name, age / 60)
        self._whole[dataset.name] = self._last_whole[dataset.name]
        self.points += [DatasetPoint(name, self._times[name], streamed=True) for name in known]
        return True

    def _fresh(self, dataset: Dataset, points: Sequence[DatasetPoint], *, streamed: bool) -> None:
        if not any(point.stale_since for point in points):
            self._whole[dataset.name] = min(point.taken_at for point in points)
        for point in points:
            if point.stale_since:
                self._stale_point(point.name, point.note, point.taken_at)
                self.failures.append(SourceError(dataset=point.name, reason=point.note))
            else:
                self.points.append(replace(point, streamed=streamed))

    def _parked(self, dataset: Dataset) -> None:
        """Keep what was collected before the server was stopped: it cannot have changed."""
        for name in self._known(dataset.name):
            taken_at = self._times.get(name, 0.0)
            self.points.append(DatasetPoint(name, taken_at, note="its server is stopped on purpose"))

    def _stale(self, name: str, trouble: SourceError | OSError) -> None:
        paths = self._context.paths
        error = trouble if isinstance(trouble, SourceError) else spool.disk_error(paths, name, trouble)
        log.warning("%s", error.sentence)
        self.failures.append(error)
        for known in self._known(name) or [name]:
            self._stale_point(known, str(error.facts.get("reason", error.sentence)))

    def _stale_point(self, name: str, reason: str, taken_at: float = 0.0) -> None:
        """Note a dataset that was not collected; one that never was has `taken_at` 0 and is stale since now.

        A source that knows better than earlier runs of when the last good copy is gives `taken_at`.
        """
        last = taken_at or self._times.get(name, 0.0)
        self.points.append(DatasetPoint(name, last, last or self._context.clock.now(), reason))

    def _known(self, name: str) -> list[str]:
        """Return the points that earlier runs made of a dataset (a cluster has one for each database)."""
        return sorted(known for known in self._times if known == name or known.startswith(name + "/"))

    def _take_names(self, source: Source, datasets: Sequence[Dataset]) -> None:
        """Give what was collected of a server that has another name now that name: its last good copy stays known."""
        paths, names = self._context.paths, {dataset.name for dataset in datasets}
        for folder in folders_in(paths.spool / source.NAME):
            before = f"{source.NAME}/{folder.name}"
            files = set(self._known_directories.get(before, ()))
            if before in names:
                continue
            for dataset in datasets:
                if files.isdisjoint(_whole(dataset.directories)) or (paths.spool / dataset.name).exists():
                    continue
                try:
                    spool.rename(paths, before, dataset.name)
                except OSError as error:
                    log.warning("%s could not become %s: %s", before, dataset.name, error)  # it is dumped anew
                    break
                for known in self._known(before):
                    self._times[dataset.name + known.removeprefix(before)] = self._times.pop(known)
                self._tell(f"{before} is {dataset.name} now")
                break

    def _forget_others(self, source: Source, names: set[str], why: str) -> None:
        """Take out what is collected no more: a server that was removed, or that a plugin dumps, or all of them."""
        for folder in folders_in(self._context.paths.spool / source.NAME):
            name = f"{source.NAME}/{folder.name}"
            if name not in names:
                reason = "is dumped by a plugin (setting `DumpedByPlugin`)" if name in self._elsewhere else why
                self._tell(f"{name} {reason}: its dumps leave the next generation")
                try:
                    spool.forget(self._context.paths, name)
                except OSError as error:
                    self.failures.append(spool.disk_error(self._context.paths, name, error))

    def _tell(self, sentence: str) -> None:
        self._context.notice(Notice(_STALE_CODE, sentence))


def _whole(directories: Sequence[str]) -> tuple[str, ...]:
    """Given directories as a server names them, return those that can be rules: absolute, and not the root."""
    clean = (os.path.normpath(path) for path in directories if path.startswith("/"))
    return tuple(dict.fromkeys(path for path in clean if path.strip("/")))


def _nothing(dataset: str) -> None:
    del dataset
