"""How often things are done: a database server dumped while the SLAVE follows it; what would be lost looked at."""

from __future__ import annotations

_NEARLY = 0.95
"""Runs begin a moment earlier or later: a dump that is nearly old enough is not left to the next one."""


def may_rest(*, followed: bool, age: float, every: float) -> bool:
    """Given whether the SLAVE follows a server now, the age of its last dump, and how old that may get (seconds),
    return whether this run may leave it as it is. An age that nobody knows is infinite; one below zero proves nothing.
    """
    return followed and 0 <= age < every * _NEARLY


_ON_THE_WAY = 3.0


def watch_pause(every: float, took: float) -> float:
    """Given how often to look at what would be lost, and how long the last look took, return when to begin the next
    one, counted from the beginning of the last (seconds).

    A look tells of the moment when it began, and only once it has ended: so a long one is followed earlier, but never
    before it has rested for as long as it worked.
    """
    return max(2 * took, min(every, every + _ON_THE_WAY - took))
