"""What the unit of a promotion writes down, without a host behind it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from hotsync.errors import HandOverFailed, StepFailed
from hotsync.flows import promote as flow
from hotsync.flows.promote_answers import Answers
from hotsync.model.identity import Role, RoleRecord
from hotsync.model.plan import Outcome, Phase, StepRecord
from hotsync.model.promotion import NetworkPlan, Promotion, PromotionFacts
from hotsync.state.promotion import load_promotion, save_promotion
from hotsync.state.store import save_role
from hotsync.system.clock import SystemClock
from hotsync.system.paths import Paths


class LateClaim:
    """A claim that comes too late."""

    key, title, phase = "role.claim:5", "claim epoch 5", Phase.CLAIM

    def apply(self, _host: object) -> None:
        raise HandOverFailed(reason="it waited as long as it may for the claim")


def test_a_claim_that_fails_is_no_step_of_an_earlier_promotion(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = Paths(tmp_path)
    paths.state.mkdir(parents=True)
    save_role(paths, RoleRecord(Role.SLAVE, 4))
    done = StepRecord("role.claim:3", "claim epoch 3", Phase.CLAIM.value, 1.0, 2.0, Outcome.DONE)
    before = Promotion(3, 7, "d", 1.0, 1.0, 1.0, NetworkPlan(), (), records=(done,), finished_at=3.0)
    save_promotion(paths, before)
    facts = PromotionFacts(RoleRecord(Role.SLAVE, 4), replace(before, epoch=5, records=(), finished_at=0.0))
    monkeypatch.setattr(flow, "end_slave_run", lambda *_: ())
    monkeypatch.setattr(flow, "prospect", lambda *_: flow.Prospect(facts, (LateClaim(),), (), resumed=False))
    monkeypatch.setattr("hotsync.flows.promote.promotion_host.build", lambda *_: SimpleNamespace(host=None))
    with pytest.raises(StepFailed, match="claim epoch 5"):
        flow.run(paths, Answers(), lambda *_: None, SystemClock(), lambda _: None)
    assert load_promotion(paths) == before
