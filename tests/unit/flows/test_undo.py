"""What can be undone, what is said while it goes on, and that nothing of production starts meanwhile."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest

from hotsync.errors import NotReady, Refused, WrongRole
from hotsync.flows import promote
from hotsync.flows.promote import unfinished_sentence
from hotsync.flows.promote_answers import Answers
from hotsync.flows.undo import read_facts
from hotsync.flows.undoing import undo_sentence
from hotsync.manifest.store import Manifest
from hotsync.model.hold import Hold
from hotsync.model.identity import Peer, Role, RoleRecord
from hotsync.model.promotion import NetworkPlan, Promotion
from hotsync.model.undo import Undo
from hotsync.replica.reopen import LIVE, STATE
from hotsync.state import leaving, store
from hotsync.state import promotion as document
from hotsync.state.configdb import configuration, ensure_records
from hotsync.state.hold import save_hold
from hotsync.state.undo import kept_folder, save_undo
from hotsync.system.paths import Paths
from tests.fakes.clock import TickingClock
from tests.support.system_log import KeptLog

PROMOTION = Promotion(4, 7, "d" * 64, 1.0, 1.0, 1.0, NetworkPlan(), (), finished_at=9.0)


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Paths:
    """A server that was promoted."""
    monkeypatch.setattr("hotsync.state.configdb.SystemLog", KeptLog([]).made)
    paths = Paths(tmp_path)
    paths.databases.mkdir(parents=True)
    ensure_records(paths)
    store.save_role(paths, RoleRecord(Role.MASTER, 4))
    store.save_peer(paths, Peer("master", "192.0.2.10", "f" * 64, ""))
    document.save_promotion(paths, PROMOTION)
    with Manifest(paths.manifest) as manifest, manifest.transaction():
        manifest.set_generation(7, "d" * 64)
        manifest.set_meta(STATE, LIVE)
    return paths


def test_a_promoted_server_can_be_undone_and_its_master_is_where_it_was_paired(paths: Paths) -> None:
    facts = read_facts(paths, TickingClock())
    assert (facts.begun, facts.tree_live, facts.undo.epoch, facts.undo.was_master) == (False, True, 4, True)
    assert facts.undo.master_host == "192.0.2.10"


def test_a_promotion_that_is_not_finished_can_be_given_up(paths: Paths) -> None:
    store.save_role(paths, RoleRecord(Role.SLAVE, 3, claim=4))
    configuration(paths).set_props("hotsync", {"MasterHost": "192.0.2.1"})
    document.save_promotion(paths, replace(PROMOTION, finished_at=0.0))
    facts = read_facts(paths, TickingClock())
    assert (facts.undo.was_master, facts.undo.served, facts.undo.master_host) == (False, 0.0, "192.0.2.1")


@pytest.mark.parametrize(
    ("role", "error", "said"),
    [
        (RoleRecord(), WrongRole, "not configured"),
        (RoleRecord(Role.SLAVE, 3), WrongRole, "SLAVE"),
        (RoleRecord(Role.MASTER, 9), Refused, "was not promoted"),
    ],
)
def test_where_there_is_no_promotion_it_says_so(
    paths: Paths, role: RoleRecord, error: type[Exception], said: str
) -> None:
    store.save_role(paths, role)
    with pytest.raises(error, match=said):
        read_facts(paths, TickingClock())


def test_a_server_that_has_a_slave_meanwhile_is_told_of_the_switchover(paths: Paths) -> None:
    configuration(paths).set_props("hotsync", {"SlaveHost": "192.0.2.30"})
    with pytest.raises(Refused, match="a SLAVE has joined") as raised:
        read_facts(paths, TickingClock())
    assert "switchover" in raised.value.hint
    configuration(paths).set_props("hotsync", {"SlaveHost": ""})
    with Manifest(paths.manifest) as manifest, manifest.transaction():
        manifest.set_generation(8, "e" * 64)
    with pytest.raises(Refused, match="a SLAVE has joined"):
        read_facts(paths, TickingClock())


@pytest.mark.parametrize(
    ("written", "refused"), [(b'{"epoch": 4, "at": 1.0}', True), (b"{", True), (b'{"epoch": 2, "at": 1.0}', False)]
)
def test_a_server_whose_old_master_moves_its_data_is_not_undone(paths: Paths, written: bytes, refused: bool) -> None:
    leaving.document_path(paths).write_bytes(written)
    with pytest.raises(Refused, match="could not serve again") if refused else nullcontext():
        read_facts(paths, TickingClock())
    document.save_promotion(paths, replace(PROMOTION, finished_at=0.0))
    read_facts(paths, TickingClock())  # one that is not finished has no SLAVE to come


def test_a_server_that_holds_itself_gives_nothing_up(paths: Paths) -> None:
    save_hold(paths, Hold(6, 1.0))
    with pytest.raises(Refused, match="holds itself"):
        read_facts(paths, TickingClock())


def test_while_it_goes_on_nothing_gives_the_production_flag_and_no_promotion_begins(paths: Paths) -> None:
    save_undo(paths, Undo(4, 7, 1.0, was_master=True))
    store.set_production(paths, True)
    assert not paths.production_flag.exists()
    assert "UNDONE" in undo_sentence(paths)
    assert unfinished_sentence(paths) == undo_sentence(paths)
    with pytest.raises(Refused, match="being undone"):
        promote.prospect(paths, Answers())
    save_undo(paths, Undo(4, 7, 1.0, was_master=True, finished_at=2.0))
    assert undo_sentence(paths) == ""
    store.set_production(paths, True)
    assert paths.production_flag.exists()


@pytest.mark.parametrize("text", [b"", b"{", b'{"schema": 9}', b'{"schema": 1, "epoch": "x"}'])
def test_an_undo_that_cannot_be_read_starts_no_production(paths: Paths, text: bytes) -> None:
    paths.undo_file.write_bytes(text)
    store.set_production(paths, True)
    assert not paths.production_flag.exists()
    assert "cannot be read" in undo_sentence(paths)


def test_an_undo_whose_promotion_was_put_away_goes_on_and_one_without_any_says_what_is_missing(paths: Paths) -> None:
    save_undo(paths, Undo(4, 7, 1.0, was_master=True))
    kept = kept_folder(paths, 4)
    kept.mkdir(parents=True)
    document.document_path(paths).rename(kept / "promotion.json")
    assert read_facts(paths, TickingClock()).promotion == PROMOTION
    (kept / "promotion.json").unlink()
    with pytest.raises(NotReady, match="document of the promotion"):
        read_facts(paths, TickingClock())
