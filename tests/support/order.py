"""The order of the tests, cheapest first, and which of them a run leaves out."""

from __future__ import annotations

from pathlib import Path

import pytest

STAGES = ("lint", "unit", "tables", "contract", "docs", "packaging", "lab")
"""The folders below tests/, in order of price; an unknown one comes last."""


def stage(item: pytest.Item, tests: Path) -> int:
    """Given a test, return the place of its folder in the order."""
    folder = item.path.relative_to(tests).parts[0] if item.path.is_relative_to(tests) else ""
    return STAGES.index(folder) if folder in STAGES else len(STAGES)


def wanted(item: pytest.Item, ring: int, chosen: str) -> bool:
    """Given a test, the ring (0: none asked for) and the -m expression, say whether it belongs to this run."""
    if item.get_closest_marker("full") and ring < 2:
        return "full" in chosen
    if item.get_closest_marker("lab") and ring < 1:
        return "lab" in chosen
    return True


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the choice of the ring."""
    parser.addoption("--ring", type=int, choices=(0, 1, 2), default=0, help="1: what CI runs; 2: all, full size")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Sort the tests by stage and leave out those of a higher ring."""
    ring, chosen = config.getoption("--ring"), config.getoption("-m")
    tests = config.rootpath / "tests"
    left_out = [item for item in items if not wanted(item, ring, chosen)]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
    items[:] = sorted((item for item in items if wanted(item, ring, chosen)), key=lambda item: stage(item, tests))


@pytest.fixture(scope="session")
def full_size(pytestconfig: pytest.Config) -> bool:
    """Say whether this is the second ring: sizes are not scaled down, waits not shortened."""
    return bool(pytestconfig.getoption("--ring") == 2)


@pytest.fixture(scope="session")
def times(full_size: bool) -> int:
    """Return how often a test does again what chance decides: once in the first ring, ten times in the second."""
    return 10 if full_size else 1
