"""What all sources have in common: the names of their functions, what they are given, what they answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from hotsync.errors import RestoreFailed
from hotsync.model.generation import DatasetPoint
from hotsync.model.report import Check, Notice
from hotsync.system.clock import Clock, SystemClock
from hotsync.system.paths import Paths

Progress = Callable[[str, int], None]
"""Called while a dataset is collected: its name, and how many bytes have come so far."""

STALL_SECONDS = 600.0
"""A dump that gives no byte for so long is ended: the table it waits for is locked, or the server hangs."""

OTHER_DUMPS = (
    "`hotsync verify` says what is damaged; `hotsync restore /var/lib/hotsync/spool --to /root/found --at 41` brings "
    "the dumps of generation 41 out of the history, to be loaded by hand."
)
"""What to do where a dump in the replica is not what was collected."""


def _no_progress(dataset: str, count: int) -> None:
    del dataset, count


def _no_notice(notice: Notice) -> None:
    del notice


@dataclass(frozen=True, slots=True)
class Context:
    """Where and when a source collects, and whom it tells."""

    paths: Paths
    clock: Clock = SystemClock()  # noqa: RUF009 - it has no state
    progress: Progress = _no_progress
    notice: Callable[[Notice], None] = _no_notice
    stall_seconds: float = STALL_SECONDS


@dataclass(frozen=True, slots=True)
class Dataset:
    """One thing that a source can collect: a database server, or (without instance) all that the source has.

    `socket` is the server's socket (PostgreSQL: the folder of it, with `port`); `user` the login name that owns the
    server; `unit` its unit. `fault` is set where the dataset should be there and is not ("mariadb.service is down");
    `parked` where it is stopped on purpose: its last copy stays, without alarm. `directories` are where a database
    server keeps its files, as far as that is known now: they are never copied. `own_login`: root logs in by socket,
    and no option file is read (a promoted host has the MASTER's, which may name an account that is not here yet).
    `config` is the server's configuration (a file or a folder), where it must be known to reach it. `confined` are the
    words before a program that reads dumps, where it must be kept in a sandbox. `other_name` is the name that the
    instance has where another one of the same name runs beside it. `place` is the data directory of a PostgreSQL server
    that is no cluster of pg_lsclusters: its settings lie in there, too. `programs` is the folder of its programs.
    """

    source: str
    instance: str = ""
    socket: str = ""
    port: int = 0
    user: str = ""
    version: str = ""
    unit: str = ""
    fault: str = ""
    parked: bool = False
    directories: tuple[str, ...] = ()
    own_login: bool = False
    config: str = ""
    confined: tuple[str, ...] = ()
    other_name: str = ""
    place: str = ""
    programs: str = ""

    def is_named(self, instance: str) -> bool:
        """Return whether this is the instance of that name: on a SLAVE not all servers run that ran beside it."""
        return instance in (self.instance, self.other_name)

    @property
    def name(self) -> str:
        """Return the name that people see, which is also the dataset's folder in the spool."""
        return f"{self.source}/{self.instance}" if self.instance else self.source


class LoadPaused(Exception):
    """A load ended in good order before everything was loaded, since `Loaded.more` said so."""


def _nothing(name: str) -> None:
    del name


def _always() -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a server is known to hold already, and who is told what a load does to it.

    `databases` maps the name of each database that an earlier load made, to the digest (`documents.digests`) of the
    dump that it was loaded from, or to "" where nobody knows what it holds. One whose digest is the same, and which is
    still there, is left alone; one that the MASTER has no more is dropped. `begin` is called right before a database
    is dropped: keep its name, with the digest "", until `done` says that it is whole, its rows were counted, and it is
    on disk. After a load that came to its end, names that the MASTER has no more may be forgotten. `more` is asked
    before each database that would be loaded: False ends the load there with LoadPaused. `tell` takes a sentence of
    what could not be computed from what was loaded, and is left to a person. Without `accounts` those of MariaDB are
    left for another load: the MASTER's root might have no login by socket. The databases of `without` are not loaded;
    what lies there of one goes, unless it is known to be whole.
    """

    databases: Mapping[str, str] = field(default_factory=dict[str, str])
    begin: Callable[[str], None] = _nothing
    done: Callable[[str], None] = _nothing
    more: Callable[[], bool] = _always
    tell: Callable[[str], None] = _nothing
    accounts: bool = True
    without: frozenset[str] = frozenset()

    @property
    def halves(self) -> frozenset[str]:
        """Return those of `without` of which nobody knows that what is there is whole."""
        return frozenset(name for name in self.without if not self.databases.get(name))


def all_of(dataset: Dataset, failed: Mapping[str, RestoreFailed]) -> RestoreFailed:
    """Given why each of some databases of a server (at least one) could not be loaded, by name, return the one error
    that says all."""
    errors = list(failed.values())
    said = errors[0]
    if len(errors) > 1:
        reason = "; ".join(str(error.facts["reason"]) for error in errors)
        hint = said.hint if len({error.hint for error in errors}) == 1 else None
        said = RestoreFailed(dataset=dataset.name, reason=reason, hint=hint)
    said.databases = tuple(failed)
    return said


NOTHING_LOADED = Loaded()
"""The server holds whatever it holds: everything is loaded anew."""

DURABLE_EVERY = 256 * 1024 * 1024
"""After so many bytes what was loaded is brought to disk, so that a load that dies need not do it again."""


class Source(Protocol):
    """What a module in this room offers; modules themselves are the values."""

    NAME: str
    IS_DATABASE: bool

    def inspect(self, context: Context) -> tuple[Dataset, ...]:
        """Given the host, return the datasets of this kind; raise SourceError if that cannot be found out."""
        ...

    def collect(self, context: Context, dataset: Dataset) -> list[DatasetPoint]:
        """Given a dataset, bring the spool up to date; raise SourceError (the last good copy stays) if it fails."""
        ...

    def restore(self, folder: Path, dataset: Dataset) -> str:
        """Given a collected folder, load it into the server `dataset`; return the digest of what was loaded.

        Doing it again does no harm. Raise OlderServer or RestoreFailed. Sources that are no databases do nothing.
        """
        ...

    def verify(self, folder: Path) -> list[Check]:
        """Given a collected folder, return whether each file in it is what its document says."""
        ...
