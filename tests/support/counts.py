"""What became of each test, kept in build/ while the run goes on, the counts that script/test ends with, and its table.

The table of the second ring has a row for each part of it (the labs file by file, the contracts room by room, and the
other folders): of the newest run in which nothing of that part was left out. So a ring of hours can be run in pieces,
each named on the command line, and the table says of each piece at which state of the code it ran.
script/lib/run_tests.py has it written when it knows what was left behind.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import time
from collections import Counter
from collections.abc import Collection
from pathlib import Path
from typing import Any

import pytest

Outcomes = dict[str, str]
"""Test id -> passed, failed or skipped."""

TABLE = "docs/second-ring.md"
RECORD = "build/ring2.json"
REAL = ("tests/lab/", "tests/contract/")
"""Folders of tests with real systems."""
MOST_AGAIN = 3
"""How many failures may be chance."""
_SELECTING = ("keyword", "markexpr", "deselect", "ignore", "ignore_glob", "lf", "stepwise")
"""Options of pytest (their names inside) that leave tests out."""

HEAD = """# The second ring

Everything at full size: `script/test --all`, which writes this page; `script/test --all tests/lab/test_promote.py` runs
a part of it. A row is of the newest run of that part in which none of its cases was left out.

| part | date (UTC) | commit | cases | passed | failed | skipped | left behind |
|---|---|---|---|---|---|---|---|
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


def worth_again(outcomes: Outcomes) -> list[str]:
    """Given what became of the first ring, return what is tried a second time: a few tests of real systems.

    They wait for machines, servers and disks, which a busy machine keeps waiting longer than anybody thought. What
    needs none of that fails for a reason, and so does what fails in many places.
    """
    failed = sorted(name for name, outcome in outcomes.items() if outcome == "failed")
    real = all(name.startswith(REAL) and "::" in name for name in failed)
    return failed if real and len(failed) <= MOST_AGAIN else []


def part_of(nodeid: str) -> str:
    """Given a test, return the part of the second ring that it belongs to."""
    folders = nodeid.partition("::")[0].split("/")
    if folders[1:2] == ["lab"]:
        return "/".join(folders)
    return "/".join(folders[: 3 if folders[1:2] == ["contract"] and len(folders) > 3 else 2])


def whole_parts(cases: Collection[str], outcomes: Outcomes, paths: Collection[str]) -> list[str]:
    """Given all cases, what became of them, and the paths that were asked for (none: everything), return the parts of
    which nothing was left out."""
    found: dict[str, bool] = {}
    for case in cases:
        part = part_of(case)
        asked = not paths or any(f"{part}/".startswith(f"{path.rstrip('/')}/") for path in paths)
        found[part] = found.get(part, True) and asked and case in outcomes
    return sorted(part for part, whole in found.items() if whole)


def render_row(part: str, outcomes: Outcomes, left: list[str], about: str) -> str:
    """Given what became of the cases of a part, and the date and the commit, return its row of the table."""
    count = Counter(outcomes.values())
    numbers = (len(outcomes), count["passed"], count["failed"], count["skipped"], len(left))
    return f"| {part} | {about} | {' | '.join(map(str, numbers))} |"


def render_page(
    old: str, parts: Collection[str], known: Collection[str], outcomes: Outcomes, left: list[str], about: str
) -> str:
    """Given the page as it was, the parts that are whole now and all that are known, return it with their rows and
    their failures; `about` is the date and the commit, as two cells."""
    lines = old.splitlines()
    rows = {line.split("|")[1].strip(): line for line in lines if line.startswith("| tests/")}
    failed = [line for line in lines if line.startswith("- `") and part_of(line[3:-1]) not in parts]
    for part in parts:
        mine = {name: outcome for name, outcome in outcomes.items() if part_of(name) == part}
        rows[part] = render_row(part, mine, left, about)
        failed += [f"- `{name}`" for name, outcome in mine.items() if outcome == "failed"]
    failed.sort()
    failed += [f"- left behind: `{line}`" for line in left]
    missing = sorted({*known, *(line[2:] for line in lines if line.startswith("- tests/"))} - rows.keys())
    more = "\n## Never run whole\n\n" + "".join(f"- {part}\n" for part in missing) if missing else ""
    failures = "\n## Failures\n\n" + ("\n".join(failed) if failed else "None.") + "\n"
    return HEAD + "\n".join(rows[part] for part in sorted(rows)) + "\n" + failures + more


def close_second_ring(root: Path, left: list[str]) -> None:
    """Given a checkout and what a run left behind, note that, and write the rows of the parts that are whole.

    What was left behind stays counted until the ring starts over: no later run can show that it was nothing.
    """
    file = root / RECORD
    record = json.loads(file.read_text())
    record["left"] = [*record["left"], *left]
    file.write_text(json.dumps(record, indent=1))
    if record["parts"]:
        page = root / TABLE
        page.parent.mkdir(exist_ok=True)
        old = page.read_text() if page.exists() else ""
        date = time.strftime("%Y-%m-%d %H:%M", time.gmtime())
        about = f"{date} | {record['commit']}"
        page.write_text(render_page(old, record["parts"], record["known"], record["outcomes"], record["left"], about))


def leave_out(config: pytest.Config, items: list[pytest.Item], done: Collection[str]) -> None:
    """Take what has passed at this state of the code already from the tests that are to run."""
    if over := [item for item in items if item.nodeid in done]:
        config.hook.pytest_deselected(items=over)
        items[:] = [item for item in items if item.nodeid not in done]


class Worker:
    """In a worker of pytest-xdist, leaves out what the one who counts says is done."""

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, config: Any, items: list[pytest.Item]) -> None:
        """Leave out what has passed."""
        leave_out(config, items, frozenset(config.workerinput["hotsync_done"]))


class Recorder:
    """Collects outcomes; in the second ring it keeps them on disk, so that a run that was cut goes on."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.root = config.rootpath
        self.second = config.getoption("--ring") == 2
        self.file = self.root / RECORD
        self.commit = commit_of(self.root) if self.second else ""
        self.left: list[str] = []
        self.outcomes: Outcomes = self.earlier() if self.second else {}
        self.done = frozenset(self.outcomes)
        self.running: Outcomes = {}
        self.cases: set[str] = set()

    def earlier(self) -> Outcomes:
        """Return what earlier runs at this very state of the code found passed."""
        if self.config.getoption("--again") or not self.file.exists():
            return {}
        record = json.loads(self.file.read_text())
        if record["commit"] != self.commit:
            return {}
        self.left = record["left"]
        found: Outcomes = record["outcomes"]
        return {name: outcome for name, outcome in found.items() if outcome == "passed"}

    def note(self, nodeid: str, outcome: str) -> None:
        """Keep what a phase of a test came to."""
        self.outcomes[nodeid] = merge(self.outcomes.get(nodeid), outcome)

    def save(self, parts: Collection[str] = ()) -> None:
        """Write what is known to the disk, with the parts that are whole."""
        self.file.parent.mkdir(exist_ok=True)
        fresh = self.file.with_suffix(".new")
        known = sorted({part_of(case) for case in self.cases})
        record = {
            "commit": self.commit,
            "parts": list(parts),
            "known": known,
            "left": self.left,
            "outcomes": self.outcomes,
        }
        fresh.write_text(json.dumps(record, indent=1))
        fresh.replace(self.file)

    def whole(self) -> list[str]:
        """Return the parts of which nothing was left out by a word on the command line, or by an end before the end."""
        if any(self.config.getoption(name, None) for name in _SELECTING):
            return []
        named = self.config.args_source is pytest.Config.ArgsSource.ARGS
        return whole_parts(self.cases, self.outcomes, self.config.args if named else ())

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        """Leave out what has passed at this state of the code already."""
        self.cases |= {item.nodeid for item in items}
        leave_out(config, items, self.done)

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Tell a worker, also one that replaces another, what has passed already."""
        node.workerinput["hotsync_done"] = sorted(self.done)

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: list[str]) -> None:
        """Note which cases there are: those that the workers have found to do, and those that are done."""
        self.cases |= {*ids, *self.done}

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Count a module that could not be loaded as a failure, and one that was skipped whole as a skip."""
        if report.outcome != "passed":
            self.note(report.nodeid, report.outcome)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count a test when its last phase is over."""
        phase = merge(self.running.get(report.nodeid), report.outcome)
        self.running[report.nodeid] = phase
        if report.when == "teardown" or report.failed:  # a process that died has no teardown
            self.note(report.nodeid, phase)
            if self.second:
                self.save()

    def pytest_sessionfinish(self) -> None:
        """Leave what became of each test for script/test, and in a second ring whether it was whole."""
        if target := os.environ.get("HOTSYNC_COUNTS"):
            seed = int(self.config.getoption("--hypothesis-seed"))
            Path(target).write_text(json.dumps({"seed": seed, "outcomes": self.outcomes}))
        if self.second:
            self.save(self.whole())


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the word that forgets what earlier runs of the second ring found."""
    parser.addoption("--again", action="store_true", help="second ring: start over instead of going on")


def pytest_configure(config: pytest.Config) -> None:
    """Count on the process that sees all reports."""
    counts = not hasattr(config, "workerinput")
    config.pluginmanager.register(Recorder(config) if counts else Worker(), "hotsync-recorder")
