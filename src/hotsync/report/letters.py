"""The words of the mails: what happened, since when, what it means, what to do."""

from __future__ import annotations

from dataclasses import dataclass

from hotsync.model.alerts import Alert, Occasion
from hotsync.model.readable import readable, readable_lines
from hotsync.model.report import RunReport
from hotsync.report.mail import local_time

NEXT = "The next mail about this comes in a day if it goes on, or when it is over."
ONCE = "It is over already: no other mail about this comes."


@dataclass(frozen=True, slots=True)
class Trouble:
    """What a mail is about: in a subject's words, one sentence, one thing to do, what it means, and a stable code.

    `then` says which mails about it come later; `over`: it failed, and does not go on.
    """

    about: str
    sentence: str
    hint: str
    meaning: str
    code: str
    then: str = NEXT
    over: bool = False


_SHOWN = 20
SYNC = "synchronization"
SILENCE = "contact with the MASTER"
STALE = "arrival of new data"
READINESS = "readiness of this SLAVE"
FENCES = "the rehearsal of the fences"
DRILL = "the rehearsal of a promotion"
PROMOTION = "promotion of this server"
UNDO = "undo of the promotion of this server"
HELD = "production on this server"
HELD_BY_WAY = (f"{HELD} (own mail server)", f"{HELD} (relay)")
"""A hold is told by each kind of way by itself: its own mail server is production's, and stops."""
SWITCHOVER = "the switchover"
EXCHANGE = "the exchange of roles"


def in_words(matter: str) -> str:
    """Return what people call a matter."""
    return HELD if matter in HELD_BY_WAY else matter


def trouble_of_sync(report: RunReport, last_good: float) -> Trouble:
    """Given a run that failed and the moment of the last good one, return what to tell."""
    meaning = (
        f"The SLAVE still holds the MASTER as of {local_time(last_good)}; a promotion now would lose what came after."
        if last_good
        else "The SLAVE holds no generation yet; a promotion is not possible."
    )
    code = report.error_code or f"exit-{report.exit_code}"
    return Trouble(SYNC, report.summary, report.hint, meaning, code)


def trouble_of_silence(master: str, last_seen: float, newest: float) -> Trouble:
    """Given the MASTER's name, when it was last heard of and the newest generation's moment, return what to tell."""
    seen = local_time(last_seen) if last_seen else "never since HotSync started here"
    held = f"This SLAVE holds it as of {local_time(newest)}." if newest else "This SLAVE holds no generation of it yet."
    return Trouble(
        SILENCE,
        f"The MASTER {master} is silent; last heard of: {seen}.",
        "See whether it runs and is connected. If it is lost, run hotsync-promote on this SLAVE.",
        held,
        "master.silent",
    )


def trouble_of_old_data(master: str, confirmed_at: float, moment: float) -> Trouble:
    """Given the MASTER's name, when a run last ended here, and of when the data is, return what to tell."""
    return Trouble(
        STALE,
        f"The MASTER {master} is there, but no run of it has come to its end here since {local_time(confirmed_at)}.",
        "Run `hotsync` on the MASTER and read what it says; `systemctl list-timers` there shows its timer.",
        f"This SLAVE holds the MASTER as of {local_time(moment)}; a promotion now would lose what came after.",
        "data.old",
    )


def letter(
    trouble: Trouble, occasion: Occasion, host: str, alert: Alert, now: float, notices: tuple[str, ...] = ()
) -> str:
    """Given what happened and what the administrator is told with this mail, return its body."""
    since, host = alert.since, readable(host)
    if occasion is Occasion.RECOVERY:
        about = trouble.about[:1].upper() + trouble.about[1:]
        return (
            f"{about} works again on {host} since {local_time(alert.better_since)}.\n"
            f"It had failed since {local_time(since)}. Nothing needs to be done.\n"
        )
    first = "fails" if occasion is Occasion.FAILURE else "still fails"
    when = f"failed at {local_time(since)}" if trouble.over else f"{first} since {local_time(since)}"
    parts = [
        f"HotSync on {host}: {trouble.about} {when}.",
        f"What happened: {readable_lines(trouble.sentence)}",
        f"What to do:    {readable_lines(trouble.hint)}",
        f"What it means: {readable_lines(trouble.meaning)}",
    ]
    if notices:
        more = [f"  and {len(notices) - _SHOWN} more: hotsync status --json"] if len(notices) > _SHOWN else []
        parts.append("\n".join(["Also noticed:", *(f"  - {readable(notice)}" for notice in notices[:_SHOWN]), *more]))
    parts += ["Look closer:   hotsync status", trouble.then]
    return "\n\n".join(parts) + "\n"


def test_letter(host: str) -> str:
    """Return the body of the mail that proves the SLAVE's way to the administrator."""
    return (
        f"This is HotSync on {host}, a SLAVE.\n\n"
        "Its own mail server is held until a promotion, so alarms leave it straight through this relay.\n"
        "You read this: the way works, and nothing needs to be done.\n"
    )
