"""Does the SLAVE follow a database server now, change by change? The one place where that is asked, for all engines."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from hotsync.errors import CommandFailed
from hotsync.sources.mariadb import binlog as mariadb_binlog
from hotsync.sources.mariadb import source as mariadb
from hotsync.sources.mariadb.find import NAME as MARIADB
from hotsync.sources.postgresql import slot as postgresql_slot
from hotsync.sources.postgresql.cluster import NAME as POSTGRESQL
from hotsync.sources.source import Context, Dataset

Told = Callable[[], Mapping[str, str]]
"""Asks the SLAVE what its replicas have applied: by server, the place in the binary log; nothing if it does not say."""

_ASK: Mapping[str, Callable[[Dataset, Told], bool]] = {
    POSTGRESQL: lambda dataset, _: postgresql_slot.is_followed(dataset),
    MARIADB: mariadb_binlog.is_applied,
}
"""By engine; each may raise CommandFailed or ValueError where the server does not tell."""


def _nothing_told() -> Mapping[str, str]:
    return {}


def is_followed(dataset: Dataset, told: Told = _nothing_told) -> bool:
    """Given a server of this MASTER, return whether a standby on the SLAVE applies its changes now, and is close to it.

    Where that cannot be told it is not.
    """
    ask = _ASK.get(dataset.source)
    if ask is None or dataset.fault or dataset.parked or dataset.place:
        return False
    try:
        return ask(dataset, told)
    except (CommandFailed, ValueError):
        return False


def brings_all(context: Context, dataset: Dataset) -> bool:
    """Given a server that is followed, return whether what a standby does not bring is as the last dump tells it.

    A PostgreSQL standby brings everything. Where that cannot be told it is not.
    """
    if dataset.source != MARIADB:
        return True
    try:
        return mariadb.is_as_told(context, dataset)
    except (CommandFailed, ValueError):
        return False


@dataclass(frozen=True, slots=True)
class Pace:
    """How old (in seconds) the dump of a server may get while the SLAVE follows it; 0: it is dumped in every run."""

    every: float = 0.0
    is_followed: Callable[[Dataset], bool] = is_followed
    brings_all: Callable[[Context, Dataset], bool] = brings_all
