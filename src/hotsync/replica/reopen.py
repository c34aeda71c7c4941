"""After a promotion that was undone: the tree is back, production has written into it, and the replica says so.

What lies there becomes a generation of its own, whose record says of everything that production touched what it was:
lost, or with other attributes only. So older generations never answer with production's content, and the MASTER, which
cannot have this generation's digest, takes the manifest and sends whatever differs.
"""

from __future__ import annotations

import stat
from collections.abc import Iterator
from dataclasses import replace
from typing import IO

from hotsync.manifest.changeset_file import ChangesetWriter, read_changes
from hotsync.manifest.store import Manifest
from hotsync.model.entry import Change, Entry, Kind, Verb
from hotsync.model.generation import Generation
from hotsync.replica.effects import Effects
from hotsync.replica.handles import Folders
from hotsync.replica.layout import Layout
from hotsync.replica.ledger import Ledger
from hotsync.replica.metadata import attributes_at, kind_of
from hotsync.replica.rebuild import render_note
from hotsync.replica.record import Kept, Old, render_kept
from hotsync.replica.touched import Touched, touched
from hotsync.system.attributes import Attributes, hash_attributes
from hotsync.system.files import sync_filesystem

STATE = "state"
LIVE = "live"
"""The manifest's `state` once the tree is on its way into production."""


def reopen(
    layout: Layout, manifest: Manifest, ledger: Ledger, effects: Effects, since: float, epoch: int, now: float
) -> Generation | None:
    """Given when production began, make what lies in the tree the next generation; None if nothing was touched.

    All of it is one transaction; cut before it, it is done anew. Raise OSError.
    """
    last, number = ledger.generations()[-1], manifest.generation + 1
    with Folders(layout.histories) as histories:
        histories.remove(str(number), effects)  # of an attempt that was cut
    folder = layout.history(number)
    for each in (folder, layout.files(number)):
        each.mkdir(mode=0o700)
    lines = folder / "changes"
    with (
        Folders(layout.tree) as tree,
        layout.record(number).open("wb") as record,
        ChangesetWriter(lines, manifest.digest) as writer,
    ):
        for change in _changes(touched(manifest, ledger, tree, since), tree, record):
            writer.write(change)
    summary = writer.summary()
    if not summary.changes:
        with Folders(layout.histories) as histories:
            histories.remove(str(number), effects)
        with effects("manifest"), manifest.transaction():
            manifest.set_meta(STATE, "")
        return None
    made = replace(
        last,
        number=number,
        digest=summary.digest,
        epoch=epoch,
        committed_at=now,
        changed=summary.changes - summary.deleted,
        deleted=summary.deleted,
        bytes=0,
        unsettled=summary.unsettled,
    )
    layout.note(number).write_bytes(render_note(made))
    sync_filesystem(layout.root)
    with effects("manifest"):
        ledger.commit(made, read_changes(lines), (), state="")
    lines.unlink()
    return made


def _changes(found: Iterator[Touched], tree: Folders, record: IO[bytes]) -> Iterator[Change]:
    """Write down what each path was, and return what it is now."""
    for one in found:
        attributes = attributes_at(tree, one.path) if one.now is not None else {}
        change = _change(one, tree, attributes)
        record.write(render_kept(_kept(one, change.verb, attributes)))
        yield change


def _change(one: Touched, tree: Folders, attributes: Attributes) -> Change:
    if one.now is None:
        return Change(Verb.DELETE, one.path)
    kind = kind_of(one.now)
    assert kind is not None
    entry = Entry(
        path=one.path,
        kind=kind,
        mode=stat.S_IMODE(one.now.st_mode),
        uid=one.now.st_uid,
        gid=one.now.st_gid,
        size=one.now.st_size if kind is Kind.FILE else 0,
        mtime_ns=one.now.st_mtime_ns,
        # the MASTER's numbers tell which names are one; what only this server has is a name by itself
        ctime_ns=0,
        inode=0,
        device=0,
        links=1,
        rdev=one.now.st_rdev if kind in (Kind.CHARACTER, Kind.BLOCK) else 0,
        target=tree.target(one.path) if kind is Kind.SYMLINK else "",
        attributes=hash_attributes(attributes),
        unsettled=True,
    )
    return Change(Verb.CONTENT if one.content else Verb.META, one.path, entry)


def _kept(one: Touched, verb: Verb, attributes: Attributes) -> Kept:
    """Return the line of the record: what the path was, as far as the replica can still tell."""
    before = one.before
    if before is None:
        return Kept(one.path, verb, Old.NOTHING)
    known = hash_attributes(attributes) == before.attributes
    if before.kind is Kind.DIRECTORY:
        # a folder is no more than its attributes
        return Kept(one.path, verb, Old.ATTRIBUTES if known else Old.LOST, before, attributes if known else {})
    if one.content or not known or before.unsettled:
        return Kept(one.path, verb, Old.LOST, before)
    return Kept(one.path, verb, Old.ATTRIBUTES, before, attributes)
