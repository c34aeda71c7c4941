"""What the administrator said before a promotion; the command leaves it for the unit."""

from __future__ import annotations

from dataclasses import dataclass

from hotsync.model.handover import Handed
from hotsync.model.network.cards import Pairs
from hotsync.model.promotion import Back, NetworkChoice


@dataclass(frozen=True, slots=True)
class Answers:
    """What the administrator said beforehand; no network choice means: as it was confirmed, or the MASTER's, if it
    fits. `pairs` map network cards; `undecided`: the question about the network is still to be asked. `generation`: it
    must be this one, which was made for the promotion (0: the newest), of an older one (`back`). `typed`: a person
    typed that the MASTER, which still answers, cannot serve. `planned`: the MASTER hands over first; `handed` is what
    it handed over. `notes` are for the report. `undo`: the promotion is to be undone. `without`: what cannot be loaded
    and is left out, as in Promotion."""

    network: NetworkChoice | None = None
    force: bool = False
    pairs: Pairs = ()
    undecided: bool = False
    generation: int = 0
    typed: bool = False
    planned: bool = False
    handed: Handed | None = None
    undo: bool = False
    back: Back | None = None
    notes: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
