"""Which network a promotion gives this server: the answer, or what was confirmed, or the MASTER's as it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from hotsync.backends.network import addresses as live
from hotsync.backends.network.detect import network_system
from hotsync.engine.network.writing import own_names, writer, written
from hotsync.engine.promotion.host import PromotionParts
from hotsync.errors import ConfigError, NotPromotable
from hotsync.flows import promote_look as look
from hotsync.flows.network_cards import CardsFacts, Crossing, listening, read_cards
from hotsync.model.facts import NetworkFacts
from hotsync.model.network.cards import Pairs, complete, is_same, shown
from hotsync.model.network.values import NetworkState, is_made_by_programs
from hotsync.model.promotion import ETC, NetworkChoice, NetworkPlan
from hotsync.planning.addresses import plan_network
from hotsync.planning.preflight import NetworkFound

_KEEP = "Run hotsync-promote --network 3 to keep this server's network, and set it up by hand."


@dataclass(frozen=True, slots=True)
class NetworkView:
    """What a promotion would make of this server's network, and what was found out about that."""

    plan: NetworkPlan
    found: NetworkFound
    crossing: Callable[[], Crossing] = Crossing

    def heard(self) -> NetworkFound:
        """Return what was found out, with what the wires say of the cards; wait for that."""
        crossing = self.crossing()
        if not crossing.cards:
            return self.found
        said = (f"the MASTER's {each.card} seems to be {each.here} here: {each.reason}" for each in crossing.cards)
        used = [each for each in crossing.proposal if each.used]
        return replace(
            self.found,
            crossed=tuple(said),
            proposal=shown(tuple((each.card, each.here) for each in used)),
            same=shown(tuple((each.card, each.card) for each in used)),
        )


def plan_for(parts: PromotionParts, choice: NetworkChoice | None, pairs: Pairs, *, asked: bool) -> NetworkView:
    """Given the answer about the network (None: none was given) and the pairs of cards, return what comes of it.

    Raise NotPromotable where a mapping is asked for and cannot be had, ConfigError where it has faults.
    """
    ground = parts.ground
    network, fault = look.master_network(ground.tree / ETC)
    cards = read_cards(ground)
    choice, pairs = _decide(choice, pairs, cards)
    plan = _mapped(parts, network, pairs) if choice is NetworkChoice.MAPPED else _unmapped(parts, choice, network)
    if choice.takes_addresses:
        plan = replace(plan, own_names=own_names(parts.paths.at("/etc"), cards.here))
    missing = look.cards_missing(plan, network)
    if choice is NetworkChoice.MASTERS:
        missing |= {card.name for card in cards.theirs if card.used and card.name not in cards.names}
    lent = {address.interface for address in plan.leases}
    found = NetworkFound(
        choice,
        fault,
        known=bool(plan.addresses),
        missing=tuple(sorted(missing)),
        dhcp=tuple(name for name in network.uses_dhcp if name not in lent) if network else (),
        leases=tuple(f"{address} of {address.interface}" for address in plan.leases),
        proposal=_proposal(cards) if missing and choice is NetworkChoice.MASTERS else "",
        mapping=", ".join(f"{old} -> {new or 'none'}" for old, new in plan.pairs),
        stale=cards.stale,
        asked=asked,
        standby_lacking=_standby_lacking(plan),
    )
    listens = choice is NetworkChoice.MASTERS and not missing
    return NetworkView(plan, found, listening(cards) if listens else Crossing)


def _standby_lacking(plan: NetworkPlan) -> str:
    """Return why this server would keep no address of its own, "" if it does: one that was lent is nobody's to keep."""
    if not plan.choice.takes_addresses or plan.standby:
        return ""
    here = live.read_addresses(without_routers=True)
    lent = [address.address for address in here if not is_made_by_programs(address.interface)]
    return f"its own ({', '.join(lent)}) was lent by DHCP, or is the MASTER's" if lent else "it has none"


def _decide(choice: NetworkChoice | None, pairs: Pairs, cards: CardsFacts) -> tuple[NetworkChoice, Pairs]:
    """Return the choice, with the pairs where it is that of a mapping."""
    if pairs or choice is NetworkChoice.MAPPED:
        if cards.fault:
            raise NotPromotable(reason=f"the MASTER's network cards are not known ({cards.fault})", hint=_KEEP)
        if not pairs and not cards.confirmed:
            raise NotPromotable(
                reason="nobody said which of its network cards takes the place of which of the MASTER's",
                hint=f"Say it: hotsync-promote {_proposal(cards) or '--map OLD=NEW'}",
            )
        return NetworkChoice.MAPPED, complete(pairs, cards.theirs, cards.names) if pairs else cards.confirmed
    if choice is None and cards.confirmed and not is_same(cards.confirmed):
        return NetworkChoice.MAPPED, cards.confirmed
    return choice or NetworkChoice.MASTERS, ()


def _mapped(parts: PromotionParts, network: NetworkState | None, pairs: Pairs) -> NetworkPlan:
    told, tree_etc, own_etc = parts.ground.master.network, parts.ground.tree / ETC, parts.paths.at("/etc")
    own = live.read_addresses(fixed_only=True)
    try:
        plan = plan_network(NetworkChoice.MAPPED, network, told, own, pairs)
        system, is_own = writer(tree_etc, own_etc)
        plan = replace(plan, system=system, own_system=is_own)
        written(tree_etc, own_etc, plan)  # tried now: after the claim it would be too late to say no
    except ConfigError as error:
        raise NotPromotable(reason=error.sentence, hint=_KEEP) from error
    return plan


def _unmapped(parts: PromotionParts, choice: NetworkChoice, network: NetworkState | None) -> NetworkPlan:
    told, tree_etc = parts.ground.master.network, parts.ground.tree / ETC
    own = live.read_addresses(fixed_only=True)
    plan = plan_network(choice, network, told, own)
    if not plan.leases:
        return plan
    try:
        system = network_system(tree_etc)
        plan = replace(plan, system=system.name if system else "")
        written(tree_etc, tree_etc, plan)
    except ConfigError:
        return plan_network(choice, network, _without_leases(told), own)  # its files stay as they are, and ask again
    return plan


def _without_leases(told: NetworkFacts) -> NetworkFacts:
    kept = (
        replace(each, addresses=tuple(one for one in each.addresses if not one.dynamic)) for each in told.interfaces
    )
    return replace(told, interfaces=tuple(kept))


def _proposal(cards: CardsFacts) -> str:
    """Return the options that say what is proposed, "" where the MASTER's cards are not known."""
    return shown(tuple((each.card, each.here) for each in cards.proposal() if each.used))
