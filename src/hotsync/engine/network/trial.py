"""The network's files that a promotion brings are on trial until somebody answers with them (see `coming_back`)."""

from __future__ import annotations

from pathlib import Path

from hotsync.engine.network.swap import digests
from hotsync.model.network.trial import NetworkTrial
from hotsync.model.promotion import Promotion
from hotsync.state import promotion as document
from hotsync.state.network_trial import drop_trial, load_trial, save_trial
from hotsync.system.paths import Paths
from hotsync.system.trees import inode, remove


def begin(paths: Paths, promotion: Promotion, prepared: Path) -> None:
    """Given the prepared /etc that is about to be exchanged, write down what its network's files say."""
    if not promotion.network.choice.takes_addresses:
        drop_trial(paths)
    elif inode(prepared) == promotion.etc_inode:
        save_trial(paths, NetworkTrial(promotion.epoch, digests(prepared)))


def end(paths: Paths) -> None:
    """Somebody answered, or a person said so: the files that are in /etc now are not on trial any more.

    Where this server's own came back for good, what is known of that stays.
    """
    promotion = document.load_promotion(paths)
    trial = load_trial(paths, promotion.epoch) if promotion is not None else None
    if promotion is not None and trial is not None and trial.back is None:
        drop_trial(paths)
        remove(kept_place(paths, promotion))


def kept_place(paths: Paths, promotion: Promotion) -> Path:
    """Return where the network's files that a promotion brought are kept once they have left /etc."""
    return paths.state / "network-files" / f"promotion-{promotion.epoch}"
