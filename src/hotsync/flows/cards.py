"""Which of this SLAVE's network cards takes the place of which of the MASTER's, confirmed before it is needed."""

from __future__ import annotations

from hotsync.engine.promotion.ground import Ground
from hotsync.engine.promotion.master_facts import read_told
from hotsync.errors import NotReady
from hotsync.flows.network_cards import CardsFacts, read_cards
from hotsync.model.network.cards import Pairs, complete
from hotsync.state.cards import save_pairs
from hotsync.system.paths import Paths


def cards_of(paths: Paths) -> CardsFacts:
    """Return the cards of both servers; raise NotReady if those of the MASTER are not known."""
    found = read_cards(Ground(paths))
    if found.fault or not read_told(paths).network.interfaces:
        raise NotReady(
            reason=f"the MASTER's network cards are not known ({found.fault or 'it has told none'})",
            hint="Run hotsync on the MASTER; where its network is not understood, set the SLAVE's up by hand.",
        )
    return found


def is_open(paths: Paths) -> bool:
    """Return whether the cards of both servers have other names, or are on other wires than their names say, and nobody
    said which is which."""
    found = read_cards(Ground(paths))
    return bool(found.theirs) and not found.confirmed and (not found.fit or bool(found.crossing().cards))


def confirm(paths: Paths, pairs: Pairs) -> Pairs:
    """Keep these pairs for a promotion and return them all; raise ConfigError with every fault."""
    found = cards_of(paths)
    whole = complete(pairs, found.theirs, found.names)
    save_pairs(paths, whole)
    return whole
