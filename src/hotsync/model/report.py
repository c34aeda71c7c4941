"""What a run has to say: checks with hints, warnings, and the record that mail and status are made from."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class Verdict(StrEnum):
    """The answer of a check: good, works but should be looked at, or does not work."""

    GREEN = "green"
    AMBER = "amber"
    RED = "red"


@dataclass(frozen=True, slots=True)
class Check:
    """One question with its answer and, unless it is good, a thing to do."""

    name: str
    title: str
    verdict: Verdict
    detail: str = ""
    hint: str = ""


def worst(checks: tuple[Check, ...]) -> Verdict:
    """Return the worst verdict of all (green if there is none)."""
    order = (Verdict.GREEN, Verdict.AMBER, Verdict.RED)
    return max((check.verdict for check in checks), key=order.index, default=Verdict.GREEN)


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that went less than well without stopping the run; `path` where it is about one."""

    code: str
    sentence: str
    path: str = ""


@dataclass(frozen=True, slots=True)
class RunReport:
    """One execution of a command: what it did, how it ended, and the figures that people ask for.

    `remarks` tell what was left out on purpose: no reason to warn.
    """

    command: str
    started_at: float
    ended_at: float
    exit_code: int
    summary: str
    error_code: str = ""
    hint: str = ""
    generation: int = 0
    warnings: tuple[Notice, ...] = ()
    figures: dict[str, float] = field(default_factory=dict[str, float])
    remarks: tuple[Notice, ...] = ()
