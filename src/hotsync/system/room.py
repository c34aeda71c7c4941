"""Room on a disk that something of unknown length is written to: a part of it is never taken."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Self

LEAST_FREE = 64 * 1024 * 1024
_LOOK = 1024 * 1024


class Floor:
    """What must stay free of the disk below a folder while something is written there."""

    def __init__(self, folder: Path, least: int = LEAST_FREE) -> None:
        self.least = least
        self._folder = folder
        self._unseen = 0

    @classmethod
    def half(cls, folder: Path) -> Self:
        """Return a floor at half of what is free now: others work on that disk, too. Raise OSError."""
        return cls(folder, max(LEAST_FREE, _free(folder) // 2))

    def take(self, size: int) -> None:
        """So much is about to be written: raise OSError, as a full disk does, where it would go below the floor.

        The disk is looked at once in a while: what is short passes as long as there is any room at all.
        """
        self._unseen += size
        if self._unseen < _LOOK:
            return
        self._unseen = 0
        if _free(self._folder) < self.least:
            words = f"{self.least // _LOOK} MiB of the disk must stay free"
            raise OSError(errno.ENOSPC, words, str(self._folder))


def _free(folder: Path) -> int:
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize
