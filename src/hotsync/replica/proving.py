"""Sums of files that never arrived: those of a tree whose manifest was made anew. They are read once, and kept.

It takes as long as reading all of them, so the lock is held only to write down what was read: a promotion does not
wait for it.
"""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing
from itertools import islice
from pathlib import Path
from typing import Protocol

from hotsync.errors import ReplicaError
from hotsync.manifest.store import Manifest
from hotsync.replica.handles import Folders
from hotsync.replica.layout import Layout
from hotsync.replica.ledger import Ledger
from hotsync.replica.sums import SumWriter

_BATCH = 500
log = logging.getLogger(__name__)


class Held(Protocol):
    """The replica while its lock is held."""

    @property
    def manifest(self) -> Manifest: ...  # noqa: D102
    @property
    def ledger(self) -> Ledger: ...  # noqa: D102


def take_sums(layout: Layout, path: Path, hold: Callable[[], AbstractContextManager[Held]]) -> None:
    """Given a replica and how it is held, note a sum for every file of the tree that has none and only one name."""
    with Manifest(path) as manifest, closing(Ledger(manifest)) as ledger, Folders(layout.tree) as tree:
        first, missing, counted = manifest.generation, ledger.without_sum(), 0
        while batch := list(islice(missing, _BATCH)):
            if not counted:
                log.warning("reading the files of the tree: their sums are not known")
            sums = list(_sums(tree, batch))
            counted += len(sums)
            with hold() as held:
                if held.manifest.generation != first:
                    raise ReplicaError(reason="a generation came while the sums of the last one were taken")
                held.ledger.keep_sums(sums)


def _sums(tree: Folders, paths: list[str]) -> Iterator[tuple[str, bytes]]:
    written = io.BytesIO()
    with SumWriter(written) as sums:
        for path in paths:
            status = tree.stat(path)
            if status is not None:  # else the next commit finds out that the tree has lost it
                sums.add(path, tree.open_file(path), status.st_size)
    for line in written.getvalue().splitlines():
        name, digest = json.loads(line)
        yield name, bytes.fromhex(digest)
