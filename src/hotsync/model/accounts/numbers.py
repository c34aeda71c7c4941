"""Which numbers an account gets when it has to make room: its own kind's, and none that anybody else gives out."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

SYSTEM_NUMBERS = range(100, 1000)
HUMAN_NUMBERS = range(1000, 60000)
"""Above them systemd gives numbers out by itself (people of homed, services with DynamicUser, containers)."""

NOBODY = 65534
SYSTEMS_AGAIN = range(60000, 65536)
"""Numbers above people's that are the system's again (systemd's, nobody)."""

# from the middle down: packages take numbers from either end, and who was moved there would soon be in the way again
_SYSTEM_CHOICE = (*range(600, 99, -1), *range(601, 1000))


@dataclass(frozen=True, slots=True)
class Foreign:
    """Numbers that mean somebody on the MASTER although its account files know no such account there."""

    users: tuple[range, ...] = ()
    groups: tuple[range, ...] = ()


NO_FOREIGN = Foreign()


def covered(number: int, ranges: Collection[range]) -> bool:
    """Return whether a number lies in one of the ranges; those that every Debian gives out alike never do."""
    return number >= SYSTEM_NUMBERS.start and any(number in each for each in ranges)


def is_human(number: int) -> bool:
    """Return whether a number is a person's."""
    return number >= HUMAN_NUMBERS.start and number not in SYSTEMS_AGAIN


def free_number(human: bool, taken: Collection[int], foreign: Collection[range], liked: int = -1) -> int | None:
    """Given what is taken, return a free number of a person or of the system, `liked` if that one is free; or None.

    A person stays a person: by the number the promotion tells who of this server goes.
    """
    choice = reversed(HUMAN_NUMBERS) if human else _SYSTEM_CHOICE
    own = HUMAN_NUMBERS if human else SYSTEM_NUMBERS
    candidates = (liked, *choice) if liked in own else choice
    return next((each for each in candidates if each not in taken and not covered(each, foreign)), None)
