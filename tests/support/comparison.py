"""Two folders compared by rsync and by the kernel's own words, with no code of HotSync in between."""

from __future__ import annotations

import os
import stat
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

RSYNC = ["rsync", "-naicHAXS", "--modify-window=-1", "--delete", "--numeric-ids"]  # c: contents, whatever times say


def differences(expected: Path, found: Path, roots: Iterable[str], left_out: Iterable[str] = ()) -> list[str]:
    """Given two places and folders that both hold, return what differs: names, metadata, contents, hard links.

    `left_out` are paths (relative to the places) of which the second need not have anything.
    """
    out = [path.rstrip("/") for path in left_out]
    lines: list[str] = []
    for root in roots:
        lines += [f"/{root}: {line}" for line in _rsync(expected / root, found / root, root, out)]
    if not lines:
        lines += _link_differences(expected, found, roots, out)
    return lines


def never_carried(expected: Path, found: Path, root: str) -> list[str]:
    """Given a folder that is carried but for some of what it holds, return the paths that are not."""
    lines = _rsync(expected / root, found / root, root, [])
    strange = [line for line in lines if line[2:11] != "+" * 9]
    assert strange == [], strange
    return [f"{root}/{line.split(' ', 1)[1].partition(' -> ')[0]}" for line in lines]


def _rsync(expected: Path, found: Path, root: str, left_out: list[str]) -> list[str]:
    excludes = [f"--exclude=/{path.removeprefix(root + '/')}" for path in left_out if path.startswith(root + "/")]
    argv = [*RSYNC, *excludes, f"{expected}/", f"{found}/"]
    done = subprocess.run(argv, capture_output=True, text=True, errors="surrogateescape", check=False)
    said = [line for line in done.stderr.splitlines() if line]
    # a socket is nothing that can be copied, and rsync would make one anew
    lines = [line for line in done.stdout.splitlines() if line and not line.startswith((".S", "cS"))]
    return lines + said + ([f"rsync ended with {done.returncode}"] if done.returncode and not said else [])


def _link_differences(expected: Path, found: Path, roots: Iterable[str], left_out: list[str]) -> list[str]:
    """Return names that are one file in one place only; rsync sees those that are missing, not those too many."""
    here, there = (set(_groups(place, roots, left_out)) for place in (expected, found))
    return [f"linked on one side only: {sorted(group)}" for group in here ^ there]


def _groups(place: Path, roots: Iterable[str], left_out: list[str]) -> Iterator[frozenset[bytes]]:
    names: dict[int, set[bytes]] = {}
    skipped = {os.fsencode(path) for path in left_out}
    base = os.fsencode(place)
    for root in roots:
        for folder, _, files in os.walk(os.path.join(base, os.fsencode(root))):
            for name in files:
                path = os.path.join(folder, name)
                status = os.lstat(path)
                relative = os.path.relpath(path, base)
                if status.st_nlink > 1 and not stat.S_ISSOCK(status.st_mode) and relative not in skipped:
                    names.setdefault(status.st_ino, set()).add(relative)
    return (frozenset(group) for group in names.values() if len(group) > 1)
