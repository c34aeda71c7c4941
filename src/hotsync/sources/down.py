"""What becomes of database servers that do not run: a fault, stopped on purpose, or gone. The rule for all engines.

A unit that is enabled should run; one that is not was stopped on purpose. Where no unit would start a server it was
removed if its files are gone; as long as they are there, it is a fault. Where systemd does not answer, all that were
collected before are a fault.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from hotsync.errors import CommandFailed
from hotsync.sources.source import Dataset


class Collected(Protocol):
    """What each engine knows of a server that was collected before."""

    @property
    def unit(self) -> str:
        """Return its unit, "" if that is not known."""
        ...

    @property
    def is_left(self) -> bool:
        """Return whether its files are there, or that cannot be told."""
        ...


@dataclass(frozen=True, slots=True)
class Down:
    """A server that does not run: it should (`fault`), or it was stopped on purpose (`parked`)."""

    fault: str = ""

    @property
    def parked(self) -> bool:
        """Return whether it was stopped on purpose."""
        return not self.fault


def not_running_fault(unit: str) -> str:
    """Return what is said of a unit that should run."""
    return f"{unit} is enabled and does not run"


def what_to_do(place: str) -> str:
    """Given where the files of a server are that no unit would start ("": not told), return what is to be done."""
    left = f"its files are still in {place}: " if place else ""
    return f"{left}start it, or remove them if it is gone for good" if left else "start it"


def because(why: str, place: str) -> str:
    """Return the fault of a server that no unit would start, with the reason."""
    return f"it does not run, and {why}; {what_to_do(place)}"


def never_collected(units: Mapping[str, str], known: Collection[str]) -> Iterator[str]:
    """Given units with their states, return those that should run and are none of the `known` ones."""
    for unit, state in units.items():
        if state.startswith("enabled") and "@." not in unit and unit not in known:
            yield unit


def standing(
    last: Collected,
    units: Mapping[str, str],
    serving: Collection[str],
    *,
    unit: str,
    starters: Iterable[str],
    say: Callable[[str], str],
) -> Down | None:
    """Given a server that was collected before and does not run, return how it stands; None: it is gone.

    `unit` is its own, `starters` are those of which each would start it; in the units of `serving` another server runs.
    `say` makes the fault of one that no unit would start, of the reason.
    """
    if unit not in serving and units.get(unit, "").startswith("enabled"):
        return Down(not_running_fault(unit))
    if unit not in serving and any(each in units for each in starters):
        return Down()
    if not last.is_left:
        return None
    return Down(say(f"{unit} does" if unit in serving else "no unit would start it"))


def down(
    source: str,
    collected: Mapping[str, Collected],
    ask: Callable[[], Mapping[str, str]],
    expected: Callable[[Mapping[str, str]], Iterable[Dataset]],
) -> Iterator[Dataset]:
    """Given what was collected before and does not run, what asks systemd for the units (it may raise CommandFailed),
    and what makes of these what there should be, return that."""
    try:
        units = ask()
    except CommandFailed as error:
        for instance, last in collected.items():
            fault = f"it does not run, and whether it should cannot be told: {error.sentence}"
            yield Dataset(source, instance, unit=last.unit, fault=fault)
        return
    yield from expected(units)
