"""What a MASTER that boots does, or a SLAVE in the middle of its promotion, from what it was answered: pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Answers:
    """What came back: the epoch of the paired server that ends our time (0: none), whether it said that it yields to
    us, and who holds addresses of ours (address and hardware address). `asked`: on which cards; `seconds`: how long."""

    superseded_by: int = 0
    confirmed: bool = False
    conflicts: tuple[tuple[str, str], ...] = ()
    asked: tuple[str, ...] = ()
    seconds: float = 0.0

    @property
    def says_taken(self) -> bool:
        """Return whether somebody else has what is asked for."""
        return bool(self.conflicts or self.superseded_by)


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
    if answers.confirmed:
        held = f"; but {_holders(answers)}" if answers.conflicts else ""
        return Decision(True, 0, f"the other server is its SLAVE{held}")
    if answers.conflicts:
        return Decision(False, 0, f"another machine answers for its addresses ({_holders(answers)})")
    return _unanswered(answers, start_without_answer=start_without_answer)


def decide_claim(answers: Answers, *, start_without_answer: bool) -> Decision:
    """Given the answers and the setting OnNoAnswer, return whether a SLAVE that boots in the middle of its promotion
    takes production's addresses.

    A MASTER that heard of the claim holds itself; what counts is that its addresses are gone: until then, or where
    another machine has them, two would answer.
    """
    if answers.superseded_by:
        why = f"the other server is the MASTER at epoch {answers.superseded_by}, and does not yield to this promotion"
        return Decision(False, answers.superseded_by, why)
    if answers.conflicts:
        return Decision(False, 0, f"another machine answers for production's addresses ({_holders(answers)})")
    if answers.confirmed:
        return Decision(True, 0, "the other server heard of the claim, and nobody has production's addresses")
    return _unanswered(answers, start_without_answer=start_without_answer)


def _holders(answers: Answers) -> str:
    return ", ".join(f"{mac} has {address}" for address, mac in answers.conflicts)


def _unanswered(answers: Answers, *, start_without_answer: bool) -> Decision:
    where = f"on {', '.join(answers.asked)}" if answers.asked else "since there is no card to ask on"
    why = f"the other server did not answer within {answers.seconds:.0f} seconds ({where})"
    return Decision(start_without_answer, 0, why)
