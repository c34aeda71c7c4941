"""Lanes for workers: one has the labs that are shared or measure instants, the others the rest, file by file.

Only where pytest is asked for workers (`-n 3`, as script/test does): labs wait most of the time, and what needs no lab
runs meanwhile. The first lane takes longest, so it begins at once; the others end with the labs that stand beside any
other.
"""

from __future__ import annotations

from typing import Any

import pytest

ALONE = ("tests/lab/", "tests/contract/test_rings.py")
"""Tests that use the lab, or count what is left on the whole machine, to which a lab beside them would add."""


BESIDE = (
    "tests/lab/test_applications.py",
    "tests/lab/test_drill.py",
    "tests/lab/test_engines.py",
    "tests/lab/test_other_cards.py",
    "tests/lab/test_rejoin.py",
    "tests/lab/test_richer_networks.py",
    "tests/lab/test_slave.py",
    "tests/lab/test_switchover.py",
    "tests/lab/test_the_lab_itself.py",
    "tests/lab/test_undo.py",
)
"""Tests with a lab of their own, and nothing in them that another lab's load could change."""


def lane(nodeid: str) -> str:
    """Given a test, return what it must share a worker with: its file, or everything that is alone."""
    alone = nodeid.startswith(ALONE) and not nodeid.startswith(BESIDE)
    return "alone" if alone else nodeid.partition("::")[0]


def by_lane(nodeids: list[str]) -> list[int]:
    """Given the tests in their order, return that order with those first that are alone: they take longest."""
    return sorted(range(len(nodeids)), key=lambda place: lane(nodeids[place]) != "alone")


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
