"""Versions of servers as far as they decide what can be loaded where."""

from __future__ import annotations

import re


def series(version: str) -> tuple[int, ...]:
    """Given a version, return the two numbers of it that count."""
    return tuple(int(number[:100]) for number in re.findall(r"[0-9]+", version)[:2])
