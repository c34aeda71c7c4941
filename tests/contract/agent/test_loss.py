"""What the MASTER says would be lost is on the SLAVE a moment later, and once the MASTER is dead it proves true."""

from __future__ import annotations

import logging
import os
import sqlite3
import stat
from functools import partial
from pathlib import Path

import pytest

from hotsync.agent.watch import Watcher, look_here
from hotsync.errors import PeerRefused, StaleEpoch
from hotsync.flows.status import read_status
from hotsync.model.identity import Role, RoleRecord
from hotsync.model.loss import Fate, LossStatement
from hotsync.state.loss import load_loss
from hotsync.state.store import save_role
from hotsync.system.clock import SystemClock
from hotsync.transport.presence import load_presence
from tests.contract.agent.pair import Pair, until
from tests.contract.agent.test_deaths_of_the_master import Servers, servers

__all__ = ["servers"]
pytestmark = pytest.mark.contract
SAID = LossStatement(1, "ab" * 32, 50.0, files=2)


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hotsync.agent.heartbeat.LOSS_SECONDS", 0.05)
    monkeypatch.setattr("hotsync.agent.heartbeat._backoff", lambda _: 0.1)


def watched(servers: Servers) -> LossStatement:
    """Let the MASTER look, and return what the SLAVE is told then."""
    host = servers.hosts.master
    began = host.clock.now()
    Watcher(host.paths, host.clock, partial(look_here, host.paths, host.clock)).tick()
    told = servers.hosts.slave.paths.loss_told

    def heard() -> bool:
        said = load_loss(told)
        return said is not None and said.known_until >= began

    until(heard, "the SLAVE is told")
    said = load_loss(told)
    assert said is not None
    return said


def on_slave(servers: Servers) -> LossStatement:
    """Return what the SLAVE's status says would be lost now."""
    said = read_status(servers.hosts.slave.paths, SystemClock()).loss
    assert said is not None
    return said


def lost(servers: Servers) -> set[str]:
    """Return what differs between the dead MASTER's disk and the last generation, as an rsync of its own sees it."""
    found: set[str] = set()
    for line in servers.differences(servers.data):
        word, _, name = line.partition(" ")
        name = name.strip().partition(" -> ")[0].partition(" => ")[0]
        if word != "*deleting" or name:
            found.add(f"srv/{name.rstrip('/')}".removesuffix("/."))
    return found


def test_what_is_lost_is_what_was_stated_and_what_changed_after_the_stated_moment(servers: Servers) -> None:
    servers.hosts.master.start()
    assert watched(servers).count == 0
    servers.change()
    os.link(servers.data / "file 7", servers.data / "another name")
    (servers.data / "file 8").chmod(0o600)
    started = servers.hosts.master.clock.now()
    said = watched(servers)
    assert started <= said.known_until <= servers.hosts.master.clock.now()
    (servers.data / "file 9").write_text("nobody will ever know")
    servers.hosts.master.stop()

    truly, told = lost(servers), {path.path: path for path in said.paths}
    assert truly - told.keys() == {"srv/file 9"}
    assert {name for name, path in told.items() if path.fate is not Fate.PERHAPS} <= truly
    assert said == on_slave(servers)
    assert {told[f"srv/{name}"].fate for name in ("large", "renamed", "another name")} == {Fate.NEW}
    assert {told[f"srv/{name}"].fate for name in ("file 5", "folder", "folder/3")} == {Fate.DELETED}
    assert {told[f"srv/{name}"].fate for name in ("file 0", "file 8")} == {Fate.CHANGED}
    assert told["srv/file 7"].fate is Fate.PERHAPS  # it is the same, and has another name besides
    assert said.bytes > 3_000_000
    assert stat.S_IMODE(servers.hosts.slave.paths.loss_told.stat().st_mode) == 0o600


def test_a_run_takes_what_was_stated_along(servers: Servers) -> None:
    servers.hosts.master.start()
    servers.change()
    assert watched(servers).count > 0
    found = servers.run()
    said = on_slave(servers)
    assert (said.generation, said.count) == (found["generation"], 0)
    said = watched(servers)
    assert (said.generation, said.files, said.deleted) == (found["generation"], 0, 0)
    assert said == on_slave(servers)


def test_what_was_seen_while_a_run_was_under_way_may_have_come_along(servers: Servers) -> None:
    servers.hosts.master.start()
    servers.gate.closed = True
    servers.change()
    with servers.started() as run:
        assert servers.gate.reached.wait(60)
        (servers.data / "late").write_text("after the walk of the run")
        said = watched(servers)
        assert {"srv/late", "srv/large"} <= {path.path for path in said.paths}
        servers.gate.opened.set()
        run.communicate()
    now = on_slave(servers)
    assert now.generation == said.generation + 1
    assert {path.path: path.fate for path in now.paths}["srv/late"] is Fate.PERHAPS
    assert (now.files, now.deleted, now.known_until) == (0, 0, said.known_until)


def test_a_database_in_use_is_perhaps_newer_and_its_log_is_no_file(servers: Servers) -> None:
    servers.hosts.master.start()
    base = sqlite3.connect(servers.data / "a.db", isolation_level=None)
    base.execute("PRAGMA journal_mode = WAL")
    base.execute("CREATE TABLE t (x)")
    for _ in range(2):  # the second looks again at what was young
        assert servers.run()["code"] == 0
    said = watched(servers)
    assert not any("a.db" in path.path for path in said.paths)
    base.execute("INSERT INTO t VALUES (1)")
    fates = {path.path: path.fate for path in watched(servers).paths}
    base.close()
    assert fates["srv/a.db"] is Fate.PERHAPS
    assert not any(name.endswith(("-wal", "-shm")) for name in fates)


def test_a_slave_that_comes_back_is_told_again(servers: Servers) -> None:
    servers.hosts.master.start()
    servers.change()
    said = watched(servers)
    servers.hosts.slave.stop()
    servers.hosts.slave.paths.loss_told.unlink()
    servers.hosts.slave.start()
    until(lambda: load_loss(servers.hosts.slave.paths.loss_told) == said, "the SLAVE is told again")


def test_a_slave_that_is_being_promoted_takes_no_statement_any_more(paired: Pair) -> None:
    with paired.link() as link:
        link.tell_loss(SAID)
        assert load_loss(paired.slave.paths.loss_told) == SAID
        save_role(paired.slave.paths, RoleRecord(Role.SLAVE, 0, claim=1))
        with pytest.raises(StaleEpoch):
            link.tell_loss(LossStatement(2, "cd" * 32, 60.0))
    assert load_loss(paired.slave.paths.loss_told) == SAID


def test_only_a_slave_is_told(paired: Pair) -> None:
    with paired.link() as link:
        save_role(paired.slave.paths, RoleRecord(Role.MASTER, 0))
        with pytest.raises(PeerRefused):
            link.tell_loss(SAID)
    assert not paired.slave.paths.loss_told.exists()


def test_a_disk_that_takes_no_statement_does_not_end_the_heartbeat(
    servers: Servers, caplog: pytest.LogCaptureFixture
) -> None:
    (servers.hosts.slave.paths.loss_told / "in the way").mkdir(parents=True)
    servers.hosts.master.start()
    host = servers.hosts.master
    with caplog.at_level(logging.WARNING):
        Watcher(host.paths, host.clock, partial(look_here, host.paths, host.clock)).tick()
        until(lambda: "cannot be written down" in caplog.text, "the SLAVE says so")
    assert load_presence(host.paths).connected


def test_a_statement_of_no_use_is_not_told(hosts: Pair, tmp_path: Path) -> None:
    del tmp_path
    hosts.master.paths.loss_seen.write_text("rubbish")
    hosts.master.start()
    until(lambda: load_presence(hosts.master.paths).verdict == "green", "they meet")
    hosts.master.stop()
    assert not hosts.slave.paths.loss_told.exists()
