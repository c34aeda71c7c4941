"""Files of the last generation that stay readable while newer ones are committed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hotsync.errors import ReplicaError
from hotsync.replica.layout import Layout
from hotsync.replica.pin import pinned

SPOOL = "var/lib/hotsync/spool/postgresql/15-main"


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    made = Layout(tmp_path / "replica")
    made.make()
    (made.tree / SPOOL / "bank").mkdir(parents=True)
    (made.tree / SPOOL / "bank/toc.dat").write_text("old")
    (made.tree / SPOOL / "bank/escape").symlink_to("/etc")
    os.mkfifo(made.tree / SPOOL / "bank/fifo")
    return made


def test_what_is_pinned_outlives_a_commit_and_leaves_nothing(layout: Layout) -> None:
    with pinned(layout, layout.root / "lock", SPOOL, "postgresql-15-main") as dumps:
        tree = layout.tree / SPOOL / "bank/toc.dat"
        (layout.root / "new").write_text("new")
        (layout.root / "new").rename(tree)
        assert (dumps / "bank/toc.dat").read_text() == "old"
        assert tree.read_text() == "new"
        assert [path.name for path in (dumps / "bank").iterdir()] == ["toc.dat"], "neither links nor fifos"
    assert list(layout.pins.iterdir()) == []


def test_the_pins_of_a_run_that_was_killed_are_taken_away(layout: Layout) -> None:
    (layout.pins / "postgresql-15-main/gone").mkdir(parents=True)
    with pinned(layout, layout.root / "lock", SPOOL, "postgresql-15-main") as dumps:
        assert [path.name for path in dumps.iterdir()] == ["bank"]
    (layout.tree / SPOOL / "bank/toc.dat").stat()


def test_a_folder_that_the_generation_does_not_have_is_said(layout: Layout) -> None:
    with (
        pytest.raises(ReplicaError, match="15-other cannot be kept"),
        pinned(layout, layout.root / "lock", SPOOL.replace("main", "other"), "x"),
    ):
        raise AssertionError("unreachable")


def test_what_fails_while_it_is_read_is_not_said_of_the_pin(layout: Layout) -> None:
    with (
        pytest.raises(OSError, match="of the reader"),
        pinned(layout, layout.root / "lock", SPOOL, "x"),
    ):
        raise OSError("of the reader")
    assert list(layout.pins.iterdir()) == []
