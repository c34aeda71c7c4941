"""Runs pytest and looks for what it left behind; the last line counts.

Left behind is: a process that a test started and nobody ended, a mount, a network namespace, a network interface, a
loop device. With CI set each one is a failure; elsewhere it is said, since others may use the machine.

Of the first ring a few failed tests of real systems are run once more, alone and with the same seed, and named if they
pass then (docs/decisions/0177).
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.support.counts import Outcomes, close_second_ring, worth_again
from tests.support.leftovers import left_by_us

PR_SET_CHILD_SUBREAPER = 36
GRACE = 5.0
"""Seconds that an ending process may take."""


def adopt_orphans() -> None:
    """Make every process below us whose parent ends our own child, so that none can hide."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def children() -> dict[int, str]:
    """Return the processes that are left to us, with their command lines; ended ones are buried."""
    found: dict[int, str] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
            words = path.with_name("cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
        except OSError:
            continue
        if int(fields[1]) != os.getpid():
            continue
        pid = int(path.parent.name)
        if fields[0] == "Z":
            os.waitpid(pid, 0)
        else:
            found[pid] = words
    return found


def leftover_processes() -> list[str]:
    """Wait a little for processes that are ending, end the others, and return their command lines."""
    limit = time.monotonic() + GRACE
    while children() and time.monotonic() < limit:
        time.sleep(0.1)
    left: list[str] = []
    while found := children():
        for pid, words in found.items():
            left.append(f"process {pid}: {words}")
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
    return left


def things() -> set[str]:
    """Return what of this machine a test could leave behind, each as a line for people."""
    mounts = (line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines())
    found = {f"mount {path}" for path in mounts}
    found |= {f"network namespace {path.name}" for path in Path("/run/netns").glob("*")}
    found |= {f"network interface {path.name}" for path in Path("/sys/class/net").glob("*")}
    for path in Path("/sys/block").glob("loop*/loop/backing_file"):
        try:
            found.add(f"loop device {path.parts[3]} of {path.read_text().strip()}")
        except OSError:
            continue
    return found


def attempt(arguments: list[str]) -> tuple[int, int, Outcomes]:
    """Run pytest; return its status, the seed that it threw, and what became of each test (of none, if it died)."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "outcomes.json")
        env = {**os.environ, "HOTSYNC_COUNTS": str(file)}
        status = subprocess.run([sys.executable, "-m", "pytest", *arguments], env=env, check=False).returncode
        if not file.exists():
            return status, 0, {}
        found = json.loads(file.read_text())
        return status, found["seed"], found["outcomes"]


def main(arguments: list[str]) -> int:
    """Run the tests with pytest's arguments; return 0 only if all passed and nothing was left behind."""
    adopt_orphans()
    before = things()
    status, seed, outcomes = attempt(arguments)
    again = worth_again(outcomes) if "--ring=1" in arguments else []
    if again:
        print(f"\nA second attempt of what failed, alone: {', '.join(again)}", flush=True)
        status, _, second = attempt(["--ring=1", f"--hypothesis-seed={seed}", *again])
        outcomes |= second
    left = leftover_processes() + left_by_us(things() - before, lambda process: Path("/proc", process).exists())
    for line in left:
        print(f"left behind: {line}")
    if "--ring=2" in arguments and outcomes:
        close_second_ring(Path.cwd(), left)
    for name in again:
        if outcomes[name] == "passed":
            print(f"passed only in a second attempt, which is a defect of the test or of HotSync: {name}")
    counts = Counter(outcomes.values())
    failed = counts["failed"] + (len(left) if os.environ.get("CI") else 0)
    if status and not failed:
        print(f"\npytest ended with status {status}")
        failed = 1
    print(f"{counts['passed']} passed, {failed} failed, {counts['skipped']} skipped", flush=True)
    return 1 if failed or status else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
