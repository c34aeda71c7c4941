"""A change as a value: the step; and the ordered steps still needed: the plan."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol, TypeVar, runtime_checkable

if TYPE_CHECKING:
    from hotsync.model.ports import Host


class Phase(StrEnum):
    """The parts of a plan, in their order. What comes after CLAIM cannot be undone by simply stopping."""

    PREPARE = "prepare"
    CLAIM = "claim"
    FENCE = "fence"
    NETWORK = "network"
    ACCOUNTS = "accounts"
    PACKAGES = "packages"
    DATA = "data"
    DATABASES = "databases"
    OWNERSHIP = "ownership"
    SERVICES = "services"
    CHECKS = "checks"
    ROLE = "role"


@runtime_checkable
class Step(Protocol):
    """One change: says what it does and calls one method of one port. Doing it twice does no harm."""

    @property
    def key(self) -> str:
        """Return the stable name under which the journal remembers the step."""
        ...

    @property
    def title(self) -> str:
        """Return what it does, in a person's words."""
        ...

    @property
    def phase(self) -> Phase:
        """Return the part of the plan that it belongs to."""
        ...

    def apply(self, host: Host) -> None:
        """Do it; raise HotSyncError if it cannot be done."""
        ...


HostT = TypeVar("HostT", contravariant=True)


class StepFor(Protocol[HostT]):
    """A step of whatever host: as `Step` is one of a promotion's."""

    @property
    def key(self) -> str: ...  # noqa: D102
    @property
    def title(self) -> str: ...  # noqa: D102
    @property
    def phase(self) -> Phase: ...  # noqa: D102
    def apply(self, host: HostT) -> None: ...  # noqa: D102


class Outcome(StrEnum):
    """How a step ended."""

    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class StepRecord:
    """One step of a run as the journal keeps it; times in seconds since 1970."""

    key: str
    title: str
    phase: str
    started_at: float
    ended_at: float
    outcome: Outcome
    detail: str = ""


Plan = tuple[Step, ...]
Progress = Callable[[Step, int, int], None]
"""Called before each step with its position (from 1) and the number of steps."""


def in_order(steps: Iterable[Step]) -> Plan:
    """Given steps, return them by phase; within a phase they keep their order."""
    phases = list(Phase)
    return tuple(sorted(steps, key=lambda step: phases.index(step.phase)))
