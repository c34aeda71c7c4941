"""What a run of the tests has left on this machine, and what belongs to another one that still goes on."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection

_LAB = re.compile(r"\btest-[a-z0-9]+-(\d+)\b")
_SHARED = ("/hotsync-lab/pool", "/hotsync-lab/pool.img", "/run/netns")
"""What labs of several runs stand on."""


def left_by_us(found: Collection[str], lives: Callable[[str], bool]) -> list[str]:
    """Given what is there that was not there before, each as a line, and a question whether a process lives, return
    what is not of another run, which takes its labs away itself.

    Labs are named after the process of the tests that put them up (tests/lab/conftest.py); ours have all ended.
    """
    of_others = {line for line in found if (lab := _LAB.search(line)) and lives(lab[1])}
    shared = {line for line in found if of_others and line.endswith(_SHARED)}
    return sorted(set(found) - of_others - shared)
