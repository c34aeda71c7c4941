"""What a runbook tells of one pair of servers: what a person needs on paper when the MASTER is dead."""

from __future__ import annotations

from dataclasses import dataclass

from hotsync.model.report import Check


@dataclass(frozen=True, slots=True)
class Card:
    """An interface with the hardware address that its label or the switch shows, and its addresses."""

    name: str
    mac: str
    addresses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Server:
    """One of the two: its host name and its cards."""

    name: str
    cards: tuple[Card, ...]


@dataclass(frozen=True, slots=True)
class Application:
    """What the MASTER serves, and what a promotion asks of it by itself."""

    title: str
    questions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Runbook:
    """All of it, as it was when hotsync-slave last ran.

    `taken` are the addresses that a promotion takes, `kept` those that this SLAVE keeps too, `mapped` which card
    takes which one's place where the names differ; `phases` are its parts in their order, each with how many steps it
    has; `open` is what is not green; `phone` the lines of the phone book. `rollback_seconds`: after how long a new
    network with which nobody answers is taken back, 0 for never.
    """

    made_at: float
    master: Server
    slave: Server
    fingerprint: str
    paired_at: float
    generation: int
    data_of: float
    seconds: float
    taken: tuple[str, ...]
    gateways: tuple[str, ...]
    kept: tuple[str, ...]
    mapped: tuple[str, ...]
    phases: tuple[tuple[str, int], ...]
    applications: tuple[Application, ...]
    open: tuple[Check, ...]
    phone: tuple[str, ...]
    rollback_seconds: int
