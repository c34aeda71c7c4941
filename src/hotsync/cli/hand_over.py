"""A command whose place is taken by the system's own program of that name."""

from __future__ import annotations

import os
import sys

FAILED = 1


def hand_over(name: str, program: str, words: list[str]) -> int:
    """Let the system's own program take our place; it returns only if that could not be, having said why."""
    sys.stdout.flush()
    try:
        os.execv(program, [program, *words])  # noqa: S606 - it is to take our place
    except OSError as error:
        print(f"{name}: {program}: {error.strerror}", file=sys.stderr, flush=True)
        return FAILED
