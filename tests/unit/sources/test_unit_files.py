"""The list of units is asked for again exactly when something changed where units lie."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hotsync.errors import CommandFailed
from hotsync.sources import unit_files
from hotsync.sources.unit_files import list_unit_files
from hotsync.system.command import Completed
from hotsync.system.paths import Paths

LATER = 4 * 10**18
PATTERNS = ("*.service", "*.timer")


class World:
    """A host whose systemd counts how often it is asked."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.units = root / "etc/systemd/system"
        self.links = self.units / "multi-user.target.wants"
        self.links.mkdir(parents=True)
        self.unit = self.units / "a.service"
        self.unit.write_text("[Install]\nWantedBy=multi-user.target\n")
        self.asked = 0

    def run(self, argv: list[str], ok: tuple[int, ...]) -> Completed:
        assert argv[:2] == ["systemctl", "list-unit-files"]
        self.asked += 1
        return Completed(0, f"answer {self.asked}".encode(), b"")

    def ask(self, patterns: tuple[str, ...] = PATTERNS, now_ns: int = LATER) -> str:
        folders = (str(self.units), str(self.root / "run/systemd/system"))
        return list_unit_files(Paths(self.root), patterns, now_ns, folders)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    found = World(tmp_path)
    monkeypatch.setattr(unit_files, "run", found.run)
    return found


def test_nothing_changed_means_no_question(world: World) -> None:
    assert [world.ask(), world.ask(), world.ask()] == ["answer 1"] * 3


@pytest.mark.parametrize("what", ["enable", "mask", "new", "remove", "edit", "empty", "other folder"])
def test_every_change_is_asked_about(world: World, what: str) -> None:
    world.ask()
    match what:
        case "enable":
            os.symlink("../a.service", world.links / "a.service")
        case "mask":
            os.symlink("/dev/null", world.units / "b.service")
        case "new":
            (world.units / "b.service").write_text("")
        case "remove":
            world.unit.unlink()
        case "edit":
            before = world.unit.stat()
            world.unit.write_text("[Install]\nWantedBy=multi-user.target\nAlias=b.service\n")
            os.utime(world.unit, ns=(before.st_atime_ns, before.st_mtime_ns))
        case "empty":
            os.truncate(world.unit, 0)
        case _:
            (world.root / "run/systemd/system").mkdir(parents=True)
    assert world.ask() == "answer 2"
    assert world.ask() == "answer 2"


def test_other_patterns_are_another_question(world: World) -> None:
    world.ask()
    assert world.ask(("*.socket",)) == "answer 2"


def test_each_question_keeps_its_answer(world: World) -> None:
    assert [world.ask(), world.ask(("*.socket",))] == ["answer 1", "answer 2"]
    assert [world.ask(), world.ask(("*.socket",))] == ["answer 1", "answer 2"]


def test_what_changed_just_now_is_asked_about_again(world: World) -> None:
    now_ns = world.unit.stat().st_ctime_ns + 10**6
    assert [world.ask(now_ns=now_ns), world.ask(now_ns=now_ns)] == ["answer 1", "answer 2"]


@pytest.mark.parametrize("content", ["", "{", '{"stamp": 1}', '["x"]'])
def test_a_damaged_memory_is_no_memory(world: World, content: str) -> None:
    world.ask()
    (Paths(world.root).state / "unit-files.json").write_text(content)
    assert world.ask() == "answer 2"


def test_where_nothing_can_be_kept_it_is_asked_again(world: World) -> None:
    (world.root / "var/lib").mkdir(parents=True)
    (world.root / "var/lib/hotsync").write_text("not a folder")
    assert [world.ask(), world.ask()] == ["answer 1", "answer 2"]


def test_no_such_unit_is_an_answer_and_a_systemd_that_does_not_answer_is_none(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unit_files, "run", lambda *_, **__: Completed(1, b"", b""))
    assert world.ask() == ""
    monkeypatch.setattr(unit_files, "run", lambda *_, **__: Completed(1, b"", b"Failed to connect to bus\n"))
    with pytest.raises(CommandFailed, match="Failed to connect"):
        world.ask(("*.socket",))
