"""The claim and the change of the role, on a real replica, cut before every write."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import pytest

from hotsync.backends import yum_plugin
from hotsync.backends.packages import apt
from hotsync.backends.production_units import permit_flag
from hotsync.engine.open_replica import open_replica
from hotsync.engine.promotion import roles as engine_roles
from hotsync.engine.promotion.roles import BOOT_UNIT, PromotionRoles, is_settled, settle_role
from hotsync.errors import NotReady, ReplicaClosed, StaleEpoch, WrongRole
from hotsync.flows import restored
from hotsync.flows.promote import unfinished_sentence
from hotsync.flows.promote_boot import at_boot
from hotsync.manifest.store import Manifest
from hotsync.model.fence import FenceResult, Tier
from hotsync.model.identity import Role, RoleRecord
from hotsync.model.promotion import NetworkPlan, Promotion
from hotsync.state import configdb, store
from hotsync.state import promotion as document
from hotsync.system import command, files
from hotsync.system.clock import SystemClock
from hotsync.system.paths import Paths
from tests.support.dying import Cut, dying_before

pytestmark = pytest.mark.contract

PROMOTION = Promotion(3, 7, "d" * 64, 1.0, 1.0, 1.0, NetworkPlan(), ())


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return slave(tmp_path)


def slave(root: Path) -> Paths:
    paths = Paths(root)
    paths.state.mkdir(parents=True)
    paths.at("/etc").mkdir()
    paths.at("/run").mkdir()
    configdb.ensure_records(paths)
    configdb.configuration(paths).set_props("hotsync", {"role": "slave", "MasterHost": "10.77.0.1"})
    store.save_role(paths, RoleRecord(Role.SLAVE, 2))
    with Manifest(paths.manifest) as manifest, manifest.transaction():
        manifest.set_generation(7, "d" * 64)
    return paths


def port(paths: Paths) -> PromotionRoles:
    return PromotionRoles(paths, SystemClock())


def test_a_claim_is_durable_keeps_the_role_and_closes_the_replica(paths: Paths) -> None:
    port(paths).claim(PROMOTION)
    role = store.load_role(paths)
    assert (role.role, role.epoch, role.claim) == (Role.SLAVE, 2, 3)
    assert document.unfinished_promotion(paths, role) == PROMOTION
    assert (paths.at("/etc/systemd/system/sysinit.target.wants") / BOOT_UNIT).is_symlink()
    replica = open_replica(paths, SystemClock())
    assert replica.closed
    with pytest.raises(ReplicaClosed):
        replica.begin(8, "d" * 64, paths.root / "none", 0)


def test_a_second_claim_of_the_same_epoch_is_refused(paths: Paths) -> None:
    port(paths).claim(PROMOTION)
    with pytest.raises(StaleEpoch):
        port(paths).claim(PROMOTION)


def test_a_master_cannot_claim(paths: Paths) -> None:
    store.save_role(paths, RoleRecord(Role.MASTER, 2))
    with pytest.raises(WrongRole):
        port(paths).claim(PROMOTION)


def test_a_generation_that_arrived_since_the_plan_stops_the_claim(paths: Paths) -> None:
    with Manifest(paths.manifest) as manifest, manifest.transaction():
        manifest.set_generation(8, "e" * 64)
    with pytest.raises(NotReady, match="generation 8"):
        port(paths).claim(PROMOTION)
    assert store.load_role(paths) == RoleRecord(Role.SLAVE, 2)
    assert document.load_promotion(paths) is None


def test_what_an_earlier_promotion_set_aside_is_kept_under_a_number(paths: Paths) -> None:
    (paths.state / "aside/home").mkdir(parents=True)
    (paths.state / "aside.1").mkdir()
    port(paths).claim(PROMOTION)
    assert (paths.state / "aside.2/home").is_dir()
    assert not (paths.state / "aside").exists()


def test_the_role_changes_in_one_write_and_what_follows_is_made_true(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_roles, "_arrange_units", lambda: None)
    port(paths).claim(PROMOTION)
    port(paths).become_master(3)
    assert store.load_role(paths).claim is None
    assert not paths.production_flag.exists()
    assert not is_settled(paths)
    assert "finish it" in unfinished_sentence(paths)
    port(paths).settle()
    port(paths).settle()
    assert is_settled(paths)
    props = configdb.configuration(paths).props(["hotsync"])["hotsync"]
    assert (props["role"], props["SlaveHost"], props["MasterHost"]) == ("master", "", "")
    port(paths).finish()
    assert unfinished_sentence(paths) == ""
    assert not (paths.at("/etc/systemd/system/sysinit.target.wants") / BOOT_UNIT).exists()


def test_a_slave_is_never_settled_as_master(paths: Paths) -> None:
    settle_role(paths)
    assert not paths.production_flag.exists()
    assert configdb.configuration(paths).props(["hotsync"])["hotsync"]["role"] == "slave"


def test_nethservers_yum_plugin_is_switched_on_again_with_the_role(paths: Paths) -> None:
    plugin = paths.at(yum_plugin.FILE)
    plugin.parent.mkdir(parents=True)
    plugin.write_bytes(b"[main]\nenabled = 1\n")
    assert yum_plugin.follow(paths, store.load_role(paths).role)
    settle_role(paths)
    assert not yum_plugin.is_on(plugin.read_bytes())
    port(paths).claim(PROMOTION)
    port(paths).become_master(3)
    settle_role(paths)
    assert plugin.read_bytes() == b"[main]\nenabled = 1\n"


def test_the_word_of_a_cut_install_that_nothing_may_start_goes_with_the_role_and_not_before(paths: Paths) -> None:
    policy = paths.at(apt.POLICY)
    policy.parent.mkdir(parents=True)
    policy.write_bytes(apt.POLICY_TEXT)
    settle_role(paths)
    assert policy.exists(), "on a SLAVE an install may be under way"
    port(paths).claim(PROMOTION)
    port(paths).become_master(3)
    settle_role(paths)
    assert not policy.exists()
    policy.write_text("#!/bin/sh\nexit 101\n")
    settle_role(paths)
    assert policy.exists(), "an administrator's own"


def test_a_boot_in_the_middle_says_so_and_permits_nothing(paths: Paths) -> None:
    port(paths).claim(PROMOTION)
    at_boot(paths)
    said = paths.at("/run/issue.d/hotsync.issue").read_text()
    assert "UNFINISHED" in said
    assert "hotsync-promote" in said
    assert not paths.production_flag.exists()
    assert not paths.at("/run/hotsync/promoting").exists()


def test_a_boot_before_the_master_of_a_switchover_has_confirmed_asks_it_again_and_later_ones_wait_for_a_person(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[str] = []

    def run(argv: list[str], **_: object) -> command.Completed:
        started.append(argv[-1])
        return command.Completed(0, b"", b"")

    monkeypatch.setattr("hotsync.flows.promote_boot.command.run", run)
    port(paths).claim(replace(PROMOTION, planned=True))
    at_boot(paths)
    assert started == ["hotsync-unfinished-mail.service", "hotsync-promote.service"]
    document.add_fence(paths, FenceResult(Tier.AGENT, True))
    at_boot(paths)
    assert started[2:] == ["hotsync-unfinished-mail.service"]


def test_a_boot_right_after_the_role_changed_lets_production_start(paths: Paths) -> None:
    port(paths).claim(PROMOTION)
    port(paths).become_master(3)
    at_boot(paths)
    assert paths.production_flag.exists()


def test_a_boot_after_a_finished_promotion_leaves_the_new_slave_in_the_settings_and_asks_no_more(paths: Paths) -> None:
    port(paths).claim(PROMOTION)
    port(paths).become_master(3)
    settle_role(paths)
    link = paths.at("/etc/systemd/system/sysinit.target.wants") / BOOT_UNIT
    target = os.readlink(link)
    port(paths).finish()
    configdb.configuration(paths).set_props("hotsync", {"SlaveHost": "10.77.0.3"})
    link.symlink_to(target)  # as an older version left it, or a cut
    at_boot(paths)
    assert not link.is_symlink()
    assert configdb.configuration(paths).props(["hotsync"])["hotsync"]["SlaveHost"] == "10.77.0.3"


@pytest.mark.parametrize("promoted", [False, True])
def test_post_restore_data_keeps_the_slave_of_a_master_that_is_in_production(
    paths: Paths, promoted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hotsync.backends.rebuild.make", lambda *_: "")
    monkeypatch.setattr(restored, "_start", lambda *_: None)
    monkeypatch.setattr(restored, "_check", lambda *_: None)
    if promoted:
        port(paths).claim(PROMOTION)
        port(paths).become_master(3)
        settle_role(paths)
        port(paths).finish()
    else:
        store.save_role(paths, RoleRecord(Role.MASTER, 2))
    configdb.configuration(paths).set_props("hotsync", {"role": "master", "SlaveHost": "10.77.0.3"})
    restored.post_restore_data(paths, lambda _line: None)
    assert configdb.configuration(paths).props(["hotsync"])["hotsync"]["SlaveHost"] == "10.77.0.3"
    assert paths.production_flag.exists()


def dying_at(number: int, monkeypatch: pytest.MonkeyPatch) -> AbstractContextManager[list[int]]:
    """Let the process die right before its `number`-th write."""
    names = ("replace", "rename", "symlink", "unlink", "fsync", "mkdir")
    calls: list[tuple[object, str]] = [(os, name) for name in names]
    return dying_before(number, [*calls, (files, "sync_directory")], monkeypatch)


def test_cut_before_every_write_there_is_a_whole_claim_or_none_and_it_is_made_exactly_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_roles, "_arrange_units", lambda: None)
    with dying_at(0, monkeypatch) as count:
        port(slave(tmp_path / "dry")).claim(PROMOTION)
    assert count[0] > 10
    seen: set[bool] = set()
    for number in range(1, count[0] + 1):
        paths = Paths(tmp_path / str(number))
        with dying_at(number, monkeypatch):
            try:
                slave(tmp_path / str(number))
                port(paths).claim(PROMOTION)
            except Cut:
                pass
        role = store.load_role(paths)
        if role.role is not Role.SLAVE or not paths.manifest.exists():
            continue  # it died while the test's SLAVE was made
        claimed = role.claim == 3
        seen.add(claimed)
        assert (document.unfinished_promotion(paths, role) is not None) == claimed
        if not claimed:
            assert not open_replica(paths, SystemClock()).closed, (
                "closed without a claim: nothing would arrive any more"
            )
            try:
                port(paths).claim(replace(PROMOTION, started_at=2.0))
            except NotReady:
                continue  # the test's manifest was not written yet
        assert store.load_role(paths).claim == 3
    assert seen == {True, False}


def settled_and_finished(paths: Paths) -> None:
    if document.unfinished_promotion(paths, store.load_role(paths)):
        if not is_settled(paths):
            port(paths).settle()
        port(paths).finish()


def test_cut_before_every_write_of_the_end_it_is_found_unfinished_until_link_and_flag_are_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_roles, "_arrange_units", lambda: None)

    def promoted(root: Path) -> Paths:
        paths = slave(root)
        port(paths).claim(PROMOTION)
        port(paths).become_master(3)
        permit_flag(paths).parent.mkdir(parents=True, exist_ok=True)
        permit_flag(paths).touch()
        return paths

    dry = promoted(tmp_path / "dry")
    with dying_at(0, monkeypatch) as count:
        settled_and_finished(dry)
    assert count[0] > 8
    left: set[bool] = set()
    for number in range(1, count[0] + 1):
        paths = promoted(tmp_path / str(number))
        link = paths.at("/etc/systemd/system/sysinit.target.wants") / BOOT_UNIT
        with pytest.raises(Cut), dying_at(number, monkeypatch):
            settled_and_finished(paths)
        unfinished = document.unfinished_promotion(paths, store.load_role(paths)) is not None
        left.add(unfinished)
        assert unfinished or not (link.is_symlink() or permit_flag(paths).exists())
        at_boot(paths)
        assert paths.production_flag.exists()
        settled_and_finished(paths)
        assert is_settled(paths)
        assert not link.is_symlink()
        assert document.unfinished_promotion(paths, store.load_role(paths)) is None
        configdb.configuration(paths).set_props("hotsync", {"SlaveHost": "10.77.0.3"})
        at_boot(paths)
        assert configdb.configuration(paths).props(["hotsync"])["hotsync"]["SlaveHost"] == "10.77.0.3"
    assert True in left
