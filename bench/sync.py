"""HotSync beside the original's way, in one run on one machine: wall, CPU of both ends, bytes on the wire, memory.

    .venv/bin/python -m bench.sync [--files 300000] [--size 8192] [--folder /var/tmp/hotsync-bench] [--out docs/bench]

Needs root and the programs of `PROGRAMS`. Ends with 3 if what was promised was missed at full size, 1 if it failed. The
MASTER's tree is made once; both ways bring the same tree to copies of their own, case by case, and after every case
both copies are compared with it. docs/bench.md tells what is measured.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.plot import plot
from bench.stand import BenchError, Measured
from bench.targets import FULL_SIZE, Target, sentence, targets
from bench.ways import CARRIED, Way, hotsync, original

PER_FOLDER = 100
MOVED, MOVED_TO = "archive", "archive-2026"
NOTHING = "nothing changed"
MISSED = 3
"""The exit status if a promise was not kept."""
PROGRAMS = {
    "rsync": "rsync", "stunnel4": "stunnel4", "openssl": "openssl", "ip": "iproute2", "ss": "iproute2",
    "nsenter": "util-linux", "systemd-socket-activate": "systemd",
}  # fmt: skip
"""What both ways run besides HotSync, and the package that brings it."""


@dataclass(frozen=True, slots=True)
class Row:
    """One case by one way; of several rounds the fastest."""

    case: str
    way: str
    best: Measured


@dataclass(frozen=True, slots=True)
class Case:
    """What is done to the tree before both ways run, and how often."""

    name: str
    change: Callable[[], None]
    rounds: int = 1


class Tree:
    """The MASTER's tree: mail-like small files in folders of a hundred, a third of them below one folder."""

    def __init__(self, root: Path, files: int, size: int) -> None:
        self.root, self.files, self.size = root / CARRIED, files, size
        self._chance = random.Random(2)
        words = ["".join(self._chance.choices("etaoinshrdlu", k=self._chance.randint(2, 9))) for _ in range(20_000)]
        self._text = " ".join(self._chance.choices(words, k=3_000_000)).encode()

    def make(self) -> None:
        """Write all files."""
        for folder in range(self.files // PER_FOLDER):
            above = MOVED if folder % 3 == 0 else f"user{folder % 200:03}"
            place = self.root / above / "Maildir" / f"folder{folder:05}"
            place.mkdir(parents=True)
            for name in self._names(folder):
                (place / name).write_bytes(self._content())

    def _names(self, folder: int) -> Iterator[str]:
        for message in range(PER_FOLDER):
            yield f"{1_700_000_000 + folder}.{message:03}.mail.example.org:2,S"

    def _content(self) -> bytes:
        # text that compresses like text, a third of it like an attachment
        length = min(int(self._chance.expovariate(1 / self.size)) + 64, 64 * self.size)
        begin = self._chance.randrange(len(self._text) - length)
        return self._text[begin : begin + length * 2 // 3] + self._chance.randbytes(length // 3)

    def rewrite(self, count: int) -> None:
        """Give so many files, spread over the tree, another content."""
        for _ in range(count):
            folder = self._chance.randrange(self.files // PER_FOLDER)
            if folder % 3 == 0:
                folder = (folder + 1) % (self.files // PER_FOLDER)
            place = self.root / f"user{folder % 200:03}" / "Maildir" / f"folder{folder:05}"
            name = self._chance.choice(list(self._names(folder)))
            (place / name).write_bytes(self._content())

    def move(self) -> None:
        """Rename the folder that holds a third of the files."""
        os.rename(self.root / MOVED, self.root / MOVED_TO)

    def chmod(self) -> None:
        """Change the mode of all that is in it."""
        subprocess.run(["chmod", "-R", "go-rwx", self.root / MOVED_TO], check=True)

    def cases(self, rounds: int) -> tuple[Case, ...]:
        """Return what is measured, in order."""
        changed = max(self.files // 300, 1)
        return (
            Case("first copy", lambda: None),
            Case(NOTHING, lambda: None, rounds),
            Case(f"{changed:,} files changed", lambda: self.rewrite(changed), rounds),
            Case(f"mv of a folder with {self.files // 3:,} files", self.move),
            Case("chmod -R of it", self.chmod),
        )


def check_programs(programs: Mapping[str, str]) -> None:
    """Given programs with their packages, raise BenchError that names all which are not here, and what to install."""
    missing = [name for name in programs if shutil.which(name) is None]
    if missing:
        packages = dict.fromkeys(programs[name] for name in missing)
        raise BenchError(f"not installed here: {', '.join(missing)} (apt install {' '.join(packages)})")


def differences(tree: Path, copy: Path) -> list[str]:
    """Return what rsync, asked after, finds different between two trees."""
    argv = ["rsync", "-naiHA", "--delete", "--numeric-ids", f"{tree}/", f"{copy}/"]
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout.splitlines()


def measure_case(case: Case, tree: Tree, ways: list[Way]) -> list[Row]:
    """Run a case by all ways, taking turns at who goes first; return the best of each."""
    best: dict[str, Measured] = {}
    for number in range(case.rounds):
        case.change()
        for way in ways if number % 2 == 0 else reversed(ways):
            os.sync()
            with way.stand.measuring() as found:
                way.run()
            say(f"  {case.name}, {way.name}: {found[0].wall:.2f} s, CPU {found[0].cpu:.2f} s")
            if way.name not in best or found[0].wall < best[way.name].wall:
                best[way.name] = found[0]
    for way in ways:
        if found_differences := differences(tree.root, way.copy):
            raise BenchError(f"after {case.name!r} the copy of {way.name} differs: {found_differences[:5]}")
    return [Row(case.name, way.name, best[way.name]) for way in ways]


def compare(tree: Tree, work: Path, rounds: int, cases: int | None = None) -> list[Row]:
    """Measure all cases, or the first so many; raise BenchError if a way fails or a copy differs from the tree."""
    rows: list[Row] = []
    source = tree.root.parent
    with original(source, work / "original") as first, hotsync(source, work / "hotsync") as second:
        say("The tree is made, both ways are set up.")
        for case in tree.cases(rounds)[:cases]:
            rows += measure_case(case, tree, [first, second])
    return rows


def say(line: str) -> None:
    """Tell the person at the keyboard how far it is."""
    print(line, file=sys.stderr, flush=True)


def amount(number: float) -> str:
    """Return bytes as a person reads them."""
    for unit in ("B", "kB", "MB"):
        if number < 1000:
            return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1000
    return f"{number:.2f} GB"


def render(rows: list[Row]) -> str:
    """Return the table, as Markdown; below each case what of the original's figures is how many times HotSync's."""
    lines = [
        "| case | way | wall | CPU MASTER | CPU SLAVE | CPU both | wire | memory |",
        "|---|---|--:|--:|--:|--:|--:|--:|",
    ]
    for theirs, ours in zip(rows[::2], rows[1::2], strict=True):
        for row, case in ((theirs, theirs.case), (ours, "")):
            m = row.best
            lines.append(
                f"| {case} | {row.way} | {m.wall:.2f} s | {m.cpu_master:.2f} s | {m.cpu_slave:.2f} s | {m.cpu:.2f} s "
                f"| {amount(m.wire)} | {amount(m.memory)} |"
            )
        t, o = theirs.best, ours.best
        lines.append(
            f"| | original / HotSync | **{t.wall / o.wall:.1f}** | | | **{t.cpu / o.cpu:.1f}** "
            f"| **{t.wire / o.wire:.1f}** | {t.memory / o.memory:.1f} |"
        )
    return "\n".join(lines) + "\n"


def render_memory(rows: list[Row]) -> str:
    """Return the table of what each program of HotSync held at most; of both agents, the larger one."""
    names = ("hotsync", "hotsyncd", "rsync")
    lines = [f"| case | {' | '.join(names)} |", "|---|--:|--:|--:|"]
    for row in rows[1::2]:
        held = [[size for line, size in row.best.largest if name in line.split()] for name in names]
        lines.append(f"| {row.case} | {' | '.join(amount(max(sizes)) if sizes else '' for sizes in held)} |")
    return "\n".join(lines) + "\n"


def promises(rows: list[Row], files: int) -> tuple[Target, ...]:
    """Return what was promised, with what was found; nothing for a small tree, or if the case was not measured."""
    quiet = [row.best for row in rows if row.case == NOTHING]
    return targets(*quiet) if quiet and files >= FULL_SIZE else ()


def text_of(title: str, rows: list[Row], found: tuple[Target, ...]) -> str:
    """Return the page: title, table, and what became of the promises."""
    promised = f"\n{sentence(found)}\n" if found else ""
    return f"{title}\n\n{render(rows)}{promised}\nMemory of HotSync's programs:\n\n{render_memory(rows)}"


def write_out(rows: list[Row], out: Path, title: str, text: str) -> None:
    """Write figures, table and plot into a folder."""
    out.mkdir(parents=True, exist_ok=True)
    (out / "sync.json").write_text(json.dumps({"title": title, "rows": [asdict(row) for row in rows]}, indent=1) + "\n")
    (out / "sync.md").write_text(text)
    bars = [(row.case, row.way, row.best.wall, row.best.cpu, float(row.best.wire)) for row in rows]
    (out / "sync.svg").write_text(plot(title, bars))


def main() -> int:
    """Measure, print the table, write figures and plot where they are wanted."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--files", type=int, default=300_000)
    parser.add_argument("--size", type=int, default=8192, help="average size of a file")
    parser.add_argument("--rounds", type=int, default=3, help="of the cases that can be repeated; the best counts")
    parser.add_argument("--cases", type=int, help="only the first so many of the five (default: all)")
    parser.add_argument("--folder", type=Path, default=Path("/var/tmp/hotsync-bench"))
    parser.add_argument("--out", type=Path, help="write sync.json, sync.md and sync.svg there")
    options = parser.parse_args()
    try:
        check_programs(PROGRAMS)  # now, and not when the tree is made and one end waits for the other in vain
    except BenchError as error:
        say(f"Error: {error}")
        return 1
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was set up is taken away
    work: Path = options.folder / f"sync-{os.getpid()}"
    tree = Tree(work / "master", options.files, options.size)
    try:
        work.mkdir(parents=True)
        tree.make()
        rows = compare(tree, work, options.rounds, options.cases)
    except BenchError as error:
        say(f"Error: {error}")
        return 1
    finally:
        shutil.rmtree(work, ignore_errors=True)
    title = f"{options.files:,} files of {amount(options.size)} on average, {os.cpu_count()} cores"
    found = promises(rows, options.files)
    text = text_of(title, rows, found)
    if options.out:
        write_out(rows, options.out, title, text)
    print(text)
    for target in found:
        if not target.kept:
            say(f"Missed: {target}")
    return 0 if all(target.kept for target in found) else MISSED


if __name__ == "__main__":
    sys.exit(main())
