"""Does the SLAVE follow a database server now, change by change? The one place where that is asked, for all engines."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from hotsync.errors import CommandFailed
from hotsync.sources import postgresql_slot
from hotsync.sources.postgresql_cluster import NAME as POSTGRESQL
from hotsync.sources.source import Dataset

_ASK: Mapping[str, Callable[[Dataset], bool]] = {POSTGRESQL: postgresql_slot.is_followed}
"""By engine; each may raise CommandFailed or ValueError where the server does not tell."""


def is_followed(dataset: Dataset) -> bool:
    """Given a server of this MASTER, return whether a standby on the SLAVE applies its changes now, and is close to it.

    Where that cannot be told it is not.
    """
    ask = _ASK.get(dataset.source)
    if ask is None or dataset.fault or dataset.parked:
        return False
    try:
        return ask(dataset)
    except (CommandFailed, ValueError):
        return False


@dataclass(frozen=True, slots=True)
class Pace:
    """How old (in seconds) the dump of a server may get while the SLAVE follows it; 0: it is dumped in every run."""

    every: float = 0.0
    is_followed: Callable[[Dataset], bool] = is_followed
