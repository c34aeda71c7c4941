"""Chance in tests: one printed seed a run, the same for hypothesis and for the tests' own dice."""

from __future__ import annotations

import os
import random
from typing import Any

import hypothesis
import pytest

from tests.support.sizes import FULL

hypothesis.settings.register_profile("dev", deadline=None)
hypothesis.settings.register_profile("ci", deadline=None, max_examples=200, print_blob=True)
hypothesis.settings.register_profile(FULL, deadline=None, max_examples=2000, print_blob=True)


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Throw the seed unless one is given, and choose the profile of hypothesis."""
    if hasattr(config, "workerinput"):  # it has the command line, not what was thrown for the whole run
        config.option.hypothesis_seed = config.workerinput["hotsync_seed"]
    if config.getoption("--hypothesis-seed") is None:
        config.option.hypothesis_seed = str(random.SystemRandom().randrange(2**32))
    if config.getoption("--hypothesis-profile") is None:
        full = config.getoption("--ring") == 2
        hypothesis.settings.load_profile(FULL if full else "ci" if os.environ.get("CI") else "dev")


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a worker of pytest-xdist the seed of the run."""
    node.workerinput["hotsync_seed"] = str(seed_of(node.config))


def pytest_report_header(config: pytest.Config) -> str:
    """Say how to throw the same dice again."""
    return f"seed: {seed_of(config)} (the same again: script/test --hypothesis-seed={seed_of(config)})"


def seed_of(config: pytest.Config) -> int:
    """Return the seed of this run."""
    return int(config.getoption("--hypothesis-seed"))


@pytest.fixture
def dice(request: pytest.FixtureRequest) -> random.Random:
    """Return this test's own random generator, which the run's seed and the test's name decide."""
    return random.Random(f"{seed_of(request.config)} {request.node.nodeid}")
