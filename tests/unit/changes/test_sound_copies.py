"""A walk in which sound copies come into the place of files that must not be copied live."""

from __future__ import annotations

import os
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

import pytest

from hotsync.changes import folders
from hotsync.changes.detect import detect
from hotsync.changes.settle import Settling
from hotsync.manifest.changeset_file import read_changes
from hotsync.model.entry import Change, Verb
from tests.unit.changes.support import Server

MAGIC = b"MAGIC" * 12


@dataclass
class Copies:
    """Puts another file into the place of each that begins with the magic word, as a mount would."""

    server: Server
    lying: dict[bytes, bytes] = field(default_factory=dict)
    aside: dict[bytes, set[bytes]] = field(default_factory=dict)
    heads: list[bytes] = field(default_factory=list)

    def hidden(self, folder: bytes) -> AbstractSet[bytes]:
        return self.aside.get(folder, frozenset())

    def hides(self, key: bytes) -> bool:
        folder, _, name = key.rpartition(b"\0")
        return name in self.hidden(folder)

    def covers(self, key: bytes) -> bool:
        return False

    def lies_at(self, path: str) -> bool:
        return path.encode().replace(b"/", b"\0") in self.lying

    def met(self, folder: int, key: bytes, head: bytes, status: os.stat_result) -> bool:
        self.heads.append(head)
        if not head.startswith(MAGIC) or key in self.lying:
            return False
        above, _, name = key.rpartition(b"\0")
        new = self.server.path(b"work " + name)
        with open(new, "wb") as file:
            file.write(MAGIC + b" sound")
        os.chmod(new, 0o640)
        os.replace(new, self.server.path(key.replace(b"\0", b"/")))
        self.lying[key] = name
        self.aside.setdefault(above, set()).update({name + b"-wal", name + b"-shm"})
        return True


def detected(server: Server, copies: Copies) -> list[Change]:
    found = detect(
        server.root, server.rules, server.manifest, server.work / "planned", server.clock, frozenset(),
        server.manifest.digest, table={}, copies=copies,
    )  # fmt: skip
    changes = list(read_changes(found.planned))
    server.manifest.apply(changes, server.manifest.generation + 1, found.summary.digest)
    return changes


@pytest.fixture(params=["list", "spilled"])
def spilled(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "spilled":
        monkeypatch.setattr(folders, "_LARGE_FOLDER", 0)


@pytest.mark.usefixtures("spilled")
def test_the_entry_is_the_copys_and_what_lies_beside_the_live_file_is_left_out(server: Server) -> None:
    server.write("data/base.db", MAGIC + b" torn")
    for name in ("base.db-shm", "base.db-wal", "base.db.bak", "a-wal", "other-wal"):
        server.write(f"data/{name}", b"x")
    copies = Copies(server)
    changes = detected(server, copies)
    assert [change.path for change in changes] == [
        "data", "data/a-wal", "data/base.db", "data/base.db.bak", "data/other-wal"
    ]  # fmt: skip
    entry = changes[2].entry
    status = os.stat(server.path("data/base.db"))
    assert entry is not None
    assert (entry.inode, entry.size, entry.mode) == (status.st_ino, len(MAGIC) + 6, 0o640)
    assert [change.path for change in detected(server, copies)] == ["data"]  # this copy came by a rename


def test_only_files_that_changed_are_shown(server: Server) -> None:
    server.write("data/plain", b"one" * 50)
    server.write("data/small", b"one")
    server.write("data/folder/empty", b"")
    os.symlink("plain", server.path("data/link"))
    copies = Copies(server)
    detected(server, copies)
    assert copies.heads == [(b"one" * 50)[:64]]
    copies.heads.clear()
    detected(server, copies)
    assert copies.heads == []


def test_what_was_carried_and_is_left_out_now_is_deleted_also_while_it_lies_there(server: Server) -> None:
    server.write("data/base.db", b"not yet")
    server.write("data/base.db-wal", b"log")
    copies = Copies(server)
    detected(server, copies)
    server.write("data/base.db", MAGIC + b" torn")
    found = detect(
        server.root, server.rules, server.manifest, server.work / "planned", server.clock, frozenset(),
        server.manifest.digest, table={}, copies=copies,
    )  # fmt: skip
    settling = Settling(server.root, found.planned, server.manifest.digest, (), copies)
    settling.settle(server.clock.now_ns())
    settling.finalize(server.work / "final")
    verbs = [(change.verb, change.path) for change in read_changes(server.work / "final")]
    assert (Verb.DELETE, "data/base.db-wal") in verbs
    assert (Verb.CONTENT, "data/base.db") in verbs


def test_another_file_in_the_place_of_a_copy_is_not_carried_in_its_stead(server: Server) -> None:
    server.write("data/base.db", MAGIC + b" torn")
    server.write("data/other", b"x")
    copies = Copies(server)
    found = detect(
        server.root, server.rules, server.manifest, server.work / "planned", server.clock, frozenset(),
        server.manifest.digest, table={}, copies=copies,
    )  # fmt: skip
    for name in ("base.db", "other"):
        server.write(f"new {name}", b"replaced")
        os.replace(server.path(f"new {name}"), server.path(f"data/{name}"))
    settling = Settling(server.root, found.planned, server.manifest.digest, (), copies)
    assert settling.settle(server.clock.now_ns()) == 1  # the other file is sent again
    assert settling.settle(server.clock.now_ns()) == 0
    final = settling.finalize(server.work / "final")
    assert [change.path for change in read_changes(server.work / "final")] == ["data", "data/other"]
    assert [(notice.code, notice.path) for notice in final.problems] == [("dataset.unsettled", "data/base.db")]
