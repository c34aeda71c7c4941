"""How often a database server is dumped: in every run, or more rarely while the SLAVE follows it change by change."""

from __future__ import annotations

_NEARLY = 0.95
"""Runs begin a moment earlier or later: a dump that is nearly old enough is not left to the next one."""


def may_rest(*, followed: bool, age: float, every: float) -> bool:
    """Given whether the SLAVE follows a server now, the age of its last dump, and how old that may get (seconds),
    return whether this run may leave it as it is. An age that nobody knows is infinite; one below zero proves nothing.
    """
    return followed and 0 <= age < every * _NEARLY
