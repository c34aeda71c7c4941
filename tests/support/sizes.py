"""How much a property tries: as much as its test says in the first ring, ten times as much in the second."""

from __future__ import annotations

import hypothesis

FULL = "full"
"""The profile of hypothesis that the second ring runs with (tests/support/seed.py)."""

_TIMES = 10


def examples(first_ring: int) -> int:
    """Given how many examples a property tries in the first ring, return how many it tries in this run."""
    return first_ring * (_TIMES if hypothesis.settings.get_current_profile_name() == FULL else 1)
