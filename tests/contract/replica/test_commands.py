"""`hotsync history`, `diff`, `restore` and `verify` as an administrator calls them, on a real replica."""

from __future__ import annotations

import json
import os
import random
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from hotsync.cli.main import hotsync
from hotsync.model.identity import Role, RoleRecord
from hotsync.state.store import save_role
from hotsync.system.paths import Paths
from tests.support.replica_world import World

pytestmark = pytest.mark.contract

ODD = "etc/odd\n\x1b]0;title\x07\udcff"
SHOWN = "/etc/odd\\x0a\\x1b]0;title\\x07\\xff"


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Paths:
    """A host of its own, without a role."""
    found = Paths(tmp_path / "host")
    found.run.mkdir(parents=True)
    found.state.mkdir(parents=True)
    monkeypatch.setenv("HOTSYNC_ROOT", str(found.root))
    return found


def become(paths: Paths, role: Role) -> None:
    save_role(paths, RoleRecord(role, 1))


@pytest.fixture
def lived(paths: Paths, tmp_path: Path, dice: random.Random) -> World:
    """A SLAVE with three generations: made, changed, removed."""
    become(paths, Role.SLAVE)
    world = World(tmp_path / "pair", dice, disk=paths.state)
    world.write("etc/hosts", "first")
    world.write(ODD, "odd")
    world.generation()
    world.clock.time += 60
    world.write("etc/hosts", "second, longer")
    world.write("etc/added", "a")
    world.generation()
    world.clock.time += 60
    (world.master / ODD).unlink()
    world.generation()
    return world


def call(*words: str) -> Result:
    return CliRunner().invoke(hotsync, [*words])


def document(result: Result) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def test_history_lists_the_generations_newest_last(lived: World) -> None:
    result = call("history")
    lines = [line.split("\t") for line in result.stdout.splitlines()]
    assert (result.exit_code, result.stderr) == (0, "")
    assert [(line[0], line[3], line[4]) for line in lines] == [("1", "3", "0"), ("2", "3", "0"), ("3", "1", "1")]
    told = document(call("history", "--json"))
    assert [one["number"] for one in told["generations"]] == [1, 2, 3]
    assert told["generations"][0]["committed_at"] == "2027-01-15T08:00:00Z"
    assert [one["deleted"] for one in told["generations"]] == [0, 0, 1]


def test_diff_shows_what_differs_and_how_in_either_direction(lived: World) -> None:
    result = call("diff", "1", "3")
    assert result.exit_code == 0
    assert result.stdout.splitlines() == ["added       /etc/added", "content     /etc/hosts", f"removed     {SHOWN}"]
    back = call("diff", "3", "1")
    assert back.exit_code == 0
    assert back.stdout.splitlines() == ["removed     /etc/added", "content     /etc/hosts", f"added       {SHOWN}"]
    told = document(call("diff", "2", "3", "--json"))["differences"]
    assert [(one["change"], one["path"]) for one in told] == [("removed", "etc/odd\n\x1b]0;title\x07�")]
    assert told[0]["path_b64"]
    assert call("diff", "2", "2").stderr == "Nothing differs.\n"


def test_restore_brings_a_path_back_and_says_where_it_is(lived: World, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = call("restore", "/etc//./hosts/", "--to", str(out), "--at", "1")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == f"1 files and 0 folders (5 bytes) of generation 1 are in {out}/etc/hosts.\n"
    assert (out / "etc/hosts").read_text() == "first"


def test_what_a_restore_cannot_bring_back_is_named_and_nothing_in_a_name_reaches_the_terminal(
    lived: World, tmp_path: Path
) -> None:
    (lived.root / "history/3/files" / ODD).unlink()
    result = call("restore", "/etc", "--to", str(tmp_path / "out"), "--at", "2")
    assert result.exit_code == 1
    assert result.stderr == f"Note: {SHOWN}: the replica has lost it\n"


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (["restore", "etc/hosts"], 2, "'etc/hosts' is no path of the MASTER: it does not begin with a slash."),
        (["restore", "/etc/../x"], 2, "'/etc/../x' is no path of the MASTER: .. leads out of it."),
        (["restore", "/" + "x" * 300], 2, "is no path of the MASTER"),
        (["restore", "/"], 2, "'/' is no path of the MASTER"),
        (["restore", "/etc/missing"], 2, "/etc/missing did not exist in generation 3"),
        (["restore", "/etc/hosts", "--at", "9"], 2, "Generation 9 is not held."),
        (["restore", "/etc/hosts", "--at", "noon"], 2, "'noon' is neither a generation nor a time."),
    ],
)
def test_what_cannot_be_restored_is_one_sentence_and_a_hint(
    lived: World, tmp_path: Path, words: list[str], code: int, sentence: str
) -> None:
    result = call(*words, "--to", str(tmp_path / "out"))
    assert (result.exit_code, result.stdout) == (code, "")
    error, hint = result.stderr.splitlines()
    assert error.startswith("Error: ")
    assert sentence in error
    assert hint.startswith("Hint: ")
    assert not (tmp_path / "out").exists()


def test_a_target_that_is_in_the_way_or_cannot_be_written_is_refused_by_its_name(lived: World, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    result = call("restore", "/etc/hosts", "--to", str(tmp_path / "file"))
    assert result.exit_code == 3
    assert f"{tmp_path}/file cannot be written" in result.stderr
    (tmp_path / "out/etc").mkdir(parents=True)
    (tmp_path / "out/etc/hosts").write_text("mine")
    result = call("restore", "/etc/hosts", "--to", str(tmp_path / "out"))
    assert result.exit_code == 3
    assert "exists already" in result.stderr
    assert (tmp_path / "out/etc/hosts").read_text() == "mine"


def test_verify_is_green_where_nothing_differs(lived: World) -> None:
    result = call("verify")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == "green: The replica is exactly generation 3: 3 paths were compared, 2 contents read.\n"
    told = document(call("verify", "--json", "--sample", "1"))
    assert (told["verdict"], told["contents"], told["faults"]) == ("green", 1, [])


def test_verify_names_what_rotted_and_ends_with_the_replicas_status(lived: World) -> None:
    (lived.root / "tree/etc/bad\n\x1b[2J").write_text("stranger")
    (lived.root / "tree/etc/hosts").unlink()
    result = call("verify")
    assert result.exit_code == 8
    assert result.stdout.splitlines() == [
        "/etc: time",
        "/etc/bad\\x0a\\x1b[2J: unknown to the manifest",
        "/etc/hosts: missing",
        "red: 3 paths differ from generation 3.",
    ]
    told = document(call("verify", "--json"))
    assert (told["verdict"], told["unlisted"]) == ("red", 0)
    assert {"path": "etc/hosts", "what": "missing"} in told["faults"]


def test_verify_is_amber_where_nothing_is_known(lived: World, paths: Paths) -> None:
    for file in paths.state.glob("manifest.db*"):
        file.unlink()
    result = call("verify")
    assert result.exit_code == 1
    assert result.stdout.startswith("amber: Nothing that can be compared differs from generation 3")


COMMANDS: list[list[str]] = [["history"], ["diff", "1", "2"], ["restore", "/etc/hosts", "--to", "/nowhere"], ["verify"]]


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: words[0])
@pytest.mark.parametrize("role", [Role.MASTER, Role.NONE])
def test_a_host_without_a_replica_refuses_and_makes_nothing(paths: Paths, words: list[str], role: Role) -> None:
    if role is not Role.NONE:
        become(paths, role)
    paths.manifest.write_bytes(b"")
    before = sorted((str(path), path.lstat().st_mtime_ns) for path in paths.root.rglob("*"))
    result = call(*words)
    assert result.exit_code == 3
    assert f"hotsync {words[0]} runs on the SLAVE only" in result.stderr
    assert sorted((str(path), path.lstat().st_mtime_ns) for path in paths.root.rglob("*")) == before


@pytest.mark.parametrize("words", COMMANDS[1:], ids=lambda words: words[0])
def test_a_slave_without_a_generation_says_so(paths: Paths, words: list[str]) -> None:
    become(paths, Role.SLAVE)
    result = call(*words)
    assert result.exit_code == 3
    assert "it holds no generation yet" in result.stderr
    assert call("history").stderr == "This SLAVE holds no generation yet.\n"


def test_after_a_promotion_the_history_still_answers(lived: World, paths: Paths, tmp_path: Path) -> None:
    lived.replica().close("promotion of epoch 2")
    become(paths, Role.MASTER)
    shutil.rmtree(lived.root / "tree/etc")
    assert call("history").exit_code == 0
    assert call("restore", "/etc/hosts", "--to", str(tmp_path / "out"), "--at", "1").exit_code == 0
    assert (tmp_path / "out/etc/hosts").read_text() == "first"
    assert call("verify").exit_code == 3


def test_who_is_not_root_is_told_so(lived: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise PermissionError(13, "Permission denied", "/var/lib/hotsync/role.json")

    monkeypatch.setattr("hotsync.flows.history.load_role", refused)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    result = call("history")
    assert result.exit_code == 2
    assert result.stderr.splitlines()[1] == "Hint: Run it as root (sudo)."
