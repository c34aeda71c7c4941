"""What a run keeps in memory does not grow with the number of files."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from hotsync.system import command

pytestmark = pytest.mark.contract

FILES = 3000
ALLOWED = 1.1  # SQLite's cache of pages is full with the larger tree only
# the largest size of the program itself: what `getrusage` tells of a child counts what it was forked from
DETECT = """
import json, sys
from pathlib import Path
from bench.detect import detect_once, make_tree

tree, work, files = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
make_tree(tree, files)
work.mkdir()
found = [detect_once(tree, work) for _ in range(3)]
[peak] = [line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")]
print(json.dumps({"peak": int(peak), "changes": [each.summary.changes for each in found]}))
"""


def peak(folder: Path, files: int) -> int:
    """Return the peak in kB of a program that detects thrice: all is new, then nothing changed, then all is sealed."""
    argv = [sys.executable, "-c", DETECT, str(folder / f"tree-{files}"), str(folder / f"work-{files}"), str(files)]
    told = json.loads(command.run(argv, env={"PYTHONPATH": "."}, cwd=str(Path(__file__).parents[3])).text)
    new, *later = told["changes"]
    assert new > files
    assert later == [0, 0]
    return int(told["peak"])


def test_finding_changes_takes_the_same_memory_for_ten_times_as_many_files(tmp_path: Path) -> None:
    few, many = peak(tmp_path, FILES), peak(tmp_path, 10 * FILES)
    assert many < few * ALLOWED, f"{few} kB for {FILES} files, {many} kB for {10 * FILES}"
