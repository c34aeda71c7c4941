"""The fence: ways to make sure that the old MASTER does not serve, from the gentlest on, and what came of each."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Tier(StrEnum):
    """One way, in the order in which they are tried."""

    AGENT = "agent"
    SSH = "ssh"
    COMMAND = "command"
    PERSON = "person"


WORDS = {
    Tier.AGENT: "its HotSync holds it",
    Tier.SSH: "it was switched off by ssh",
    Tier.COMMAND: "the site's command ended it",
    Tier.PERSON: "a person typed that it cannot serve",
}


@dataclass(frozen=True, slots=True)
class FenceResult:
    """What came of one way: whether it reached the MASTER (or who speaks for it), and what it said."""

    tier: Tier
    reached: bool
    detail: str = ""


def tiers_left(ssh: str, command: str, results: Iterable[FenceResult], tried: Iterable[Tier] = ()) -> tuple[Tier, ...]:
    """Given what the settings name, what came of every run so far, and what this one has tried, return the ways that
    are still to be tried, in order.

    After one that reached it none is needed, in no later run either: somebody may have repaired the server meanwhile.
    What failed is tried again by a later run: the server may be back. A person's word ends no doubt of ours: it only
    stands in the report.
    """
    done = tuple(results)
    if any(result.reached for result in done if result.tier is not Tier.PERSON):
        return ()
    wanted = (Tier.AGENT, *([Tier.SSH] if ssh else []), *([Tier.COMMAND] if command else []))
    now = frozenset(tried)
    return tuple(tier for tier in wanted if tier not in now)


def sentence_of(results: Iterable[FenceResult]) -> str:
    """Given all that was tried, return how the MASTER was fenced, in one sentence ("": nothing was tried yet)."""
    done = tuple({result.tier: result for result in results}.values())  # what came of each at last
    reached = [result for result in done if result.reached]
    if reached:
        return f"The old MASTER was fenced: {'; '.join(WORDS[result.tier] for result in reached)}."
    if not done:
        return ""
    tried = ", ".join(f"{result.tier}: {result.detail}" for result in done)
    return f"The old MASTER was not fenced by anything ({tried}): keep it off."
