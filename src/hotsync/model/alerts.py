"""When to write a mail: on the first failure, a reminder a day, one mail on recovery; nobody is flooded."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

DAY = 24 * 3600.0
REMIND_AFTER = DAY
RETRY_AFTER = 6 * 3600.0
HOLD = 12 * 3600.0  # a second recovery within a day is believed when it has lasted for so long
KINDS_A_DAY = 3


class Occasion(StrEnum):
    """Why a mail is written."""

    FAILURE = "failure"
    REMINDER = "reminder"
    RECOVERY = "recovery"


@dataclass(frozen=True, slots=True)
class Alert:
    """What the administrator was told of one matter, times in seconds since 1970 (0: never).

    `since`: when it began to fail; `mailed_at`: the last mail; `told`: each kind of failure (`code`) of this outage, or
    of the last day, with the moment of its mail. `open`: he believes that it fails; `better_since`: since when it works
    again (told or not); `recovered_at`: when he was last told that it works again. `unsure`: when the mail
    went out first of which nobody knows whether it was taken (0: it is known of the last one).
    """

    since: float
    mailed_at: float
    told: tuple[tuple[str, float], ...] = ()
    open: bool = True
    better_since: float = 0.0
    recovered_at: float = 0.0
    unsure: float = 0.0


def unanswered(alert: Alert, first: float, now: float) -> Alert:
    """Given an alert whose mail was handed over and not answered for, return it so that it is mailed again in hours.

    At once it might come twice, and over and over; never would be silence.
    """
    return replace(alert, mailed_at=now - REMIND_AFTER + RETRY_AFTER, unsure=first)


def next_alert(known: Alert | None, failing: bool, code: str, now: float) -> tuple[Alert | None, Occasion | None]:
    """Given what the administrator knows and what is so now, return what he will know and the mail to write, if any.

    Another kind of failure (`code`) is a mail too, once each, and no more than a few kinds a day: what to do about it
    differs. The first recovery of a day is told at once; later ones when they have lasted, so that what comes and
    goes counts as one failure.
    """
    if not failing:
        return (known, None) if known is None or not known.open else _better(known, now)
    if known is None or not known.open:
        told = _of_today(known, now) if known else ()
        recovered_at = known.recovered_at if known else 0.0
        return Alert(now, now, _with(told, code, now), recovered_at=recovered_at), Occasion.FAILURE
    alert = replace(known, better_since=0.0)
    if _is_due(known, now):
        return replace(alert, mailed_at=now, told=_with(known.told, code, now), unsure=0.0), Occasion.REMINDER
    if code not in dict(known.told) and len(_of_today(known, now)) < KINDS_A_DAY:
        return replace(alert, mailed_at=now, told=_with(known.told, code, now), unsure=0.0), Occasion.FAILURE
    return alert, None


def _better(known: Alert, now: float) -> tuple[Alert, Occasion | None]:
    since = known.better_since or now
    recent = 0 <= now - known.recovered_at < DAY if known.recovered_at else False
    if recent and now - since < HOLD:
        return replace(known, better_since=since), None
    over = replace(known, open=False, better_since=since, mailed_at=now, recovered_at=now, unsure=0.0)
    return over, Occasion.RECOVERY


def _is_due(known: Alert, now: float) -> bool:
    # a clock that was set back must not silence the reminders
    return not 0 <= now - known.mailed_at < REMIND_AFTER


def _of_today(known: Alert, now: float) -> tuple[tuple[str, float], ...]:
    return tuple((code, at) for code, at in known.told if 0 <= now - at < DAY)


def _with(told: tuple[tuple[str, float], ...], code: str, now: float) -> tuple[tuple[str, float], ...]:
    return (*(each for each in told if each[0] != code), (code, now))
