"""What the SLAVE must hold: the MASTER's own files, kept as they were at each generation, and compared from outside."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import PIPE, Popen
from typing import Any

from lab import Lab
from tests.support.comparison import differences, never_carried

REPLICA = "var/lib/hotsync/replica"
ROOTS = ("etc", "home", "opt", "root", "srv", "usr/local", "var/www", "var/mail", "var/lib/hotsync/spool")
_KEPT = "var/cache/expected"  # never carried, and on the same disk


class Twin:
    """A paired lab, and for each generation what the MASTER was."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.roots = [root for root in ROOTS if (lab.master.root / root).is_dir()]
        # of /etc, some is never carried; what that is, shows a generation in which nothing went wrong
        with self._both() as (master, tree):
            self.left_out = never_carried(master, tree, "etc")

    @property
    def replica(self) -> Path:
        """The SLAVE's replica, seen from out here."""
        return self.lab.slave.root / REPLICA

    @property
    def tree(self) -> Path:
        """Its tree."""
        return self.replica / "tree"

    @property
    def journal(self) -> Path:
        """What a commit says it does; there only while one goes on."""
        return self.replica / "journal"

    def keep(self, generation: int) -> None:
        """Keep the MASTER's files as they are now as what a generation must be."""
        script = 'mkdir -p "$0" && cd / && cp -a --parents "$@" "$0"'
        self.lab.master.run(["sh", "-c", script, f"/{_KEPT}/{generation}", *self.roots])

    def compare(self, generation: int) -> list[str]:
        """Return what differs between the SLAVE's tree and what a generation must be."""
        with self._both() as (master, tree):
            return differences(master / _KEPT / str(generation), tree, self.roots, self.left_out)

    def compare_now(self) -> list[str]:
        """Return what differs between the SLAVE's tree and the MASTER as it is now."""
        with self._both() as (master, tree):
            return differences(master, tree, self.roots, self.left_out)

    @contextmanager
    def _both(self) -> Iterator[tuple[Path, Path]]:
        """Return where the MASTER's disk and the SLAVE's tree are, for any program out here."""
        with self.lab.master.mounted() as master, self.lab.slave.mounted() as slave:
            yield master, slave / REPLICA / "tree"

    def leftovers(self, generation: int) -> list[str]:
        """Return what a commit or a transfer left that the SLAVE, at this generation and at rest, must not have."""
        names = {path.name for path in self.replica.iterdir()} - {"ballast"}
        wrong = sorted(names - {"tree", "staging", "history", "work"})
        for folder in ("staging", "work"):
            stale = {path.name for path in (self.replica / folder).iterdir()} - {str(generation + 1)}
            wrong += [f"{folder}/{name}" for name in sorted(stale)]
        return wrong


class Running:
    """A run of hotsync on the MASTER that is watched while it goes on."""

    def __init__(self, twin: Twin, *options: str) -> None:
        self.journal = twin.journal
        self.started = time.monotonic()
        self.committing: float | None = None  # since when
        self.ended: float | None = None
        command = ["hotsync", "--json", "--accept-changes", *options]
        self.process: Popen[bytes] = twin.lab.master.spawn(command, stderr=PIPE)

    def watch(self, at: Callable[[float, float | None], bool]) -> None:
        """Ask `at` again and again, with the seconds since the start and since the commit began (None: not yet).

        Return when it says yes, or the run is over.
        """
        while not self.over:
            now = time.monotonic()
            there = self.journal.exists()
            if there and self.committing is None:
                self.committing = now
            if self.committing is not None and not there and self.ended is None:
                self.ended = now
            if at(now - self.started, None if self.committing is None else now - self.committing):
                return
            time.sleep(0.0005)

    @property
    def over(self) -> bool:
        """Whether the run has ended."""
        return self.process.poll() is not None

    def result(self) -> tuple[int, dict[str, Any], str]:
        """Wait for the end of the run; return exit code, record ({} if it left none) and what it said."""
        out, err = self.process.communicate(timeout=300)
        return self.process.returncode, json.loads(out) if out.strip() else {}, err.decode(errors="replace")


def rehearse(twin: Twin) -> tuple[float, float]:
    """Run once undisturbed; return how many seconds it took, and its commit of them."""
    run = Running(twin)
    run.watch(lambda seconds, commit: False)
    seconds = time.monotonic() - run.started
    code, record, said = run.result()
    assert code == 0, (record, said)
    assert run.committing is not None, "the journal was not seen"
    return seconds, (run.ended or time.monotonic()) - run.committing
