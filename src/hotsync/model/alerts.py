"""When to write a mail: on the first failure, a reminder a day, one mail on recovery; nobody is flooded."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

REMIND_AFTER = 24 * 3600.0


class Occasion(StrEnum):
    """Why a mail is written."""

    FAILURE = "failure"
    REMINDER = "reminder"
    RECOVERY = "recovery"


@dataclass(frozen=True, slots=True)
class Alert:
    """A failure that the administrator knows of: since when, and when the last mail went (seconds since 1970)."""

    since: float
    mailed_at: float
    code: str = ""


def next_alert(known: Alert | None, failing: bool, code: str, now: float) -> tuple[Alert | None, Occasion | None]:
    """Given what the administrator knows and what is so now, return what he will know and the mail to write, if any.

    Another kind of failure (`code`) while one is known is a mail too: what to do about it differs.
    """
    if not failing:
        return None, None if known is None else Occasion.RECOVERY
    if known is None:
        return Alert(now, now, code), Occasion.FAILURE
    if known.code != code:
        return replace(known, mailed_at=now, code=code), Occasion.FAILURE
    if now - known.mailed_at >= REMIND_AFTER:
        return replace(known, mailed_at=now), Occasion.REMINDER
    return known, None
