"""What a waiting SLAVE knows of the database servers that its MASTER streams, as values."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class StandbyFacts:
    """One server that the MASTER streams, or that was copied from it: does its standby run, and what is to be done?

    `offered`: the MASTER streams it now. `copy_because`: it must be copied (anew) first, "" if not. `hindrance`: it
    cannot be streamed, so dumps it is. `over`: there is a copy that is of no use any more, for this reason. `beside`
    are the folders of what this server had in its place itself.
    """

    name: str
    offered: bool
    runs: bool
    copy_because: str = ""
    hindrance: str = ""
    over: str = ""
    beside: tuple[str, ...] = ()

    @property
    def to_do(self) -> str:
        """Return in words what hotsync-slave does about it, "" if nothing."""
        if self.over:
            return f"give up the copy of {self.name}: {self.over}"
        if self.hindrance:
            return ""
        if self.copy_because:
            return f"copy {self.name} from the MASTER: {self.copy_because}" if self.offered else ""
        return "" if self.runs else f"start the standby of {self.name}"

    @property
    def trouble(self) -> str:
        """Return in words why it does not follow the MASTER, "" if it does."""
        if self.hindrance or self.over:
            return f"{self.name} is not streamed: {self.hindrance or self.over}"
        if self.copy_because:
            return f"{self.name}: {self.copy_because}"
        if not self.runs:
            return f"the standby of {self.name} does not run"
        return ""


@dataclass(frozen=True, slots=True)
class StandbyShown:
    """How far the standby of one server is: `as_of` by the MASTER's clock (0: not known), `lag` in seconds.

    Not `exact`: it is that of the last change, and nobody tells whether there was none since. `position` is a place in
    the MASTER's log. `fault` says in words what is wrong with it ("" if nothing is); it `answers`, and `holds_dump`:
    everything that the last dump holds, so that a promotion would take it over.
    """

    name: str
    as_of: float = 0.0
    lag: float = 0.0
    fault: str = ""
    exact: bool = True
    position: str = ""
    answers: bool = True
    holds_dump: bool = False
