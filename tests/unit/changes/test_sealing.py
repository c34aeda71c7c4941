"""Sealed folders: compared at once, and never other than name by name."""

from __future__ import annotations

import os
import random
import stat

from hypothesis import given, settings
from hypothesis import strategies as st

from hotsync.model.entry import sort_key
from tests.unit.changes.support import Server
from tests.unit.changes.test_laws import a_server, mutate

SECOND = 10**9


def sealed(server: Server) -> list[bytes]:
    with server.manifest.transaction() as db:
        return [row[0] for row in db.execute("SELECT folder FROM seal ORDER BY folder")]


def a_mailbox(server: Server) -> None:
    for name in ("a", "b", "c"):
        server.write(f"data/cur/{name}")
        os.utime(server.path(f"data/cur/{name}"), ns=(SECOND, SECOND))
    server.commit()
    assert server.detect().empty


def looks(server: Server) -> list[bytes]:
    """Detect, and return the names that were looked at: of a folder in which all is as it was, each once."""
    names: list[bytes] = []

    def status_of(name: bytes, **more: object) -> os.stat_result:
        names.append(name)
        return os.stat(name, **more)  # type: ignore[arg-type]

    assert server.detect(status_of=status_of).empty
    return names


def test_a_folder_in_which_nothing_differed_is_sealed_and_looked_at_once(server: Server) -> None:
    a_mailbox(server)
    assert sealed(server) == [sort_key("data/cur")]
    found = looks(server)
    assert sorted(found) == sorted(set(found))
    assert server.detect().entries == 5


def test_a_file_that_changed_in_a_sealed_folder_is_found_alone(server: Server) -> None:
    a_mailbox(server)
    server.write("data/cur/b", b"longer")
    assert server.verbs() == [("content", "data/cur/b")]
    os.utime(server.path("data/cur/b"), ns=(SECOND, SECOND))
    server.write("data/cur/b", b"y")
    os.utime(server.path("data/cur/b"), ns=(SECOND, SECOND))  # size and mtime as before: the ctime tells
    assert server.verbs() == [("content", "data/cur/b")]


def test_a_name_that_came_or_went_in_a_sealed_folder_is_found(server: Server) -> None:
    a_mailbox(server)
    server.write("data/cur/bb")
    os.unlink(server.path("data/cur/c"))
    assert server.verbs() == [("meta", "data/cur"), ("content", "data/cur/bb"), ("delete", "data/cur/c")]


def test_what_becomes_a_generation_breaks_the_seal_of_its_folder_only(server: Server) -> None:
    a_mailbox(server)
    server.write("data/new/1")
    server.commit()
    assert server.detect().empty
    assert sealed(server) == [sort_key("data/cur"), sort_key("data/new")]
    server.write("data/new/1", b"longer")
    server.commit()
    assert sealed(server) == [sort_key("data/cur")]


def test_a_manifest_that_was_taken_from_the_peer_has_no_seals(server: Server) -> None:
    a_mailbox(server)
    manifest = server.manifest
    manifest.replace(list(manifest.entries()), manifest.generation, manifest.digest)
    assert sealed(server) == []
    assert server.detect().empty


def test_a_file_too_young_to_be_trusted_keeps_its_folder_from_being_sealed(server: Server) -> None:
    server.write("data/cur/a")
    server.clock.ns = os.stat(server.path("data/cur/a")).st_ctime_ns
    server.commit()
    server.clock.ns = 4_000_000_000 * SECOND
    assert ("content", "data/cur/a") in server.verbs()
    server.detect()
    assert sealed(server) == []


def test_a_socket_in_a_folder_is_told_in_every_run(server: Server) -> None:
    a_mailbox(server)
    os.mknod(server.path("data/cur/socket"), stat.S_IFSOCK | 0o600)
    server.commit()
    for _ in range(3):
        assert [remark.code for remark in server.detect().remarks] == ["skipped.socket"]


def test_a_dry_run_seals_nothing(server: Server) -> None:
    server.write("data/cur/a")
    server.commit()
    assert server.detect(keep_seals=False).empty
    assert sealed(server) == []


def test_a_folder_of_more_names_than_are_sealed_at_once_is_sealed_all_the_same(server: Server) -> None:
    os.makedirs(server.path("data/cur"))
    for number in range(2001):
        os.symlink("x", server.path(f"data/cur/{number:05}"))
    server.commit()
    assert server.detect().empty
    found = looks(server)
    assert len(found) == len(set(found))
    os.unlink(server.path("data/cur/01500"))
    os.symlink("y", server.path("data/cur/01500"))
    assert ("content", "data/cur/01500") in server.verbs()


@settings(max_examples=60)
@given(st.integers(0, 2**32), st.lists(st.integers(0, 4), min_size=2, max_size=8))
def test_seals_change_nothing_of_what_is_found(seed: int, runs: list[int]) -> None:
    dice = random.Random(seed)
    with a_server() as server:
        os.mkdir(server.path("data"))
        for mutations in runs:
            for _ in range(mutations):
                mutate(server, dice)
            with_seals = (server.changes(), server.detect(keep_seals=False).entries)
            with server.manifest.transaction() as db:
                kept = db.execute("SELECT folder, seal FROM seal").fetchall()
                db.execute("DELETE FROM seal")
            assert (server.changes(keep_seals=False), server.detect(keep_seals=False).entries) == with_seals
            server.manifest.keep_seals(folder for folder, _ in kept)
            with server.manifest.transaction() as db:
                assert db.execute("SELECT folder, seal FROM seal").fetchall() == kept
            if mutations % 2:
                server.commit()
