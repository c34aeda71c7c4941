"""The servers of one kind on a host: names, one each and the same ones from run to run.

A server has its unit's name. Where several have the same (two in one unit, `mariadb@a` beside `mysqld@a`), each has a
second part besides, which is made of its own socket or configuration and of nothing else: neither the order in which
they are found nor which of them run now changes it. One that was collected under its longer name keeps that one.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import replace

from hotsync.errors import CommandFailed
from hotsync.sources.source import Dataset
from hotsync.system.command import run

LAST_SYSTEM_ACCOUNT = 999
_APART = "--"
_PLAIN = re.compile(r"[A-Za-z0-9.]+(?:/[A-Za-z0-9.]+)*")
_LONGEST = 40


def longer_name(instance: str, place: str) -> str:
    """Given the name of an instance and a path (or a unit) that is its own, return the name that is its alone."""
    bare = place.strip("/")
    shown = re.sub(r"[^A-Za-z0-9.]", "_", bare)
    if not _PLAIN.fullmatch(bare) or len(shown) > _LONGEST:
        # what is shown does not tell it from every other one
        fingerprint = hashlib.sha256(place.encode("utf-8", "surrogateescape")).hexdigest()[:8]
        shown = f"{shown[-_LONGEST:]}-{fingerprint}"
    return f"{instance}{_APART}{shown}"


def is_there(path: str) -> bool:
    """Return whether something lies at a path; where the disk does not say, it does."""
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True


def told_apart(servers: Sequence[tuple[Dataset, str]], collected: Collection[str]) -> list[Dataset]:
    """Given servers, each with the path that is its alone, and the names that were collected before, name them."""
    names = Counter(dataset.instance for dataset, _ in servers)
    named: list[Dataset] = []
    for dataset, place in servers:
        longer = longer_name(dataset.instance, place)
        if names[dataset.instance] > 1 or longer in collected:
            named.append(replace(dataset, instance=longer))
        else:
            named.append(replace(dataset, other_name=longer))
    return named


def with_failure(dataset: Dataset) -> Dataset:
    """Given a server that does not run, say so if it was not stopped but died."""
    if not dataset.parked or not dataset.unit:
        return dataset
    try:
        failed = run(("systemctl", "is-failed", "--quiet", dataset.unit), ok=(0, 1, 3, 4)).returncode == 0
    except CommandFailed:
        return dataset
    return replace(dataset, parked=False, fault=f"{dataset.unit} has failed") if failed else dataset


def is_set_up(owner: int, unit: str, pid: int) -> bool:
    """Given whose a server's process is, its unit and its number, return whether the administrator set it up: a system
    account runs it, or it is the main process of a unit of the system."""
    return owner <= LAST_SYSTEM_ACCOUNT or _is_main_process(unit, pid)


def _is_main_process(unit: str, pid: int) -> bool:
    """Return whether a process is the one for which a unit of the system is there; where nobody says so, it is not."""
    if not unit:
        return False
    try:
        return run(("systemctl", "show", "--property=MainPID", "--value", unit)).text.strip() == str(pid)
    except CommandFailed:
        return False
