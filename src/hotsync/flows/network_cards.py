"""The network cards of both servers, as they are told and seen now, and what was confirmed about them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from hotsync.backends.network import addresses as live
from hotsync.engine.promotion.ground import Ground
from hotsync.engine.promotion.network import read_master_network
from hotsync.errors import ConfigError, HotSyncError
from hotsync.model.network.cards import Card, Pairs, Proposed, complete, is_card
from hotsync.model.network.rename import resolved
from hotsync.model.promotion import ETC
from hotsync.planning.cards import crossed, master_cards, networks_of, on_its_wire, propose
from hotsync.sources.facts import read_interfaces
from hotsync.state.cards import load_pairs

SECONDS = 1.5


@dataclass(frozen=True, slots=True)
class Crossing:
    """The MASTER's cards that seem to be on another card's wire here, and what would be proposed for all of them."""

    cards: tuple[Proposed, ...] = ()
    proposal: tuple[Proposed, ...] = ()


@dataclass(frozen=True, slots=True)
class CardsFacts:
    """The MASTER's cards, this server's, and the confirmed pairs (empty: none were, or they do not fit any more).

    `fault` says why the MASTER's cards are not known, `stale` what is wrong with the confirmed pairs.
    """

    theirs: tuple[Card, ...] = ()
    here: tuple[Card, ...] = ()
    confirmed: Pairs = ()
    fault: str = ""
    stale: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of this server's cards."""
        return tuple(card.name for card in self.here)

    @property
    def fit(self) -> bool:
        """Return whether this server has a card of each name that the MASTER's network needs."""
        return {card.name for card in self.theirs if card.used} <= set(self.names)

    @property
    def may_be_crossed(self) -> bool:
        """Return whether cards that fit by their names may be on other wires, and nobody said that they are not."""
        return self.fit and not self.confirmed and len(self.here) > 1

    def proposal(self) -> tuple[Proposed, ...]:
        """Return what is proposed for each of the MASTER's cards, from what answers on the wires now."""
        return propose(self.theirs, _listening(self.here, self.theirs))

    def crossing(self) -> Crossing:
        """Return which cards are on other wires than their names say, from what answers there now."""
        if not self.may_be_crossed:
            return Crossing()
        here = _listening(self.here, self.theirs)
        return Crossing(crossed(self.theirs, here), propose(self.theirs, here))


def listening(cards: CardsFacts) -> Callable[[], Crossing]:
    """Listen on the wires from now on; what is returned waits for that. Meanwhile other things can be read."""
    if not cards.may_be_crossed:
        return Crossing
    pool = ThreadPoolExecutor(max_workers=1)
    found = pool.submit(cards.crossing)
    pool.shutdown(wait=False)
    return found.result


def read_cards(ground: Ground) -> CardsFacts:
    """Return the cards of both servers."""
    here = tuple(
        Card(
            each.name,
            each.mac.lower(),
            each.up,
            each.speed,
            networks_of(f"{address.address}/{address.prefix}" for address in each.addresses),
        )
        for each in read_interfaces(ground.paths)
        if is_card(each)
    )
    told = ground.master.network
    try:
        state = read_master_network(ground.tree / ETC)
        if state is None:
            return CardsFacts(here=here, fault="no network system that HotSync knows configures the MASTER")
        known = tuple((each.mac.lower(), each.name) for each in told.interfaces if is_card(each))
        theirs = master_cards(resolved(state, known), told)
    except ConfigError as error:
        return CardsFacts(here=here, fault=error.sentence)
    found = CardsFacts(theirs, here)
    try:
        confirmed = load_pairs(ground.paths)
        return replace(found, confirmed=complete(confirmed, theirs, found.names) if confirmed else ())
    except HotSyncError as error:
        return replace(found, stale=error.sentence)


def _listening(here: Iterable[Card], theirs: Iterable[Card]) -> tuple[Card, ...]:
    """Return this server's cards with which of the MASTER's addresses and gateways answer on their wires."""
    asked = tuple(dict.fromkeys(address for card in theirs for address in card.living))
    cards = tuple(here)
    heard = live.heard([card.name for card in cards if card.link], asked, SECONDS)
    return tuple(replace(card, living=on_its_wire(heard.get(card.name, {}), theirs)) for card in cards)
