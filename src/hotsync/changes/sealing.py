"""Sealing: asks whether a folder is still as the manifest has it, all its names at once, and has folders sealed."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Self

from hotsync.manifest.seals import seal, slices
from hotsync.manifest.store import Manifest

_KEPT_AT_ONCE = 5000
_look = attrgetter("st_mode", "st_uid", "st_gid", "st_size", "st_mtime_ns", "st_ctime_ns", "st_ino", "st_nlink")


class Sealing:
    """The seals of a manifest as a walk uses them; those wanted are kept when the block ends, unless not `keep`.

    A seal is made of entries alone, never of what a walk saw: so it cannot hide what changed meanwhile.
    """

    def __init__(self, manifest: Manifest, *, keep: bool = True) -> None:
        self._manifest, self._keep = manifest, keep
        self._wanted: list[bytes] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self._flush()

    def holds(self, key: bytes, folder: int, names: Sequence[bytes], status_of: Callable[..., os.stat_result]) -> bool:
        """Given an open folder and its names in order, say whether all in it is as its seal has it."""
        known = self._manifest.seal_of(key)
        if known is None:
            return False
        try:
            # as little as can be for each name: this is the longest part of a run in which nothing changed
            found = seal(
                (some, [_look(status_of(name, dir_fd=folder, follow_symlinks=False)) for name in some])
                for some in slices(names)
            )
        except (OSError, struct.error):
            return False  # the walk will say which name it is, and why
        return found == known

    def want(self, key: bytes) -> None:
        """Have a folder sealed in which nothing was found to differ."""
        if self._keep:
            self._wanted.append(key)
            if len(self._wanted) >= _KEPT_AT_ONCE:
                self._flush()

    def _flush(self) -> None:
        wanted, self._wanted = self._wanted, []
        if wanted:
            self._manifest.keep_seals(wanted)
