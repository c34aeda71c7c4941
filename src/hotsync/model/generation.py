"""A committed, numbered, consistent state of the MASTER on the SLAVE; and which of them are kept."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class DatasetPoint:
    """One dataset within a generation: its name, its consistency point (MASTER's clock), and whether it is stale.

    `stale_since` is 0 for a fresh one, else the moment of the last good copy; `note` says why it is stale. `streamed`:
    the SLAVE follows it change by change, so its dump is history, and may be older than the generation.
    """

    name: str
    taken_at: float
    stale_since: float = 0.0
    note: str = ""
    streamed: bool = False

    @property
    def server(self) -> str:
        """Return the name of the database server that it belongs to ("postgresql/15-main")."""
        return "/".join(self.name.split("/")[:2])

    @property
    def trouble(self) -> str:
        """Return what is wrong with this copy in a person's words, "" if it is a fresh one."""
        if not self.stale_since:
            return ""
        return f"{self.name} {'is an older copy' if self.taken_at else 'has no sound copy yet'}: {self.note}"


@dataclass(frozen=True, slots=True)
class Generation:
    """What is known of one generation.

    `collected_at` is the MASTER's clock when collecting began (only shown); `committed_at` and `confirmed_at` are the
    SLAVE's; `confirmed_at` moves while runs find nothing changed. `changed`, `deleted` count paths; `bytes` content.
    """

    number: int
    digest: str
    epoch: int
    collected_at: float
    committed_at: float
    confirmed_at: float
    changed: int = 0
    deleted: int = 0
    bytes: int = 0
    unsettled: int = 0
    datasets: tuple[DatasetPoint, ...] = field(default_factory=tuple)


def data_moment(generation: Generation, clock_difference: float) -> float:
    """Given a generation and by how much the MASTER's clock is ahead of ours, return of when the data is, by our clock.

    That is when it was collected, not when it had arrived; each run that found nothing changed moves it on.
    """
    moved = max(0.0, generation.confirmed_at - generation.committed_at)
    return generation.collected_at - clock_difference + moved


def database_moment(generation: Generation, without: Collection[str] = ()) -> tuple[float, int]:
    """Return of when the oldest database in a generation is (MASTER's clock, 0: there is none), and how many are stale.

    A database that could not be collected is as old as its last good copy; one that never was counts as stale only.
    `without` are servers that are left out.
    """
    points = [point for point in generation.datasets if "/" in point.name and point.server not in without]
    known = [point.taken_at for point in points if point.taken_at]
    return min(known, default=0.0), sum(1 for point in points if point.stale_since)


def dump_moments(generation: Generation) -> dict[str, float]:
    """Return of when the dump of each database server in a generation is: that of its oldest database."""
    found: dict[str, float] = {}
    for point in generation.datasets:
        if "/" in point.name and point.taken_at:
            found[point.server] = min(point.taken_at, found.get(point.server, point.taken_at))
    return found


_BELIEVED = 2 * 86400.0
"""So much of the time between two generations counts: a clock that jumped, on both servers perhaps, says nothing true.

The newest ones of two days can lie nearly two days apart.
"""


@dataclass(frozen=True, slots=True)
class Retention:
    """How long generations are kept, by the SLAVE's clock; the floor is never undercut, not even for room.

    Of the time between two generations, two days count at most.
    """

    all_hours: float = 2
    quarter_hours: float = 24
    hourly_days: float = 3
    daily_days: float = 30
    floor_days: int = 7
    floor_generations: int = 3


def to_forget(generations: Sequence[tuple[int, float]], now: float, rule: Retention) -> list[int]:
    """Given (number, committed_at) of what is held, oldest first, return the numbers that the rule lets go.

    In each slot (a quarter of an hour, an hour, a day) the newest stays; the newest of all always stays.
    """
    kept: set[int] = floor(generations, now, rule)
    taken: set[tuple[str, int]] = set()
    for (number, committed_at), age in _with_ages(generations, now):
        slot = _slot(committed_at, age, rule)
        if slot is None:
            continue
        if slot not in taken:
            taken.add(slot)
            kept.add(number)
    return [number for number, _ in generations if number not in kept]


def floor(generations: Sequence[tuple[int, float]], now: float, rule: Retention) -> set[int]:
    """Return the generations that must stay: the last few, and the newest of each of the last days."""
    kept = {number for number, _ in generations[-max(1, rule.floor_generations) :]}
    days: set[int] = set()
    for (number, committed_at), age in _with_ages(generations, now):
        day = int(committed_at // 86400)
        if age <= rule.floor_days * 86400 and day not in days:
            days.add(day)
            kept.add(number)
    return kept


def _with_ages(generations: Sequence[tuple[int, float]], now: float) -> Iterator[tuple[tuple[int, float], float]]:
    """Return generations and their ages, the newest first; of the time between two of them, so much as is believed."""
    age, later = 0.0, now
    for generation in reversed(generations):
        age += min(max(0.0, later - generation[1]), _BELIEVED)
        later = generation[1]
        yield generation, age


def _slot(committed_at: float, age: float, rule: Retention) -> tuple[str, int] | None:
    if age <= rule.all_hours * 3600:
        return ("exact", round(committed_at * 1e9))
    if age <= rule.quarter_hours * 3600:
        return ("quarter", int(committed_at // 900))
    if age <= rule.hourly_days * 86400:
        return ("hour", int(committed_at // 3600))
    if age <= rule.daily_days * 86400:
        return ("day", int(committed_at // 86400))
    return None
