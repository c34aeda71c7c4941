"""A waiting SLAVE as values: what was read before planning, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass, field

from hotsync.model.accounts.moves import NumberPlan
from hotsync.model.facts import StreamFact
from hotsync.model.identity import RoleRecord
from hotsync.model.packages.values import NotCarried, Wanted
from hotsync.model.packages.wants import Marks
from hotsync.model.standby import StandbyFacts
from hotsync.model.warm import WarmLoad

REPAIR_FIRST = "the package database must be repaired first"


@dataclass(frozen=True, slots=True)
class SlaveFacts:
    """What was read of this SLAVE and of its replica.

    `to_mute` are units of production that are not held yet, `running` muted ones that run; `mute_unread` says that
    systemd has not read yet what is held, `move_cut` that a move of accounts was interrupted, `files_left` which files
    could not follow one; `settled` says that nothing of packages changed since the last run, which got all; `wanted`
    are packages of the MASTER that are not here, or older, and may be; `stays` are those that are older here and stay
    so; `architectures` are to be taken first, and `streams` of modules enabled (`streams_stay` are those that must not,
    and why), `marks` differ; `other_family` says that its packages are none for this server. `broken` says what is
    wrong with the package database, `install_cut` that this is what an install of ours left, and `unread` that it
    cannot be read; `locales` are the MASTER's that are not here. `loads` are the database servers whose dumps are not
    all loaded beforehand, `standbys` those that the MASTER streams.
    """

    role: RoleRecord
    generation: int = 0
    to_mute: tuple[str, ...] = ()
    running: tuple[str, ...] = ()
    mute_unread: bool = False
    to_free: tuple[str, ...] = ()
    numbers: NumberPlan = field(default_factory=NumberPlan)
    move_cut: bool = False
    files_left: tuple[str, ...] = ()
    settled: bool = False
    wanted: tuple[Wanted, ...] = ()
    not_carried: tuple[NotCarried, ...] = ()
    stays: tuple[NotCarried, ...] = ()
    architectures: tuple[str, ...] = ()
    streams: tuple[StreamFact, ...] = ()
    streams_stay: tuple[NotCarried, ...] = ()
    marks: Marks = field(default_factory=Marks)
    other_family: str = ""
    broken: str = ""
    install_cut: bool = False
    unread: bool = False
    locales: tuple[str, ...] = ()
    loads: tuple[WarmLoad, ...] = ()
    standbys: tuple[StandbyFacts, ...] = ()
    told: bool = True

    @property
    def is_blocked(self) -> bool:
        """Return whether nothing may be installed: what is broken was not left by us, and is a person's to repair."""
        return bool(self.broken) and not self.install_cut


@dataclass(slots=True)
class SlaveOutcome:
    """What a run did and could not do, gathered while it goes; empty fields are good news.

    `retry` says that something failed which may go well the next time, though nothing changes; `broken` what is wrong
    with the package database after what was done (None: nothing was done to it).
    """

    installed: list[str] = field(default_factory=list[str])
    missing: dict[str, str] = field(default_factory=dict[str, str])
    behind: dict[str, str] = field(default_factory=dict[str, str])
    broken: str | None = None
    lists_fault: str = ""
    refreshed: bool = False
    retry: bool = False
    locales_failed: dict[str, str] = field(default_factory=dict[str, str])
    unread_paths: list[str] = field(default_factory=list[str])
    loads_failed: dict[str, str] = field(default_factory=dict[str, str])
    loads_refused: dict[str, str] = field(default_factory=dict[str, str])
    loads_left: dict[str, str] = field(default_factory=dict[str, str])
    standbys_failed: dict[str, str] = field(default_factory=dict[str, str])


def missing_of(facts: SlaveFacts, outcome: SlaveOutcome) -> dict[str, str]:
    """Return what of the MASTER could not be had, by name, with the reason."""
    blocked = {f"module {stream}": REPAIR_FIRST for stream in facts.streams} if facts.is_blocked else {}
    if facts.is_blocked:
        blocked |= {package.name: REPAIR_FIRST for package in facts.wanted if not package.here}
    return {each.name: each.reason for each in facts.streams_stay} | outcome.missing | blocked


def behind_of(facts: SlaveFacts, outcome: SlaveOutcome) -> dict[str, str]:
    """Return what is older here than on the MASTER, by name, with the reason."""
    blocked = {package.name: REPAIR_FIRST for package in facts.wanted if package.here} if facts.is_blocked else {}
    return {each.name: each.reason for each in facts.stays} | outcome.behind | blocked


def broken_of(facts: SlaveFacts, outcome: SlaveOutcome) -> str:
    """Return what is wrong with the package database, "" if nothing is."""
    return facts.broken if outcome.broken is None else outcome.broken
