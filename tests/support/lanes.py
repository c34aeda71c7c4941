"""Lanes for workers: one has what measures instants or counts what is on the machine, the others the rest, by file.

Only where pytest is asked for workers (`-n 3`, as script/test does): labs wait most of the time, and other tests run
meanwhile. The first lane begins at once; the others begin with what needs no lab, go on with the labs, of which some
take longest, and end with what can be handed out in small pieces.
"""

from __future__ import annotations

from typing import Any

import pytest

ALONE = (
    "tests/contract/test_rings.py",
    "tests/lab/test_streaming.py",
    "tests/lab/test_one_master.py",
    "tests/lab/test_loss.py",
    "tests/lab/test_bank.py",
    "tests/lab/test_kills.py",
    "tests/lab/test_power_cut.py",
)
"""Tests that count what is left on the whole machine, or measure instants: one after the other, never two at once, and
in this order, in which the first of them have no lab beside them."""

PAUSING = tuple(f"tests/contract/sources/test_{name}.py" for name in ("frozen", "frozen_volumes", "paused_services"))
"""Tests that copy every database on this machine that can be paused: each would find the other's."""

PIECES = ("tests/contract/", "tests/docs/", "tests/packaging/")
"""Folders of many short files, which fill the time that the labs leave."""


def lane(nodeid: str) -> str:
    """Given a test, return what it must share a worker with: its file, everything that is alone, or that pauses."""
    path = nodeid.partition("::")[0]
    return "alone" if path in ALONE else "pausing" if path in PAUSING else path


def by_lane(nodeids: list[str]) -> list[int]:
    """Given the tests in their order, return that order with those first that are alone, and small pieces last.

    What counts what is on the machine has ended by the time that the first lab of another lane is put up.
    """
    return sorted(range(len(nodeids)), key=lambda place: _when(nodeids[place]))


def _when(nodeid: str) -> int:
    path = nodeid.partition("::")[0]
    if path in ALONE:
        return ALONE.index(path)
    return len(ALONE) + nodeid.startswith(PIECES)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """In a worker, let the long lane begin at once."""
    if hasattr(config, "workerinput"):
        items[:] = [items[place] for place in by_lane([item.nodeid for item in items])]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Return the scheduler that hands out lanes."""
    from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

    config.option.loadscopereorder = False  # it would begin with the file of most tests
    scheduler: Any = LoadScopeScheduling(config, log)
    scheduler._split_scope = lane  # what its own page says to override
    return scheduler
