"""Of when the data is that a promotion brings, server by server; pure. Moments are by this SLAVE's clock."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from hotsync.model.generation import Generation, dump_moments
from hotsync.model.standby import StandbyShown


@dataclass(frozen=True, slots=True)
class ServerAge:
    """One database server: of when its last dump is (0: not known), and of when what its standby holds.

    `streamed`: it is the standby that counts, or would; `as_of` is then the moment that it shows (0: not known), or
    (not `exact`) one at which it surely had everything. `position` is the place in the MASTER's log. `said` is what
    else there is to say.
    """

    name: str
    dumped_at: float = 0.0
    streamed: bool = False
    as_of: float = 0.0
    exact: bool = True
    position: str = ""
    said: str = ""

    @property
    def moment(self) -> float:
        """Return of when its data is (0: not known)."""
        return self.as_of if self.streamed else self.dumped_at


def ages_of_dumps(generation: Generation, clock_difference: float) -> tuple[ServerAge, ...]:
    """Given a generation and by how much the MASTER's clock is ahead, return the age of each server's dumps."""
    stale: dict[str, list[str]] = {}
    for point in generation.datasets:
        if point.stale_since and point.note not in stale.setdefault(point.server, []):
            stale[point.server].append(point.note)
    return tuple(
        ServerAge(name, taken_at - clock_difference, said="; ".join(stale.get(name, [])))
        for name, taken_at in dump_moments(generation).items()
    )


def with_standbys(
    ages: Iterable[ServerAge], shown: Iterable[StandbyShown], clock_difference: float
) -> tuple[ServerAge, ...]:
    """Given the ages of the dumps and how far each standby is, return what a promotion now would bring."""
    standbys = {each.name: each for each in shown}
    return tuple(_expected(age, standbys[age.name], clock_difference) if age.name in standbys else age for age in ages)


def taken_over(age: ServerAge, shown: StandbyShown, clock_difference: float) -> ServerAge:
    """Given how far a standby was when a promotion took it over, return of when the server's data is."""
    known = shown.as_of - clock_difference if shown.as_of else 0.0
    moment = max(known, age.dumped_at)  # it has all of the dump
    exact = shown.exact and moment == known
    return replace(age, streamed=True, as_of=moment, exact=exact, position=shown.position, said="")


def given_up(age: ServerAge, reason: str) -> ServerAge:
    """Given why a promotion gave a standby up, return of when the server's data is: that of its dump."""
    return replace(age, streamed=False, as_of=0.0, position="", said=f"its standby was given up: {reason}")


def _expected(age: ServerAge, shown: StandbyShown, clock_difference: float) -> ServerAge:
    if not shown.answers:
        said = "its standby does not answer now: the dump is loaded if it cannot be started"
        return replace(age, streamed=True, as_of=0.0, said=said)
    if not shown.holds_dump:
        why = f" ({shown.fault})" if shown.fault else ""
        said = f"its standby lacks what this dump holds{why}: the dump is loaded unless it catches up"
        return replace(age, said=said)
    return taken_over(age, shown, clock_difference)
