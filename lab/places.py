"""Where the lab keeps its things, and the locks that let several people use them at once."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
from collections.abc import Iterator
from pathlib import Path

from lab.command import LabError, say

CACHE = Path(os.environ.get("HOTSYNC_LAB_CACHE", "/var/cache/hotsync-lab"))
RUN = Path("/run/hotsync-lab")
CHECKOUT = Path(__file__).resolve().parent.parent

HOSTS = ("master", "slave")


def check_name(name: str) -> str:
    """Given a lab's name, return it; raise LabError if it would not fit into the names made from it."""
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,19}", name):
        raise LabError(f"{name!r} is no name for a lab: small letters, digits and dashes, at most 20")
    return name


@contextlib.contextmanager
def locked(what: str) -> Iterator[None]:
    """Hold one lock, waiting for it and saying so; a killed holder leaves nothing behind.

    The locks lie beside what they protect: a test of a fresh clone may have a /run of its own.
    """
    folder = CACHE / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / what).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"waiting for another that works on {what}")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
