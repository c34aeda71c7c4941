"""Which of this server's cards takes the place of which of the MASTER's: proposed, each with its reason. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Mapping, Sequence

from hotsync.model.facts import InterfaceFact, NetworkFacts
from hotsync.model.network.cards import Card, Proposed, is_card
from hotsync.model.network.links import Vlan
from hotsync.model.network.rename import top_of
from hotsync.model.network.values import Interface, NetworkState, is_name

_Fit = Callable[[Card, Card], str]
"""Given a card of the MASTER's and one of this server's, return why they belong together, "" if they do not."""


def master_cards(state: NetworkState, told: NetworkFacts) -> tuple[Card, ...]:
    """Given the MASTER's configured network, its cards named plainly, and the one in use, return its cards."""
    facts = {each.name: each for each in told.interfaces}
    named = [each.name for each in state.interfaces if each.link is None and is_name(each.name)]
    parents = [each.link.parent for each in state.interfaces if isinstance(each.link, Vlan)]
    names = dict.fromkeys(name for name in (*named, *parents) if name and name != "lo" and ":" not in name)
    cards = [name for name in names if name not in state.made and (name not in facts or is_card(facts[name]))]
    # what is configured and not plugged in serves nobody there, either
    return tuple(_master_card(name, state, told, there=name in facts or not facts) for name in cards)


def _master_card(name: str, state: NetworkState, told: NetworkFacts, *, there: bool) -> Card:
    top = top_of(state, name)  # what a port is part of is what is on its wire
    mine = [each for each in state.interfaces if each.name in (name, top)]
    addresses = [str(address) for each in mine for address in each.addresses]
    facts = {each.name: each for each in told.interfaces}
    for each in (facts[one] for one in dict.fromkeys((name, top)) if one in facts):
        addresses += [f"{address.address}/{address.prefix}" for address in each.addresses]
    gateways = [gateway.address for each in mine for gateway in each.gateways]
    gateways += [route.gateway for route in told.routes if route.interface in (name, top) and route.gateway]
    fact = facts.get(name, InterfaceFact(name))
    # a command may have given it a fixed one, which no file says
    given = any(not each.dynamic and not ipaddress.ip_address(each.address).is_link_local for each in fact.addresses)
    children = any(isinstance(each.link, Vlan) and each.link.parent == name for each in state.interfaces)
    told_of = (*(address.partition("/")[0] for address in addresses), *gateways)
    # a link-local one may be on every wire, as a router's often is
    living = (address for address in told_of if not ipaddress.ip_address(address).is_link_local)
    return Card(
        name,
        fact.mac.lower(),
        fact.up,
        fact.speed,
        networks_of(addresses),
        tuple(dict.fromkeys(living)),
        used=there and (children or given or any(_is_used(each) for each in state.interfaces if each.name == name)),
    )


def _is_used(interface: Interface) -> bool:
    return bool(interface.addresses or interface.dhcp4 or interface.dhcp6 or interface.master or interface.accept_ra)


def networks_of(addresses: Iterable[str]) -> tuple[str, ...]:
    """Given addresses with their length, return the networks that they are in, without those of one host."""
    found = (ipaddress.ip_interface(address).network for address in addresses)
    return tuple(dict.fromkeys(str(network) for network in found if network.num_addresses > 1))


def on_its_wire(answers: Mapping[str, str], theirs: Iterable[Card]) -> tuple[str, ...]:
    """Given who answered on a wire (address -> hardware address), return the addresses that are on that wire.

    A Linux server answers on every wire for all of its addresses: of the MASTER's own ones only the answer of the very
    card counts that has the address.
    """
    owner = {address: card.mac for card in theirs for address in card.living}
    macs = {card.mac for card in theirs if card.mac}
    return tuple(address for address, mac in answers.items() if mac not in macs or mac == owner.get(address))


def propose(theirs: Sequence[Card], here: Sequence[Card]) -> tuple[Proposed, ...]:
    """Given the MASTER's cards and this server's, return for each of the MASTER's what is proposed, and why.

    The surest sign decides first: the very card, the wire, the name, the speed; what is left of both is paired in
    order, those with a link first. No card of this server is proposed twice.
    """
    found: dict[str, tuple[str, str]] = {}
    signs: tuple[_Fit, ...] = (_same_card, _answered, _same_network, _same_name, _same_speed)
    for fits in signs:
        _pair(theirs, here, fits, found)
    left = [card for card in here if card.name not in {new for new, _ in found.values()}]
    left.sort(key=lambda card: not card.link)
    for card in sorted((each for each in theirs if each.name not in found), key=lambda each: not each.used):
        if card.used and left:
            found[card.name] = (left.pop(0).name, "what is left: nothing else speaks for it")
    none = ("", "this server has no further card")
    return tuple(Proposed(card.name, *found.get(card.name, none), used=card.used) for card in theirs)


def crossed(theirs: Sequence[Card], here: Sequence[Card]) -> tuple[Proposed, ...]:
    """Return the MASTER's cards whose wire seems to be that of another card here than the one of the same name.

    Only what was heard or is configured counts, and only where nothing of that speaks for the same name: two servers
    always have other hardware addresses, and a wire on which nobody answers says nothing.
    """
    found: dict[str, tuple[str, str]] = {}
    signs: tuple[_Fit, ...] = (_answered, _same_network)
    for fits in signs:
        _pair(theirs, here, fits, found)
    names = {card.name for card in here}
    asked = [card.name for card in theirs if card.used and card.name in names and card.name in found]
    return tuple(Proposed(name, *found[name]) for name in asked if found[name][0] != name)


def _pair(theirs: Sequence[Card], here: Sequence[Card], fits: _Fit, found: dict[str, tuple[str, str]]) -> None:
    """Add the pairs that one sign makes among the cards that have none; of several that fit those of one name first."""
    for same_name in (True, False):
        for card in theirs:
            taken = {new for new, _ in found.values()}
            if card.name in found:
                continue
            for other in here:
                reason = fits(card, other) if other.name not in taken else ""
                if reason and (not same_name or other.name == card.name):
                    found[card.name] = (other.name, reason)
                    break


def _same_card(card: Card, other: Card) -> str:
    return f"it is the MASTER's card ({card.mac})" if card.mac and card.mac == other.mac else ""


def _answered(card: Card, other: Card) -> str:
    both = [address for address in card.living if address in other.living]
    return f"{both[0]} answers on its wire" if both else ""


def _same_network(card: Card, other: Card) -> str:
    both = [network for network in card.networks if network in other.networks]
    return f"it is in the network {both[0]}" if both else ""


def _same_name(card: Card, other: Card) -> str:
    return "it has the same name" if card.name == other.name else ""


def _same_speed(card: Card, other: Card) -> str:
    same = card.speed > 0 and card.speed == other.speed and card.link == other.link
    return f"it has the same speed ({card.speed} Mbit/s)" if same else ""
