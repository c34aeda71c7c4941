"""A lost manifest, made anew from the tree: every entry is dirty, so that the MASTER looks at all of it again.

What a generation was is noted beside its history, too; so no generation is lost with the manifest.
"""

from __future__ import annotations

import json
import logging
import stat
from collections.abc import Iterator

from hotsync.errors import ReplicaError
from hotsync.manifest.store import Manifest
from hotsync.model.changeset import chain_digest
from hotsync.model.entry import Entry, Kind
from hotsync.model.generation import Generation
from hotsync.replica.handles import Folders, Walk
from hotsync.replica.layout import Layout, numbers_in
from hotsync.replica.ledger import Ledger, generation_from_json, generation_to_json
from hotsync.replica.metadata import attributes_at, kind_of
from hotsync.system.attributes import hash_attributes
from hotsync.system.files import sync_directory, write_atomic

log = logging.getLogger(__name__)


def render_note(generation: Generation) -> bytes:
    """Return what is kept of a generation beside its history."""
    return json.dumps(generation_to_json(generation), indent=1).encode("ascii") + b"\n"


def noted_generations(layout: Layout) -> list[Generation]:
    """Return the generations that the folders of history tell of, oldest first; raise ReplicaError on a damaged one."""
    found: list[Generation] = []
    for number in numbers_in(layout.histories):
        try:
            found.append(generation_from_json(json.loads(layout.note(number).read_bytes())))
        except FileNotFoundError:
            continue
        except (ValueError, KeyError, TypeError) as error:
            raise ReplicaError(reason=f"{layout.note(number)} is damaged ({error})") from error
    return found


def is_lost(layout: Layout, manifest: Manifest, in_flight: int = 0) -> bool:
    """Return whether the manifest knows of nothing although generations other than the one in flight were committed."""
    if manifest.generation:
        return False
    return any(layout.note(number).exists() for number in numbers_in(layout.histories) if number != in_flight)


def rebuild(layout: Layout, manifest: Manifest, ledger: Ledger) -> None:
    """Fill an empty manifest from tree and history. Its digest is one that the MASTER's cannot be equal to."""
    generations = noted_generations(layout)
    last = generations[-1]
    log.warning("the manifest was lost: generation %d is read from the tree again", last.number)
    ledger.remember(generations)
    with Folders(layout.tree) as tree:
        digest = chain_digest(last.digest, [b"rebuilt from the tree\n"])
        manifest.replace(_entries(tree), last.number, digest)


def take_tree(layout: Layout, manifest: Manifest, ledger: Ledger, generation: Generation) -> None:
    """Make the manifest one of what lies in the tree, as `generation`, whatever it was before; in one transaction.

    Every entry is dirty. Without it the generation is read from beside its history, as of any other.
    """
    folder = layout.history(generation.number)
    layout.files(generation.number).mkdir(mode=0o700, parents=True, exist_ok=True)
    write_atomic(layout.record(generation.number), b"", mode=0o600)
    write_atomic(layout.note(generation.number), render_note(generation), mode=0o600)
    sync_directory(folder)
    with Folders(layout.tree) as tree:
        ledger.start_anew(_entries(tree), generation)


def _entries(tree: Folders) -> Iterator[Entry]:
    for path, status in Walk(tree):
        kind = kind_of(status)
        if kind is None:
            continue
        yield Entry(
            path=path,
            kind=kind,
            mode=stat.S_IMODE(status.st_mode),
            uid=status.st_uid,
            gid=status.st_gid,
            size=status.st_size if kind is Kind.FILE else 0,
            mtime_ns=status.st_mtime_ns,
            ctime_ns=0,
            # the SLAVE's own: they tell which names are one
            inode=status.st_ino,
            device=status.st_dev,
            links=1 if kind is Kind.DIRECTORY else status.st_nlink,
            rdev=status.st_rdev if kind in (Kind.CHARACTER, Kind.BLOCK) else 0,
            target=tree.target(path) if kind is Kind.SYMLINK else "",
            attributes=hash_attributes(attributes_at(tree, path)),
            unsettled=True,
        )
