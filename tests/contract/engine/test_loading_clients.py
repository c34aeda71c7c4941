"""Clients while databases are loaded, where this host cannot keep them out."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from hotsync.engine.promotion.network import PromotionNetwork
from hotsync.state import promotion as document
from hotsync.system import command
from hotsync.system.paths import Paths
from tests.fakes.host import World

pytestmark = pytest.mark.contract


def test_without_nftables_a_promotion_goes_on_and_its_report_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = Paths(tmp_path)
    paths.state.mkdir(parents=True)
    promotion = World().offered()
    document.save_promotion(paths, promotion)
    monkeypatch.setitem(command.ENVIRONMENT, "PATH", str(tmp_path))  # no nft, no ss
    network = PromotionNetwork(paths, lambda: promotion, partial(document.add_note, paths))
    for _ in range(2):
        network.hold_clients()
    network.admit_clients()
    saved = document.load_promotion(paths)
    assert saved is not None
    assert len(saved.notes) == 1
    assert "could reach the database servers" in saved.notes[0]
