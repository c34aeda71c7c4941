"""What became of each test, kept in build/ while the run goes on, and the counts that script/test ends with."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import time
from collections import Counter
from pathlib import Path

import pytest

Outcomes = dict[str, str]
"""Test id -> passed, failed or skipped."""

TABLE = "docs/second-ring.md"
HEAD = """# The second ring

Everything at full size: `script/test --all`, which writes this page. The newest run comes first.

| date (UTC) | commit | cases | passed | failed | skipped |
|---|---|---|---|---|---|
"""


def commit_of(root: Path) -> str:
    """Given a checkout, return its commit, with a sum of what is not committed (the page of the second ring aside)."""
    git = ["git", "-c", f"safe.directory={root}"]

    def ask(*words: str) -> str:
        return subprocess.run([*git, *words], cwd=root, capture_output=True, text=True, check=True).stdout

    commit = ask("rev-parse", "--short=12", "HEAD").strip()
    others = ("--", ".", f":!{TABLE}")
    dirt = ask("diff", "HEAD", *others) + ask("ls-files", "--others", "--exclude-standard", *others)
    return f"{commit}+{hashlib.sha256(dirt.encode()).hexdigest()[:8]}" if dirt else commit


def merge(earlier: str | None, now: str) -> str:
    """Given what a test's earlier phase and this one came to, return what the test came to."""
    order = ("passed", "skipped", "failed")
    return now if earlier is None else max(earlier, now, key=order.index)


def render_row(outcomes: Outcomes, commit: str, date: str) -> str:
    """Return the row of the table for one run."""
    count = Counter(outcomes.values())
    return f"| {date} | {commit} | {len(outcomes)} | {count['passed']} | {count['failed']} | {count['skipped']} |"


def render_page(old: str, outcomes: Outcomes, commit: str, date: str) -> str:
    """Given the page as it was, return it with this run on top and the list of this run's failures."""
    rows = [line for line in old.splitlines() if line.startswith("| 2") and f"| {commit} |" not in line]
    failed = [f"- `{name}`" for name, outcome in sorted(outcomes.items()) if outcome == "failed"]
    failures = "\n## Failures of the newest run\n\n" + ("\n".join(failed) if failed else "None.") + "\n"
    return HEAD + "\n".join([render_row(outcomes, commit, date), *rows]) + "\n" + failures


class Recorder:
    """Collects outcomes; in the second ring it keeps them on disk, so that a run that was cut goes on."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.root = config.rootpath
        self.second = config.getoption("--ring") == 2
        self.file = self.root / "build/ring2.json"
        self.commit = commit_of(self.root) if self.second else ""
        self.outcomes: Outcomes = self.earlier() if self.second else {}

    def earlier(self) -> Outcomes:
        """Return what earlier runs at this very state of the code found passed."""
        if self.config.getoption("--again") or not self.file.exists():
            return {}
        record = json.loads(self.file.read_text())
        found: Outcomes = record["outcomes"] if record["commit"] == self.commit else {}
        return {name: outcome for name, outcome in found.items() if outcome == "passed"}

    def note(self, nodeid: str, outcome: str) -> None:
        """Keep what a phase of a test came to."""
        self.outcomes[nodeid] = merge(self.outcomes.get(nodeid), outcome)

    def save(self) -> None:
        """Write what is known to the disk."""
        self.file.parent.mkdir(exist_ok=True)
        fresh = self.file.with_suffix(".new")
        fresh.write_text(json.dumps({"commit": self.commit, "outcomes": self.outcomes}, indent=1))
        fresh.replace(self.file)

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        """Leave out what has passed at this state of the code already."""
        done = [item for item in items if item.nodeid in self.outcomes]
        if done:
            config.hook.pytest_deselected(items=done)
            items[:] = [item for item in items if item.nodeid not in self.outcomes]

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Count a module that could not be loaded as a failure, and one that was skipped whole as a skip."""
        if report.outcome != "passed":
            self.note(report.nodeid, report.outcome)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count a test when its last phase is over."""
        self.note(report.nodeid, report.outcome)
        if self.second and report.when == "teardown":
            self.save()

    def pytest_sessionfinish(self, exitstatus: int) -> None:
        """Leave the counts for script/test, and in a whole second ring the page."""
        counts = Counter(self.outcomes.values())
        if target := os.environ.get("HOTSYNC_COUNTS"):
            Path(target).write_text(json.dumps(counts))
        if self.second and exitstatus in (0, 1) and not self.config.getoption("-k"):
            page = self.root / TABLE
            page.parent.mkdir(exist_ok=True)
            old = page.read_text() if page.exists() else ""
            date = time.strftime("%Y-%m-%d %H:%M", time.gmtime())
            page.write_text(render_page(old, self.outcomes, self.commit, date))


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the word that forgets what earlier runs of the second ring found."""
    parser.addoption("--again", action="store_true", help="second ring: start over instead of going on")


def pytest_configure(config: pytest.Config) -> None:
    """Count on the process that sees all reports."""
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Recorder(config), "hotsync-recorder")
