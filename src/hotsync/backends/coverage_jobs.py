"""The crontabs of this host, and what their jobs name, for `hotsync coverage`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from hotsync.model.coverage.jobs import JobSeen, Named, named_in
from hotsync.system.files import read_small
from hotsync.system.trees import names_in

_OF_THE_SYSTEM = ("/etc/cron.d",)
_OF_USERS = ("/var/spool/cron/crontabs", "/var/spool/cron")
_STARTED_WHOLE = ("/etc/cron.hourly", "/etc/cron.daily", "/etc/cron.weekly", "/etc/cron.monthly")


def read_jobs(root: Path) -> list[JobSeen]:
    """Given a root, return what the jobs of its cron name: files and folders that are there, where they really lie."""
    top = os.path.realpath(root).rstrip("/")
    found = [JobSeen(file, where) for file, named in _named(top) if (where := _located(top, named)) is not None]
    return list(dict.fromkeys(found))


def _named(top: str) -> Iterator[tuple[str, Named]]:
    system = ["/etc/crontab", *(path for folder in _OF_THE_SYSTEM for path in _files(top, folder))]
    users = [path for folder in _OF_USERS for path in _files(top, folder)]
    for paths, with_users in ((system, True), (users, False)):
        for path in paths:
            text = read_small(f"{top}{path}", whole=False).decode("utf-8", "replace")
            for named in named_in(text, users=with_users):
                yield path, named
    for folder in _STARTED_WHOLE:
        yield from ((path, Named(path, starts=True)) for path in _files(top, folder))


def _files(top: str, folder: str) -> list[str]:
    """Return what lies in a folder, without folders, and without what cron leaves out (NAME.dpkg-old, .placeholder)."""
    return [
        f"{folder}/{name}"
        for name in names_in(f"{top}{folder}")
        if not name.startswith(".") and ".dpkg-" not in name and not os.path.isdir(f"{top}{folder}/{name}")
    ]


def _located(top: str, named: Named) -> Named | None:
    """Return what is named as it really lies; None if it is not there: then nothing of it is lost."""
    real = os.path.realpath(f"{top}{named.path}")
    is_there = real.startswith(f"{top}/") and (os.path.isfile(real) or os.path.isdir(real))
    return replace(named, path=real[len(top) :]) if is_there else None
