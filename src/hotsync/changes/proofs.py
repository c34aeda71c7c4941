"""What the SLAVE has already although its manifest does not say so: content that has one sum on both sides.

After a rejoin, or with a manifest that was lost and made anew, every entry there differs from ours, and yet nearly all
of the content is the same. Equal size and time prove nothing of two servers that were both written to.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from hotsync.changes.verbs import in_range
from hotsync.errors import ProtocolError
from hotsync.manifest.changeset_file import read_lines
from hotsync.manifest.store import Manifest
from hotsync.model.entry import Entry, sort_key
from hotsync.model.sums import parse_sum
from hotsync.system.sums import sum_of_file
from hotsync.system.trees import opened


class Proofs:
    """The sums of the SLAVE's files, held against ours; to be asked in the order of a walk."""

    def __init__(self, root: Path, sums: Path) -> None:
        self._root = root
        self._lines = self._read(sums)
        self._next = next(self._lines, None)
        self.proven_bytes = 0

    def holds(self, entry: Entry, manifest: Manifest) -> bool:
        """Given a file as it is here, return whether the SLAVE has its content and its attributes.

        Raise ProtocolError if the SLAVE's sums are no such list.
        """
        theirs = self._sum_of(sort_key(entry.path))
        if theirs is None:
            return False
        known = manifest.get(entry.path)
        # attributes beside the mode do not travel in a changeset
        if known is None or known.attributes != entry.attributes or self._sum_here(entry) != theirs:
            return False
        self.proven_bytes += entry.size
        return True

    def _sum_of(self, key: bytes) -> bytes | None:
        while self._next is not None and self._next[0] < key:
            self._next = next(self._lines, None)
        return self._next[1] if self._next is not None and self._next[0] == key else None

    def _sum_here(self, entry: Entry) -> bytes | None:
        """Return the sum of a file that still is the one of its entry, else None."""
        try:
            with opened(self._root, entry.path, os.O_RDONLY | os.O_NONBLOCK) as file:
                status = os.fstat(file)
                if (status.st_size, in_range(status.st_mtime_ns), in_range(status.st_ctime_ns)) != (
                    entry.size, entry.mtime_ns, entry.ctime_ns,
                ):  # fmt: skip
                    return None
                return sum_of_file(os.dup(file))
        except OSError:
            return None

    @staticmethod
    def _read(sums: Path) -> Iterator[tuple[bytes, bytes]]:
        last = b""
        for line in read_lines(sums):
            path, digest = parse_sum(line)
            key = sort_key(path)
            if key <= last:
                raise ProtocolError(reason="the list of sums is not sorted")
            last = key
            yield key, digest
