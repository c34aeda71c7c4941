"""What was promised of a run in which nothing changed, held against what was measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bench.stand import Measured

FULL_SIZE = 300_000
"""Files: with fewer of them the start of a command counts too much for the promises to say anything."""


@dataclass(frozen=True, slots=True)
class Target:
    """One promise: what was promised and found, in words, and whether it was kept."""

    promised: str
    found: str
    kept: bool

    def __str__(self) -> str:
        return f"{self.promised}: {self.found}, {'kept' if self.kept else 'MISSED'}"


def targets(theirs: Measured, ours: Measured) -> tuple[Target, ...]:
    """Given the original's figures and HotSync's when nothing changed, return the promises."""
    wall, cpu = theirs.wall / ours.wall, theirs.cpu / ours.cpu
    return (
        Target("at least 2 times faster", f"{wall:.2f} times", wall >= 2),
        Target("at least 4 times less CPU over both ends", f"{cpu:.2f} times", cpu >= 4),
        Target("under 100 kB on the wire", f"{ours.wire / 1000:.1f} kB", ours.wire < 100_000),
    )


def sentence(found: Sequence[Target]) -> str:
    """Return the promises as the table's last line tells them."""
    return f"Promised when nothing changed: {'; '.join(map(str, found))}."
