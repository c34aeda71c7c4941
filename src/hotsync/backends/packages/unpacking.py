"""While packages are unpacked: no clock ends it, and a word says afterwards whether it was cut."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from hotsync.system.files import write_atomic
from hotsync.system.paths import Paths

SECONDS = 24 * 3600.0
"""None that matters: whoever kills dpkg or rpm at work breaks the package database. hotsync-slave's unit ends before,
and that leaves the word behind."""


@contextmanager
def under_way(paths: Paths) -> Iterator[None]:
    """Leave a word while packages are being unpacked; it stays only if we are ended meanwhile."""
    write_atomic(paths.install_under_way, b"", mode=0o600)
    try:
        yield
    except Exception:
        paths.install_under_way.unlink(missing_ok=True)
        raise
    paths.install_under_way.unlink(missing_ok=True)
