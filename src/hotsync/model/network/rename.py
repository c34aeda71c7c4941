"""A network with its cards under other names: all at once, so that two may change places.

Only cards get other names. Bonds and bridges keep theirs, and so do VLANs, but those that are called after their card
(`eth0.5`): where that would be too long, they have their number's alone (`vlan5`).
"""

from __future__ import annotations

import fnmatch
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace

from hotsync.errors import ConfigError
from hotsync.model.network.cards import Pairs
from hotsync.model.network.links import Bond, Vlan
from hotsync.model.network.values import Address, Interface, NetworkState, is_name

_ID = "its id"
_LONGEST = 15
"""As many signs as the kernel takes for the name of an interface."""

_OF_ONE_CARD = frozenset((
    "set-name", "[connection] id", "[connection] uuid",
    "Match.Type", "Match.Kind", "Match.Driver", "Match.Path", "Match.PermanentMACAddress",
))  # fmt: skip
"""Options by which a file finds one machine's card, or names it: they say nothing of another machine's."""

_IN_PATHS = r"/(?:net|conf|neigh)/|\.(?:conf|neigh)\."
"""Before the name of an interface in a path of /proc and /sys, or in the name of a kernel setting."""


def resolved(state: NetworkState, cards: Iterable[tuple[str, str]]) -> NetworkState:
    """Given what files say and the MASTER's cards (hardware address, name), return it with each card by its name.

    What is said of a pattern is said of each card that it fits and that nothing before it named. Raise ConfigError
    for a card that is not known.
    """
    known = {mac.lower(): name for mac, name in cards if mac}
    plain = {each.name for each in state.interfaces if is_name(each.name)}
    named = {known.get(each.mac, "") for each in state.interfaces if each.mac} | plain
    found: list[Interface] = []
    for interface in state.interfaces:
        if interface.link is not None or (is_name(interface.name) and not interface.mac):
            found.append(interface)
        elif interface.mac:
            name = interface.name if is_name(interface.name) else known.get(interface.mac, "")
            if not name:
                raise ConfigError(document=interface.mac, faults="no card of the MASTER is known by this address")
            found.append(_with_name(interface, name))
        else:
            fitting = [name for name in known.values() if name not in named and _fits(name, interface.name)]
            named.update(fitting)
            found += [_with_name(interface, name) for name in fitting]
            found += [] if fitting else [interface]
    ids = {
        json.loads(dict(each.options)[_ID]): each for each in state.interfaces if each.mac and _ID in dict(each.options)
    }
    table = {key: known.get(each.mac, each.name) for key, each in ids.items()}
    return NetworkState(tuple(replace(each, options=_in_options(each, table)) for each in found))


def renamed(state: NetworkState, pairs: Pairs) -> NetworkState:
    """Given a state whose cards are named plainly, return it with the cards of each pair called as the second.

    A card without a second is left out, with the VLANs on it. Raise ConfigError if two interfaces had one name then.
    """
    table = names_after(state, pairs)
    gone = {old for old, new in table.items() if not new}
    kept = [each for each in state.interfaces if each.name not in gone]
    found = tuple(_renamed(each, table, gone) for each in kept)
    names = [each.name for each in found if each.name]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice and len({each.name for each in kept}) == len(kept):
        raise ConfigError(document="The mapping of network cards", faults=f"two interfaces would be {', '.join(twice)}")
    return NetworkState(found)


def names_after(state: NetworkState, pairs: Pairs) -> dict[str, str]:
    """Given a state and pairs, return the new name of each interface that gets one: cards, their aliases, and VLANs
    that are called after them ("": left out)."""
    table = dict(pairs)
    for each in state.interfaces:
        card, colon, label = each.name.partition(":")
        if colon and card in table:
            table[each.name] = f"{table[card]}:{label}" if table[card] else ""
    vlans = {each.name: each.link for each in state.interfaces if isinstance(each.link, Vlan)}
    for _ in vlans:  # one may stand on another
        for name, link in vlans.items():
            parent = table.get(link.parent, link.parent)
            if not parent or name == f"{link.parent}.{link.number}":
                table[name] = _vlan_name(parent, link.number) if parent else ""
    return table


def _vlan_name(parent: str, number: int) -> str:
    """Return what a VLAN is called after its card, after its number alone where that is more than the kernel takes."""
    return name if len(name := f"{parent}.{number}") <= _LONGEST else f"vlan{number}"


def _renamed(interface: Interface, table: Mapping[str, str], gone: set[str]) -> Interface:
    name = table.get(interface.name, interface.name)
    link = interface.link
    if isinstance(link, Vlan):
        link = replace(link, parent=table.get(link.parent, link.parent))
    elif isinstance(link, Bond):
        ports = (table.get(port, port) for port in link.primary.split() if port not in gone)
        link = replace(link, primary=" ".join(ports))
    return replace(
        interface,
        name=name,
        addresses=tuple(replace(each, interface=name) for each in interface.addresses),
        gateways=tuple(replace(each, interface=name) for each in interface.gateways),
        master=table.get(interface.master, interface.master),
        link=link,
        options=_in_options(_of_any_card(interface) if interface.name in table else interface, table),
    )


def _in_options(interface: Interface, table: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple((key, in_words(value, table)) for key, value in interface.options)


def _of_any_card(interface: Interface) -> Interface:
    kept = (option for option in interface.options if interface.link is not None or option[0] not in _OF_ONE_CARD)
    return replace(interface, options=tuple(kept))


def in_words(text: str, table: Mapping[str, str]) -> str:
    """Given a command or value, return it with every interface that it names as a word under its other name."""
    names = sorted((old for old, new in table.items() if new and old != new), key=len, reverse=True)
    if not names:
        return text
    any_name = "|".join(map(re.escape, names))
    word = rf"(?<![\w./-])({any_name})(?![\w.-])|({_IN_PATHS})({any_name})(?=[/.\s]|$)"
    return re.sub(word, lambda found: table[found[1]] if found[1] else found[2] + table[found[3]], text)


def with_standby(state: NetworkState, standby: Iterable[Address]) -> NetworkState:
    """Given further addresses, return the state with each on its interface, after those that are there."""
    interfaces = list(state.interfaces)
    for address in standby:
        place = next((at for at, each in enumerate(interfaces) if each.name == address.interface), None)
        if place is None:
            interfaces.append(Interface(address.interface, addresses=(address,)))
        elif address not in interfaces[place].addresses:
            interfaces[place] = replace(interfaces[place], addresses=(*interfaces[place].addresses, address))
    return NetworkState(tuple(interfaces))


def options_without(interface: Interface, gone: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """Return the interface's options without those that its file says of one of these addresses alone (their key ends
    with it)."""
    names = set(gone)
    return tuple(option for option in interface.options if option[0].rpartition(" ")[2] not in names)


def without_addresses(state: NetworkState, gone: Iterable[Address]) -> NetworkState:
    """Given addresses, return the state without them, on whatever interface they are."""
    names = {address.address for address in gone}
    return NetworkState(
        tuple(
            replace(
                each,
                addresses=tuple(address for address in each.addresses if address.address not in names),
                options=options_without(each, names),
            )
            for each in state.interfaces
        )
    )


def top_of(state: NetworkState, name: str) -> str:
    """Given an interface, return the bridge or bond that it ends up in, itself if it is a port of none."""
    masters = {each.name: each.master for each in state.interfaces}
    for _ in state.interfaces:
        name = masters.get(name) or name
    return name


def _with_name(interface: Interface, name: str) -> Interface:
    return replace(
        _of_any_card(interface),
        name=name,
        mac="",
        addresses=tuple(replace(each, interface=name) for each in interface.addresses),
        gateways=tuple(replace(each, interface=name) for each in interface.gateways),
        options=tuple(each for each in _of_any_card(interface).options if each[0] != _ID),
    )


def _fits(name: str, patterns: str) -> bool:
    """Return whether a name fits one of networkd's patterns; a `!` before the first turns all of them round."""
    words = patterns.removeprefix("!").split()
    return any(fnmatch.fnmatchcase(name, word) for word in words) != patterns.startswith("!")
