"""The mail after a promotion: what this server is now, what to look at, and what is left to a person."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from hotsync.model.fence import sentence_of
from hotsync.model.promotion import Promotion
from hotsync.model.readable import readable
from hotsync.model.report import Check, Verdict
from hotsync.model.undo import Undo
from hotsync.report.mail import local_time
from hotsync.report.runbook import COMPLETE, only_a_person

_SHOWN = 20


def promoted_subject(host: str) -> str:
    """Return the subject line."""
    return readable(f"[HotSync] {host}: this server is MASTER now")


def promoted_letter(host: str, promotion: Promotion) -> str:
    """Given a promotion that is finished, return the body of the mail that tells of it."""
    return "\n\n".join(_parts(readable(host), promotion)) + "\n"


def _parts(host: str, promotion: Promotion) -> Iterator[str]:
    took = sum(record.ended_at - record.started_at for record in promotion.records)
    yield (
        f"{host} was promoted and is MASTER now, at epoch {promotion.epoch}.\n"
        f"It began {local_time(promotion.started_at)} and took {took:.0f} s."
    )
    yield _data(promotion)
    if fenced := sentence_of(promotion.fences):
        yield readable(fenced)
    yield _checks(promotion.checks)
    if promotion.notes:
        yield _list("What you must know:", promotion.notes)
    yield _list("Only a person can check:", only_a_person(planned=promotion.planned))
    yield f"When all is well: {COMPLETE}, then reboot once and look again."
    yield "The whole report, with what is known to be lost: hotsync-promote --report"


def _data(promotion: Promotion) -> str:
    if not promotion.planned:
        return (
            f"Its data is that of generation {promotion.data_of}, of {local_time(promotion.confirmed_at)}.\n"
            "What was done on the old MASTER after that is not here."
        )
    still = f" Production stood still for {promotion.still_seconds:.0f} s." if promotion.still_seconds else ""
    return (
        f"It was planned, and {readable(promotion.lost_by_plan)}: the MASTER had stopped and sent everything "
        f"(generation {promotion.data_of}) before this server took over.{still}"
    )


def undone_subject(host: str) -> str:
    """Return the subject line of the mail after an undo."""
    return readable(f"[HotSync] {host}: this server is a SLAVE again")


def undone_letter(host: str, undo: Undo, sentence: str) -> str:
    """Given an undo that is finished and the one sentence of it, return the body of the mail that tells of it."""
    done = "was undone" if undo.was_master else "was given up before its end"
    parts = [
        f"The promotion of {readable(host)} to epoch {undo.epoch} {done}.\n{readable(sentence)}",
        "Production does not run here any more. A MASTER that this promotion had superseded serves again by itself as "
        "soon as it hears of this: see `hotsync status` there. If it is off, nobody serves.",
    ]
    if undo.notes:
        parts.append(_list("What you must know:", undo.notes))
    return "\n\n".join(parts) + "\n"


def _checks(checks: tuple[Check, ...]) -> str:
    counts = Counter(check.verdict for check in checks)
    said = ", ".join(f"{counts[verdict]} {verdict.value}" for verdict in Verdict if counts[verdict]) or "none was asked"
    bad = [
        f"{check.verdict.value}: {check.title}: {check.detail}" + (f" ({check.hint})" if check.hint else "")
        for check in checks
        if check.verdict is not Verdict.GREEN
    ]
    return _list(f"Checks: {said}.", bad)


def _list(title: str, lines: tuple[str, ...] | list[str]) -> str:
    more = [f"  and {len(lines) - _SHOWN} more"] if len(lines) > _SHOWN else []
    return "\n".join([title, *(f"  - {readable(line)}" for line in lines[:_SHOWN]), *more])
