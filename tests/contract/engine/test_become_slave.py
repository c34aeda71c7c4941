"""A server becomes SLAVE for good: what follows from the role, and that a cut anywhere is made up for."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from hotsync.backends import yum_plugin
from hotsync.backends.units import DAEMON, MASTER_TIMER, SLAVE_TIMER, Units
from hotsync.engine.become_slave import become_slave
from hotsync.errors import CommandFailed
from hotsync.model.identity import Role, RoleRecord
from hotsync.state import configdb, store
from hotsync.system import files
from hotsync.system.command import Completed
from hotsync.system.paths import Paths
from tests.support.dying import Cut, dying_before

pytestmark = pytest.mark.contract

SLAVE = RoleRecord(Role.SLAVE, 4, since=1.0, why="its promotion was undone")
PLUGIN_ON = b"[main]\nenabled = 1\n"


class Systemd:
    """What of HotSync's own is enabled and runs; `fails` names a unit that does not come up."""

    def __init__(self, fails: str = "") -> None:
        self.enabled = {DAEMON, MASTER_TIMER, "hotsync-coverage.timer", "hotsync-watch.service"}
        self.active = set(self.enabled)
        self.fails = fails

    def __call__(self, argv: Sequence[str]) -> Completed:
        verb, unit = argv[1], argv[-1]
        if unit == self.fails:
            raise CommandFailed(program="systemctl", status="1", detail="no", line=" ".join(argv))
        if verb in ("enable", "start", "reload-or-restart"):
            (self.enabled if verb == "enable" else self.active).add(unit)
        else:
            (self.enabled if verb == "disable" else self.active).discard(unit)
        return Completed(0, b"", b"")

    @property
    def units(self) -> Units:
        return Units(self, self)


def master(root: Path) -> Paths:
    paths = Paths(root)
    paths.state.mkdir(parents=True)
    paths.at("/run").mkdir()
    configdb.ensure_records(paths)
    configdb.configuration(paths).set_props("hotsync", {"role": "master", "MasterHost": "", "SlaveHost": "10.77.0.2"})
    store.save_role_and_flag(paths, RoleRecord(Role.MASTER, 3))
    plugin = paths.at(yum_plugin.FILE)
    plugin.parent.mkdir(parents=True)
    plugin.write_bytes(PLUGIN_ON)
    return paths


def is_slave(paths: Paths) -> bool:
    props = configdb.configuration(paths).props(["hotsync"])["hotsync"]
    return (
        store.load_role(paths) == SLAVE
        and not paths.production_flag.exists()
        and (props["role"], props["MasterHost"], props["SlaveHost"]) == ("slave", "10.77.0.1", "")
        and not yum_plugin.is_on(paths.at(yum_plugin.FILE).read_bytes())
    )


def test_a_master_becomes_slave_with_all_that_follows_and_twice_is_no_harm(tmp_path: Path) -> None:
    paths, systemd = master(tmp_path), Systemd()
    become_slave(paths, SLAVE, "10.77.0.1", systemd.units)
    become_slave(paths, SLAVE, "10.77.0.1", systemd.units)
    assert is_slave(paths)
    assert systemd.enabled == systemd.active == {DAEMON, SLAVE_TIMER}


def test_where_hotsync_is_switched_off_nothing_of_its_own_starts(tmp_path: Path) -> None:
    paths, systemd = master(tmp_path), Systemd()
    configdb.configuration(paths).set_props("hotsync", {"status": "disabled"})
    become_slave(paths, SLAVE, "10.77.0.1", systemd.units)
    assert is_slave(paths)
    assert systemd.enabled == systemd.active == set()


def test_a_unit_that_does_not_follow_is_told_and_keeps_nothing_from_being_slave(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    paths = master(tmp_path)
    become_slave(paths, SLAVE, "10.77.0.1", Systemd(fails=DAEMON).units)
    assert is_slave(paths)
    assert "did not follow" in caplog.text


@pytest.mark.parametrize("record", [RoleRecord(Role.MASTER, 4), RoleRecord(Role.SLAVE, 3, claim=4), RoleRecord()])
def test_nothing_else_than_a_slave_without_a_claim_can_be_made_of_it(tmp_path: Path, record: RoleRecord) -> None:
    paths = master(tmp_path)
    with pytest.raises(ValueError, match="without a claim"):
        become_slave(paths, record, "10.77.0.1", Systemd().units)
    assert store.load_role(paths).role is Role.MASTER
    assert paths.production_flag.exists()


def test_cut_before_every_write_production_never_starts_on_a_slave_and_once_more_does_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[tuple[object, str]] = [(os, "replace"), (os, "unlink"), (os, "fsync"), (files, "sync_directory")]
    dry = master(tmp_path / "dry")
    with dying_before(0, calls, monkeypatch) as count:
        become_slave(dry, SLAVE, "10.77.0.1", Systemd().units)
    assert count[0] > 6
    for number in range(1, count[0] + 1):
        paths, systemd = master(tmp_path / str(number)), Systemd()
        with suppress(Cut), dying_before(number, calls, monkeypatch):
            become_slave(paths, SLAVE, "10.77.0.1", systemd.units)
        assert not (store.load_role(paths).role is Role.SLAVE and paths.production_flag.exists())
        become_slave(paths, SLAVE, "10.77.0.1", systemd.units)
        assert is_slave(paths)
        assert systemd.enabled == systemd.active == {DAEMON, SLAVE_TIMER}
