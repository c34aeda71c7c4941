"""Asks, before the network is up and without taking an address, whether this MASTER was superseded; or, on a SLAVE in
the middle of its promotion, whether it may have production's addresses.

On every card at once: the paired server at its link-local address, by TLS; and whether anybody has an address of ours,
by ARP and neighbour solicitations.
"""

from __future__ import annotations

import select
import threading
from collections.abc import Callable, Iterable
from contextlib import ExitStack, suppress
from dataclasses import dataclass

from hotsync.backends.network.quiet_links import QuietLinks, settled_cards
from hotsync.backends.network.wires import Wire
from hotsync.errors import EpochReleased, HotSyncError, StaleEpoch
from hotsync.model.boot_guard import Answers
from hotsync.model.identity import Role
from hotsync.system.clock import Clock
from hotsync.transport.client import hail
from hotsync.transport.dial import Callee
from hotsync.transport.messages import Welcome

LOOK_SECONDS = 0.25
PROBE_SECONDS = 1.0
ARP_SECONDS = 6.0
"""How long is waited where the other server cannot be asked: a cable needs some of it, an answer none."""
ANSWER_SECONDS = 5.0
QUIET_SECONDS = 3.0
"""So long nobody may answer for production's addresses once the MASTER heard of a claim: each second asks once."""
LEAVES_SECONDS = 20.0
"""How long such a MASTER may need to let them go, whatever GuardSeconds says."""


@dataclass(frozen=True, slots=True)
class Question:
    """Whom to ask (the callee's address is link-local, without a card; "": nobody), and which addresses are ours, or
    would be. `callee.ours` says who asks: a MASTER, or a SLAVE with its claim."""

    callee: Callee
    addresses: frozenset[str]
    seconds: float


class Asking:
    """One boot's question; whoever answers first with certainty ends it."""

    def __init__(self, question: Question, clock: Clock, links: QuietLinks) -> None:
        self._question = question
        self._clock = clock
        self._links = links
        self._done = threading.Event()
        self._superseded_by = 0
        self._confirmed = False
        self._wires: list[Wire] = []
        self._told_at: float | None = None
        self._conflicts: dict[str, tuple[str, float]] = {}
        self._asked: list[str] = []

    def ask(self, cards: Callable[[], Iterable[str]] = settled_cards) -> Answers:
        """Ask on every card, also one that appears meanwhile, until there is an answer or the time is over."""
        question, clock = self._question, self._clock
        peer = bool(question.callee.address)
        began, probed = clock.monotonic(), 0.0
        end = began + (question.seconds if peer else min(question.seconds, ARP_SECONDS))
        with ExitStack() as stack:
            while not self._done.is_set() and not self._is_quiet(now := clock.monotonic()) and now < self._last(end):
                for card in cards():
                    if card not in self._asked:
                        self._begin(card, stack, peer)
                if now - probed >= PROBE_SECONDS:
                    probed = now
                    self._probe()
                self._listen(min(LOOK_SECONDS, self._last(end) - now))
            self._done.set()
        now = clock.monotonic()
        return Answers(self._superseded_by, self._confirmed, self._holders(now), tuple(self._asked), now - began)

    def _last(self, end: float) -> float:
        """Given when the question ends, return when it does for a MASTER that heard of our claim and has to leave."""
        return end if self._told_at is None else max(end, self._told_at + LEAVES_SECONDS)

    def _is_quiet(self, now: float) -> bool:
        """Return whether a MASTER heard of our claim, and nobody answered for the addresses for a while since then."""
        return self._told_at is not None and now - self._told_at >= QUIET_SECONDS and not self._holders(now)

    def _holders(self, now: float) -> tuple[tuple[str, str], ...]:
        """Return who has addresses of ours; of a MASTER that lets them go, only what it was heard to have just now."""
        since = 0.0 if self._told_at is None else now - QUIET_SECONDS
        return tuple(sorted((address, mac) for address, (mac, at) in self._conflicts.items() if at >= since))

    def _begin(self, card: str, stack: ExitStack, peer: bool) -> None:
        self._asked.append(card)
        self._links.up(card)
        with suppress(OSError):
            wire = Wire(card)
            stack.callback(wire.close)
            self._wires.append(wire)
        if peer:
            threading.Thread(target=self._ask_peer, args=(card,), name=f"asks on {card}", daemon=True).start()

    def _ask_peer(self, card: str) -> None:
        callee = self._question.callee
        there = Callee(f"{callee.address}%{card}", callee.port, callee.ours, callee.identity, callee.fingerprint)
        while not self._done.is_set() and self._told_at is None:
            try:
                self._heard(hail(there, self._clock, ANSWER_SECONDS))
            except StaleEpoch as error:
                if isinstance(theirs := error.facts.get("theirs"), int) and theirs > callee.ours.epoch:
                    self._superseded_by = theirs
                    self._done.set()
            except EpochReleased:
                self._yields()  # it gave its promotion up: this MASTER takes a higher epoch once it runs
            except HotSyncError:
                pass  # no cable yet, no daemon there yet, or something that tells us nothing
            self._done.wait(LOOK_SECONDS)

    def _heard(self, welcome: Welcome) -> None:
        ours = self._question.callee.ours
        if ours.role is Role.MASTER:
            if welcome.role == "slave":
                self._yields()
        elif welcome.role == "master" and welcome.epoch >= ours.epoch:
            self._superseded_by = welcome.epoch
            self._done.set()
        elif welcome.role == "master" and self._told_at is None:
            # it holds itself from now on; that it does, its addresses must say
            self._confirmed, self._told_at = True, self._clock.monotonic()

    def _yields(self) -> None:
        self._confirmed = True
        self._done.set()

    def _probe(self) -> None:
        for wire in self._wires:
            for address in self._question.addresses:
                with suppress(OSError):  # no cable yet
                    wire.ask(address)

    def _listen(self, seconds: float) -> None:
        if not self._wires:
            self._done.wait(seconds)
            return
        own = frozenset(wire.mac.hex(":") for wire in self._wires)
        channels = {channel: wire for wire in self._wires for channel in wire.channels}
        for channel in select.select(list(channels), [], [], seconds)[0]:
            with suppress(OSError):  # the card went down
                if heard := channels[channel].hear(channel, own, self._question.addresses):
                    self._conflicts[heard[0]] = heard[1], self._clock.monotonic()
