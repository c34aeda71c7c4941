"""What commands refuse before they do anything: empty words, words in the wrong place, what does not go together."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from hotsync.cli.main import hotsync
from hotsync.cli.promote import promote
from hotsync.cli.slave import slave
from hotsync.model.hold import HeardBy, Hold
from hotsync.model.identity import Peer, Role, RoleRecord
from hotsync.model.rejoin import Rejoin, Terms
from hotsync.state import handover, store
from hotsync.state.configdb import configuration, ensure_records
from hotsync.state.hold import save_hold
from hotsync.state.rejoin import save_rejoin
from hotsync.system import lock
from hotsync.system.paths import Paths
from tests.support.system_log import KeptLog

PEER = Peer("server2", "192.0.2.2", "f" * 64, "", "")


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Paths:
    monkeypatch.setenv("HOTSYNC_ROOT", str(tmp_path))
    monkeypatch.setattr("hotsync.system.log.set_up", lambda *_: None)
    monkeypatch.setattr("hotsync.state.configdb.SystemLog", KeptLog([]).made)
    paths = Paths(tmp_path)
    paths.databases.mkdir(parents=True)
    paths.state.mkdir(parents=True, exist_ok=True)
    paths.run.mkdir(parents=True, exist_ok=True)
    ensure_records(paths)
    return paths


def call(*words: str) -> Result:
    command = {"hotsync": hotsync, "hotsync-slave": slave, "hotsync-promote": promote}[words[0]]
    return CliRunner().invoke(command, words[1:], prog_name=words[0])


@pytest.mark.parametrize(
    "words",
    [
        ("hotsync-promote", "--yes", "--at", ""),
        ("hotsync", "restore", "/etc/hosts", "--to", ""),
        ("hotsync", "restore", "/etc/hosts", "--to", "/tmp/x", "--at", " "),
        ("hotsync", "restore", "", "--to", "/tmp/x"),
        ("hotsync", "diff", "", "3"),
        ("hotsync", "diff", "3", ""),
        ("hotsync", "rejoin", "--vault", ""),
    ],
)
def test_an_empty_word_is_refused_instead_of_being_taken_for_none(paths: Paths, words: tuple[str, ...]) -> None:
    done = call(*words)
    assert done.exit_code == 2
    assert "it is empty; a variable that was not set?" in done.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("hotsync", "--dry-run", "pair", "--forget"), "--dry-run before a command belongs to a run, not to pair"),
        (
            ("hotsync", "--json", "--full", "status"),
            "--full and --json before a command belongs to a run",
        ),
        (("hotsync-slave", "--dry-run", "--map", "eth0=ens3"), "it takes no --dry-run beside it"),
        (("hotsync-slave", "--dry-run", "--accept-repositories"), "it takes no --dry-run beside it"),
        (("hotsync-slave", "fixperm", "--accept-packages"), "it takes no fixperm beside it"),
        (("hotsync-slave", "--accept-packages", "--accept-repositories"), "it takes no --accept-packages beside it"),
        (("hotsync-promote", "--dry-run", "--confirm-network"), "it takes no --dry-run beside it"),
    ],
)
def test_what_does_not_go_together_is_refused_and_changes_nothing(
    paths: Paths, words: tuple[str, ...], said: str
) -> None:
    store.save_role(paths, RoleRecord(Role.SLAVE, 1))
    store.save_peer(paths, PEER)
    before = sorted(paths.state.iterdir())
    done = call(*words)
    assert done.exit_code == 2, done.output
    assert said in done.output
    assert "Hint: " in done.output or "--json" in words
    assert sorted(paths.state.iterdir()) == before
    assert store.load_peer(paths) == PEER


def test_wrong_options_are_one_json_document_too(paths: Paths) -> None:
    done = call("hotsync", "status", "--json", "--bogus")
    assert done.exit_code == 2
    assert json.loads(done.stdout)["error"]["code"] == "usage"


def held(paths: Paths) -> None:
    save_hold(paths, Hold(2, 1.0, HeardBy.BOOT))


def held_for_want_of_a_word(paths: Paths) -> None:
    save_hold(paths, Hold(0, 1.0, HeardBy.BOOT, why="nobody answered"))


def rejoining(paths: Paths) -> None:
    save_rejoin(paths, Rejoin(Terms(2, 7, "d"), 1.0, "/vault", ()))


def asked_to_hand_over(paths: Paths) -> None:
    handover.request(paths)


@pytest.mark.parametrize("state", [held, held_for_want_of_a_word, rejoining, asked_to_hand_over])
def test_the_other_server_is_not_forgotten_while_its_word_counts(paths: Paths, state: object) -> None:
    store.save_role(paths, RoleRecord(Role.MASTER, 1))
    store.save_peer(paths, PEER)
    assert callable(state)
    state(paths)
    done = call("hotsync", "pair", "--forget")
    assert done.exit_code == 3, done.output
    assert store.load_peer(paths) == PEER


def test_the_other_server_is_forgotten_where_nothing_is_unfinished(paths: Paths) -> None:
    store.save_role(paths, RoleRecord(Role.MASTER, 1))
    store.save_peer(paths, PEER)
    with lock.held(paths.run / "handover-work.lock", "hand-over"):
        assert call("hotsync", "pair", "--forget").exit_code == 3
    assert "server2 is forgotten." in call("hotsync", "pair", "--forget").output
    assert store.load_peer(paths) is None


def test_pairing_is_not_called_open_where_nothing_listens(paths: Paths) -> None:
    configuration(paths).set_props("rsyncd", {"password": "secret"})
    done = call("hotsync", "pair")
    assert (done.exit_code, "has no role yet" in done.output) == (2, True)
    store.save_role(paths, RoleRecord(Role.SLAVE, 1))
    configuration(paths).set_props("hotsync", {"status": "disabled"})
    done = call("hotsync", "pair")
    assert (done.exit_code, "has HotSync disabled" in done.output) == (2, True)
    configuration(paths).set_props("hotsync", {"status": "enabled"})
    assert "Failed attempts from before do not count for 15 minutes." in call("hotsync", "pair").output


@pytest.mark.parametrize("words", [("drill",), ("drill", "--fences"), ("rejoin",), ("rejoin", "--as-master")])
def test_a_server_without_a_role_is_called_not_configured(paths: Paths, words: tuple[str, ...]) -> None:
    done = call("hotsync", *words)
    assert done.exit_code == 3
    assert "This server is not configured, and hotsync" in done.output


def test_fences_that_nobody_tried_are_said(paths: Paths) -> None:
    done = call("hotsync", "drill", "--fences", "--last")
    assert done.exit_code == 3
    assert "no fence has been tried here" in done.output
