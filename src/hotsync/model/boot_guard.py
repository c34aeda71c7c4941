"""What a MASTER that boots does, from what it was answered: one pure function."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Answers:
    """What came back: the higher epoch of the paired server (0: none), whether it said that we are its MASTER, and who
    holds addresses of ours (address and hardware address). `asked`: on which cards; `seconds`: for how long."""

    superseded_by: int = 0
    confirmed: bool = False
    conflicts: tuple[tuple[str, str], ...] = ()
    asked: tuple[str, ...] = ()
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether production starts, by which epoch it does not (0: nobody said one), and why, in one sentence."""

    start: bool
    epoch: int
    why: str


def decide(answers: Answers, *, start_without_answer: bool) -> Decision:
    """Given the answers and the setting OnNoAnswer, return what this boot does.

    The paired server's word counts most: it is proven by its certificate. That somebody else has one of our addresses
    may be the promoted server, or a mistake; to take it would be wrong in both cases.
    """
    if answers.superseded_by:
        return Decision(False, answers.superseded_by, f"the other server is at epoch {answers.superseded_by}")
    held = ", ".join(f"{mac} has {address}" for address, mac in answers.conflicts)
    if answers.confirmed:
        return Decision(True, 0, "the other server is its SLAVE" + (f"; but {held}" if held else ""))
    if answers.conflicts:
        return Decision(False, 0, f"another machine answers for its addresses ({held})")
    where = f"on {', '.join(answers.asked)}" if answers.asked else "since there is no card to ask on"
    why = f"the other server did not answer within {answers.seconds:.0f} seconds ({where})"
    return Decision(start_without_answer, 0, why)
