"""The rehearsal of the fences: each way that is set up, tried without stopping the MASTER, and what came of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from hotsync.model.fence import Tier
from hotsync.model.report import Check, Verdict

DAY = 86400.0
OLD_DAYS = 14
"""A rehearsal that is older proves nothing of today."""

HINT = "hotsync drill --fences tries them now, and stops nothing."

_EARLY = DAY / 2  # a drill does not begin at the same minute every night
_CHECK = "fence."
_TITLES = {
    Tier.AGENT: "the MASTER's HotSync could be asked to hold it",
    Tier.SSH: "the MASTER could be switched off by ssh",
    Tier.COMMAND: "the site's program could end the MASTER",
}

Ways = Mapping[Tier, str]
"""The fences that are set up, each with what it aims at: a result counts for exactly that."""


class Outcome(StrEnum):
    """What came of one way. `NOT_RUN`: what could be looked at is in order, the rest cannot be tried harmlessly."""

    WORKS = "works"
    NOT_RUN = "not_run"
    FAILED = "failed"


WORDS = {Outcome.WORKS: "works", Outcome.NOT_RUN: "in order, not run", Outcome.FAILED: "FAILED"}


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """One way as it was tried last: at what, when, what came of it, in words, and a thing to do."""

    tier: Tier
    target: str
    at: float
    outcome: Outcome
    detail: str = ""
    hint: str = ""


def ways_of(master: str, ssh: str, program: str, test: str) -> dict[Tier, str]:
    """Given the paired MASTER's fingerprint ("": none is paired) and what the settings name, return the ways that are
    set up, from the gentlest on."""
    if not master:
        return {}
    named = ((Tier.SSH, ssh, ssh), (Tier.COMMAND, program, f"{program} {test}".rstrip()))
    return {Tier.AGENT: master, **{tier: target for tier, value, target in named if value}}


def still_of_use(ways: Ways, known: Iterable[Rehearsed]) -> tuple[Rehearsed, ...]:
    """Given the ways and all results, return those of the ways as they are set up now, in order."""
    found = {each.tier: each for each in known if ways.get(each.tier) == each.target}
    return tuple(found[tier] for tier in ways if tier in found)


def is_due(ways: Ways, known: Iterable[Rehearsed], days: int, now: float) -> bool:
    """Return whether the ways are to be tried again: one has no result, an old one, or failed. `days` 0: never."""
    of_use = still_of_use(ways, known)
    if not days or not ways:
        return False
    if len(of_use) < len(ways):
        return True
    return any(each.outcome is Outcome.FAILED or now - each.at > days * DAY - _EARLY for each in of_use)


def check_ways(ways: Ways, known: Iterable[Rehearsed], days: int, since: float, now: float) -> tuple[Check, ...]:
    """Given ways and results, how often they are tried (0: by hand), and since when this server is a SLAVE, return
    whether each is proven."""
    results = {each.tier: each for each in still_of_use(ways, known)}
    return tuple(_check(tier, results.get(tier), days, since, now) for tier in ways)


def _check(tier: Tier, result: Rehearsed | None, days: int, since: float, now: float) -> Check:
    name, title = f"{_CHECK}{tier}", _TITLES[tier]
    if result is not None and result.outcome is Outcome.FAILED:
        return Check(name, title, Verdict.AMBER, result.detail, result.hint or HINT)
    old = int((now - (result.at if result is not None else since)) / DAY)
    if days and old >= max(OLD_DAYS, 2 * days):
        said = "it was not tried for" if result is not None else "it was never tried, in"
        return Check(name, title, Verdict.AMBER, f"{said} {old} days", HINT)
    if result is None:
        return Check(name, title, Verdict.GREEN, "it was not tried yet")
    return Check(name, title, Verdict.GREEN, result.detail)


def summary_of(results: Iterable[Rehearsed]) -> str:
    """Given results, return them in one line: `agent works, ssh works, command in order, not run`."""
    return ", ".join(f"{each.tier} {WORDS[each.outcome]}" for each in results)
