"""In CI a skip that tests/skips.txt does not declare is a failure: a test that never runs must be known to all."""

from __future__ import annotations

import os
from collections.abc import Generator
from fnmatch import fnmatchcase
from pathlib import Path

import pytest


def declared(path: Path) -> list[str]:
    """Given the file of declared skips, return its patterns (`PATTERN: REASON`, `#` begins a remark)."""
    lines = [line.strip() for line in path.read_text().splitlines()]
    return [line.partition(": ")[0] for line in lines if line and not line.startswith("#")]


def undeclared(nodeid: str, patterns: list[str]) -> bool:
    """Say whether no pattern declares the skip of this test."""
    return not any(fnmatchcase(nodeid, pattern) for pattern in patterns)


def _condemn(report: pytest.TestReport | pytest.CollectReport, config: pytest.Config) -> None:
    if report.outcome != "skipped" or hasattr(report, "wasxfail") or not os.environ.get("CI"):
        return
    if undeclared(report.nodeid, declared(config.rootpath / "tests/skips.txt")):
        report.outcome = "failed"
        report.longrepr = f"{report.nodeid} was skipped, and tests/skips.txt does not declare it: {report.longrepr}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn an undeclared skip of a test into a failure."""
    report = yield
    _condemn(report, item.config)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Turn an undeclared skip of a whole module into a failure."""
    report = yield
    _condemn(report, collector.config)
    return report
