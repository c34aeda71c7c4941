"""What came of a drill: the rehearsal of a promotion in a sandbox on the SLAVE, and how drills went over time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from hotsync.model.fence_rehearsal import Rehearsed
from hotsync.model.readable import readable
from hotsync.model.report import Check, Verdict, worst

CHECK = "drill"
"""The name of the check by which readiness tells of the last drill."""

TITLE = "a promotion was rehearsed, and went well"
OLD_SECONDS = 3 * 24 * 3600.0
"""A drill that is older proves nothing of today: it is to run every night."""

HINT = "hotsync drill --last shows what the last one found; hotsync drill runs one now."


@dataclass(frozen=True, slots=True)
class Stage:
    """One part of a drill and how long it took: the drill's own, or (with `of_promotion`) a step of the promotion."""

    name: str
    title: str
    seconds: float
    of_promotion: bool = False


@dataclass(frozen=True, slots=True)
class DrillReport:
    """One drill: what was rehearsed, what was asked, what had to be left out, and how long everything took.

    `rto` is how long the promotion took from the command to its end (0: it did not get there), `rpo` how old the data
    was when the drill began. `checks` are all questions that were asked, of this host, of the promotion, of the data,
    and by the client beside it; `notes` what the promotion would have told besides; `fences` what was known of each
    fence then.
    """

    started_at: float
    ended_at: float
    generation: int
    checks: tuple[Check, ...]
    stages: tuple[Stage, ...] = ()
    left_out: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    rto: float = 0.0
    rpo: float = 0.0
    fences: tuple[Rehearsed, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """Return what the drill says: green only if every check held."""
        return worst(self.checks) if self.checks else Verdict.RED

    @property
    def reason(self) -> str:
        """Return in one sentence what did not hold, the worst first; "" if everything did."""
        bad = [check for check in self.checks if check.verdict is self.verdict]
        if self.verdict is Verdict.GREEN:
            return ""
        return "; ".join(f"{check.title}: {check.detail}" for check in bad) or "nothing was asked"

    @property
    def summary(self) -> str:
        """Return the one sentence for people."""
        if self.verdict is Verdict.GREEN:
            return f"The drill held: promoted within {self.rto:.0f} s, {len(self.checks)} checks, all green."
        bad = sum(1 for check in self.checks if check.verdict is not Verdict.GREEN)
        word = "FAILED" if self.verdict is Verdict.RED else "held with reservations"
        return f"The drill {word}: {bad} of {len(self.checks)} checks did not hold."


@dataclass(frozen=True, slots=True)
class DrillPoint:
    """One drill in the trend."""

    at: float
    generation: int
    verdict: Verdict
    reason: str
    rto: float
    rpo: float


def point_of(report: DrillReport) -> DrillPoint:
    """Return what of a drill is kept in the trend."""
    reason = readable(report.reason)[:500]
    return DrillPoint(report.ended_at, report.generation, report.verdict, reason, report.rto, report.rpo)


def trend_words(trend: Sequence[DrillPoint], most: int = 7) -> str:
    """Given the trend, oldest first, return the last few in a line: `green 23 s, green 24 s, red`."""
    return ", ".join(
        f"{point.verdict.value} {point.rto:.0f} s" if point.rto else point.verdict.value for point in trend[-most:]
    )


def check_last(last: DrillPoint | None, waiting_since: float, now: float) -> Check:
    """Given the last drill (None: none was run) and since when this server is a SLAVE, return whether it proves that a
    promotion goes well."""
    if last is not None and last.verdict is Verdict.RED:
        return Check(CHECK, TITLE, Verdict.AMBER, f"the last drill failed: {last.reason}", HINT)
    since = max(waiting_since, last.at if last is not None else 0.0)
    if now - since > OLD_SECONDS:
        days = int((now - since) / 86400)
        said = f"no drill for {days} days" if last is not None else f"no drill was run, in {days} days"
        return Check(CHECK, TITLE, Verdict.AMBER, said, HINT)
    said = f"{last.verdict.value}, within {last.rto:.0f} s" if last is not None else "none was run yet"
    return Check(CHECK, TITLE, Verdict.GREEN, said)


def missing_rows(server: str, expected: Iterable[tuple[str, int]], found: dict[str, int]) -> list[str]:
    """Given the rows of each table in the generation and in the server, return in words what is lacking.

    More rows than in the generation are fine: production has begun to write.
    """
    said: list[str] = []
    for table, rows in expected:
        if table not in found:
            said.append(f"{server} lacks table {table}")
        elif found[table] < rows:
            said.append(f"table {table} of {server} has {found[table]} rows, the generation {rows}")
    return said
