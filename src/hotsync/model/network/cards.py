"""Network cards of two servers, and which of this server's takes the place of which of the MASTER's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from hotsync.errors import ConfigError, UsageError
from hotsync.model.facts import InterfaceFact

NONE = "none"
"""What a person says for: no card of this server takes its place."""

_KINDS = ("", "veth")
"""What the kernel calls a card; in a container that is the end of a cable."""

CABLES_OF_CONTAINERS = ("veth", "vb-")
"""How the programs of containers call this end of their cables; a server that is a container has a veth for a card."""

Pairs = tuple[tuple[str, str], ...]
"""The MASTER's card and this server's in its place ("": none)."""


@dataclass(frozen=True, slots=True)
class Card:
    """One network card as far as it tells which wire it is on.

    `networks` are those that are on its wire. `living` are addresses on its wire: of the MASTER's card those that it
    has or sends through, of this server's those that answered. `used`: the MASTER's configuration needs it.
    """

    name: str
    mac: str = ""
    link: bool = False
    speed: int = 0
    networks: tuple[str, ...] = ()
    living: tuple[str, ...] = ()
    used: bool = True


@dataclass(frozen=True, slots=True)
class Proposed:
    """A card of the MASTER's, the one of this server's that is proposed for it ("": none), and why."""

    card: str
    here: str
    reason: str
    used: bool = True


def is_card(interface: InterfaceFact) -> bool:
    """Given an interface as the kernel shows it, return whether it is plugged in, not made."""
    return interface.kind in _KINDS and bool(interface.mac)


def parse_pairs(texts: Iterable[str]) -> Pairs:
    """Given what a person typed as OLD=NEW, return it as pairs; raise UsageError at one that is none."""
    pairs: list[tuple[str, str]] = []
    for text in texts:
        old, equals, new = text.partition("=")
        if not (old and equals and new):
            raise UsageError(
                reason=f"{text!r} names no pair of network cards",
                hint="Say the MASTER's card and this server's: --map eth0=enp3s0; --map eth1=none leaves one out.",
            )
        pairs.append((old, "" if new == NONE else new))
    return tuple(pairs)


def complete(pairs: Pairs, theirs: Iterable[Card], here: Iterable[str]) -> Pairs:
    """Given pairs, the MASTER's cards and the names of this server's, return a pair for each of the MASTER's cards.

    A card that is not named stays what it is called if this server has one of that name which is nobody else's; one
    that nothing needs may be left out. Raise ConfigError with every fault.
    """
    cards, names = {card.name: card for card in theirs}, frozenset(here)
    said = dict(pairs)
    faults = [f"{old} is no card that the MASTER's network uses" for old in said if old not in cards]
    faults += [
        f"{new} is no network card of this server" for new in dict.fromkeys(said.values()) if new not in {"", *names}
    ]
    faults += [f"{old} is named twice" for old in _twice(old for old, _ in pairs)]
    faults += [f"{new} is to take the place of two cards" for new in _twice(new for _, new in pairs if new)]
    taken = frozenset(said.values())
    for card in cards.values():
        if card.name in said:
            continue
        stays = card.name in names and card.name not in taken
        said[card.name] = card.name if stays else ""
        if card.used and not stays:
            faults.append(
                f"no card of this server takes the place of {card.name} (--map {card.name}=none leaves it out)"
            )
    if faults:
        hint = (
            "Name each card of the MASTER's once: hotsync-promote --map OLD=NEW. `ip link` shows those of this server."
        )
        raise ConfigError(document="The mapping of network cards", faults="; ".join(faults), hint=hint)
    return tuple((name, said[name]) for name in cards)


def is_same(pairs: Pairs) -> bool:
    """Given pairs, return whether every card keeps its name."""
    return all(old == new for old, new in pairs)


def shown(pairs: Pairs) -> str:
    """Given pairs, return them as the options of a command."""
    return " ".join(f"--map {old}={new or NONE}" for old, new in pairs)


def _twice(names: Iterable[str]) -> list[str]:
    return [name for name, times in Counter(names).items() if times > 1]
