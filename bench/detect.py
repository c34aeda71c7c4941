"""How long "nothing changed" takes: HotSync's walk and comparison beside find and rsync, in one run on one machine.

    .venv/bin/python -m bench.detect [--files 300000 --files 1000000] [--folder FOLDER] [--out docs/bench]

Trees of small files are made once below the folder and kept for the next run (remove the folder when done). Every
figure is the best of three, with warm caches; memory is the largest the program ever held.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # nothing of HotSync is loaded into what starts and measures the others
    from hotsync.changes.detect import Detection

ROOT = Path(__file__).resolve().parents[1]
PER_FOLDER = 100
FIND = "%p\\0%y\\0%m\\0%U\\0%G\\0%s\\0%T@\\0%C@\\0%i\\0%n\\0"


@dataclass(frozen=True, slots=True)
class Measured:
    """One program: seconds on the wall and of CPU, and its largest size in memory."""

    name: str
    wall: float
    cpu: float
    megabytes: float


def make_tree(folder: Path, files: int) -> None:
    """Given how many small files are wanted, make them below `folder` unless they are there."""
    ready = folder.with_suffix(".ready")
    if ready.exists():
        return
    shutil.rmtree(folder, ignore_errors=True)
    for number in range(files // PER_FOLDER):
        place = folder / "home" / f"user{number // 200:03}" / "Maildir" / f"folder{number % 200:03}"
        place.mkdir(parents=True)
        for message in range(PER_FOLDER):
            (place / f"{number:06}.{message:03}.mail.example.org:2,S").write_bytes(b"x" * (message + 1))
    ready.touch()


def make_copy(tree: Path, copy: Path) -> None:
    """Make a copy for rsync to compare with: of links, which is all the same to a comparison by stat."""
    ready = copy.with_suffix(".ready")
    if not ready.exists():
        shutil.rmtree(copy, ignore_errors=True)
        subprocess.run(["cp", "-al", tree, copy], check=True)
        ready.touch()


def measure(name: str, argv: Sequence[str | Path], times: int = 3) -> Measured:
    """Given a command, run it some times and return its best figures."""
    best: Measured | None = None
    for _ in range(times):
        started = time.monotonic()
        process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, cwd=ROOT, env={**os.environ, "PYTHONPATH": "src"})
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise SystemExit(f"{name} failed ({process.returncode})")
        wall = time.monotonic() - started
        if best is None or wall < best.wall:
            best = Measured(name, wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024 / 1e6)
    assert best is not None
    return best


def detect_once(tree: Path, work: Path) -> Detection:
    """Run HotSync's detection once, and return it; what it found becomes the manifest."""
    from hotsync.changes.detect import detect
    from hotsync.manifest.changeset_file import read_changes
    from hotsync.manifest.store import Manifest
    from hotsync.model.selection import Action, Rule, Selection
    from hotsync.system.clock import SystemClock

    rules = [Rule("/home", Action.INCLUDE, "bench"), Rule("/home/*/.cache", Action.EXCLUDE, "bench")]
    with Manifest(work / "manifest.db") as manifest:
        found = detect(tree, Selection(rules), manifest, work / "planned", SystemClock(), frozenset(), manifest.digest)
        if not found.empty:
            manifest.apply(read_changes(work / "planned"), manifest.generation + 1, found.summary.digest)
    return found


def compare(folder: Path, files: int) -> list[Measured]:
    """Return the figures of all programs on a tree of so many files, in which nothing changed."""
    tree, copy, work = folder / f"tree-{files}", folder / f"copy-{files}", folder / f"work-{files}"
    make_tree(tree, files)
    make_copy(tree, copy)
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    ours: list[str | Path] = [sys.executable, "-m", "bench.detect", "--once", tree, work]
    first = measure("HotSync, first run", ours, times=1)
    second = measure("HotSync, second run (seals the folders)", ours, times=1)
    return [
        measure("find -printf", ["find", tree, "-printf", FIND]),
        measure("rsync -an --delete", ["rsync", "-aHn", "--delete", f"{tree}/", f"{copy}/"]),
        measure("HotSync, nothing changed", ours),
        second,
        first,
    ]


def render(files: int, rows: Sequence[Measured]) -> str:
    """Return the table of one tree, as Markdown."""
    lines = ["| way | wall | CPU | memory | wall to find |", "|---|--:|--:|--:|--:|"]
    for row in rows:
        ratio = row.wall / rows[0].wall
        lines.append(f"| {row.name} | {row.wall:.2f} s | {row.cpu:.2f} s | {row.megabytes:.0f} MB | {ratio:.2f} |")
    return f"{files:,} files\n\n" + "\n".join(lines) + "\n"


def main() -> None:
    """Measure each size and print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--files", type=int, action="append", help="how many files (may be given several times)")
    parser.add_argument("--folder", type=Path, default=Path("/var/tmp/hotsync-bench"))
    parser.add_argument("--out", type=Path, help="write detect.md there")
    parser.add_argument("--once", type=Path, nargs=2, metavar=("TREE", "WORK"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.once:
        detect_once(*options.once)
        return
    options.folder.mkdir(parents=True, exist_ok=True)
    tables = [render(files, compare(options.folder, files)) for files in options.files or (300_000, 1_000_000)]
    print("\n".join(tables))
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        (options.out / "detect.md").write_text("\n".join(tables))


if __name__ == "__main__":
    main()
