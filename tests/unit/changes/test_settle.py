"""What becomes of a planned changeset when the tree does not hold still while it is sent."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Sequence
from dataclasses import replace

import pytest

from hotsync.changes.proofs import Proofs
from hotsync.changes.settle import Final, Settling
from hotsync.manifest.changeset_file import digest_of_file, read_changes
from hotsync.model.changeset import EMPTY_DIGEST
from hotsync.model.entry import Kind, sort_key
from hotsync.model.sums import render_sum
from tests.unit.changes.support import Server, selection

LATE = 4_000_000_000 * 10**9


def planned(server: Server, required: Sequence[str] = ()) -> Settling:
    detection = server.detect()
    return Settling(server.root, detection.planned, server.manifest.digest, required)


def listed(settling: Settling) -> list[str]:
    return [os.fsdecode(name) for name in settling.send_list.read_bytes().split(b"\0")[:-1]]


def final(server: Server, settling: Settling) -> tuple[Final, list[tuple[str, str, bool]]]:
    end = settling.finalize(server.work / "final")
    assert end.summary.digest == digest_of_file(server.work / "final", server.manifest.digest)
    changes = list(read_changes(server.work / "final"))
    return end, [(one.verb.value, one.path, one.entry is not None and one.entry.unsettled) for one in changes]


def paths(server: Server, settling: Settling) -> list[str]:
    return [path for _, path, _ in final(server, settling)[1]]


def test_what_held_still_is_final_as_planned_and_no_file_is_left_over(server: Server) -> None:
    server.write("data/a")
    server.write("data/b")
    settling = planned(server)
    assert listed(settling) == ["data", "data/a", "data/b"]
    assert settling.settle(LATE) == 0
    end, changes = final(server, settling)
    assert changes == [("content", "data", False), ("content", "data/a", False), ("content", "data/b", False)]
    assert end.problems == ()
    assert sorted(os.listdir(server.work)) == ["final", "manifest.db", "manifest.db-shm", "manifest.db-wal", "planned"]


def test_what_changed_is_sent_again_and_settled_when_it_holds_still(server: Server) -> None:
    server.write("data/a")
    server.write("data/b")
    settling = planned(server)
    server.write("data/b", b"more")
    assert settling.settle(LATE) == 1
    assert listed(settling) == ["data/b"]
    server.write("data/a", b"changed later, which is the next run's")
    assert settling.settle(LATE) == 0
    end, changes = final(server, settling)
    assert changes == [("content", "data", False), ("content", "data/a", False), ("content", "data/b", False)]
    assert end.summary.content_bytes == 5
    server.manifest.apply(read_changes(server.work / "final"), 1, end.summary.digest)
    assert server.verbs() == [("content", "data/a")]


def test_what_never_holds_still_is_taken_as_it_arrived_and_marked(server: Server) -> None:
    server.write("data/a")
    settling = planned(server)
    for content in (b"1", b"22", b"333"):
        server.write("data/a", content)
        assert settling.settle(LATE) == 1
    end, changes = final(server, settling)
    assert changes == [("content", "data", False), ("content", "data/a", True)]
    assert end.summary.unsettled == 1
    server.manifest.apply(read_changes(server.work / "final"), 1, end.summary.digest)
    assert server.verbs() == [("content", "data/a")]


def test_a_time_stamp_younger_than_the_sending_marks_a_file_without_sending_it_again(server: Server) -> None:
    server.write("data/a")
    settling = planned(server)
    young = os.stat(server.path("data/a")).st_ctime_ns
    assert settling.settle(young + 19_999_999) == 0
    assert ("content", "data/a", True) in final(server, settling)[1]


def test_an_unsettled_plan_settles_when_the_sending_began_late_enough(server: Server) -> None:
    server.write("data/a")
    server.clock.ns = os.stat(server.path("data/a")).st_ctime_ns
    settling = planned(server)
    settling.settle(LATE)
    assert ("content", "data/a", False) in final(server, settling)[1]


def test_a_folder_that_only_got_another_time_is_not_sent_again(server: Server) -> None:
    server.write("data/folder/a")
    settling = planned(server)
    server.write("data/folder/later")
    assert settling.settle(LATE) == 0
    final(server, settling)
    seen = {change.path: change.entry for change in read_changes(server.work / "final")}
    entry = seen["data/folder"]
    assert entry is not None
    assert entry.mtime_ns == os.stat(server.path("data/folder")).st_mtime_ns


def test_what_vanished_keeps_its_previous_version(server: Server) -> None:
    server.write("data/a")
    server.write("data/new/b")
    settling = planned(server)
    os.unlink(server.path("data/a"))
    shutil.rmtree(server.path("data/new"))
    settling.settle(LATE, vanished=["data/a", "data/new"])
    end, changes = final(server, settling)
    assert [path for _, path, _ in changes] == ["data"]
    assert {(note.code, note.path) for note in end.problems} == {("path.vanished", "data/a"),
                                                               ("path.vanished", "data/new")}  # fmt: skip


def test_nothing_is_put_into_a_new_folder_that_vanished_and_came_back(server: Server) -> None:
    server.write("data/new/b")
    settling = planned(server)
    settling.settle(LATE, unreadable={"data/new": "Input/output error"})
    end, changes = final(server, settling)
    assert [path for _, path, _ in changes] == ["data"]
    assert end.problems[0].sentence.startswith("/data/new: Input/output error")


def test_a_known_folder_that_cannot_be_sent_does_not_keep_back_what_it_holds(server: Server) -> None:
    server.write("data/folder/a")
    server.commit()
    server.write("data/folder/b")
    settling = planned(server)
    settling.settle(LATE, unreadable={"data/folder": "Input/output error"})
    assert paths(server, settling) == ["data/folder/b"]


def test_a_folder_that_became_a_file_and_vanished_keeps_all_it_held(server: Server) -> None:
    server.write("data/p/x")
    server.commit()
    shutil.rmtree(server.path("data/p"))
    server.write("data/p")
    settling = planned(server)
    os.unlink(server.path("data/p"))
    settling.settle(LATE)
    assert paths(server, settling) == ["data"]


def test_another_kind_of_object_is_left_to_the_next_run(server: Server) -> None:
    server.write("data/a")
    settling = planned(server)
    os.unlink(server.path("data/a"))
    os.mkdir(server.path("data/a"))
    assert settling.settle(LATE) == 0
    assert paths(server, settling) == ["data"]


def test_what_was_deleted_and_is_there_again_is_not_deleted(server: Server) -> None:
    for name in ("data/a", "data/folder/x", "data/gone/y"):
        server.write(name)
    server.commit()
    for name in ("data/folder", "data/gone"):
        shutil.rmtree(server.path(name))
    os.unlink(server.path("data/a"))
    settling = planned(server)
    server.write("data/a")
    server.write("data/folder/other")
    settling.settle(LATE)
    assert paths(server, settling) == ["data", "data/gone", "data/gone/y"]


def test_what_did_not_arrive_though_it_is_there_is_sent_again_and_else_left_out(server: Server) -> None:
    server.write("data/a")
    settling = planned(server)
    assert settling.settle(LATE, changed=["data/a"]) == 1
    assert settling.settle(LATE, changed=["data/a"]) == 1
    end, changes = final(server, settling)
    assert [path for _, path, _ in changes] == ["data"]
    assert [(note.code, note.path) for note in end.problems] == [("path.unsettled", "data/a")]


def test_nothing_is_put_into_a_new_folder_that_never_arrived(server: Server) -> None:
    server.write("data/new/b")
    server.write("data/new2")
    settling = planned(server)
    assert settling.settle(LATE, changed=["data/new"]) == 1
    assert paths(server, settling) == ["data", "data/new2"]


def test_a_folder_that_became_a_file_which_never_arrived_keeps_all_it_held(server: Server) -> None:
    server.write("data/p/x")
    server.commit()
    shutil.rmtree(server.path("data/p"))
    server.write("data/p")
    settling = planned(server)
    settling.settle(LATE, vanished=["data/p"])
    assert paths(server, settling) == ["data"]


def test_what_did_not_arrive_at_first_but_then_did_is_settled(server: Server) -> None:
    server.write("data/a")
    settling = planned(server)
    assert settling.settle(LATE, vanished=["data/a"]) == 1
    assert settling.settle(LATE) == 0
    assert ("content", "data/a", False) in final(server, settling)[1]


def test_a_required_dataset_stays_as_it_was_when_one_of_its_files_moves(server: Server) -> None:
    for name in ("data/db/a", "data/db/b", "data/db2"):
        server.write(name)
    settling = planned(server, ["/data/db"])
    server.write("data/db/b", b"moving")
    settling.settle(LATE)
    end, changes = final(server, settling)
    assert changes == [("content", "data", False), ("content", "data/db2", False)]
    assert [(note.code, note.path) for note in end.problems] == [("dataset.unsettled", "data/db")]


def test_a_required_dataset_stays_as_it_was_when_one_of_its_files_is_lost(server: Server) -> None:
    for name in ("data/db/a", "data/db/b"):
        server.write(name)
    settling = planned(server, ["data/db"])
    os.unlink(server.path("data/db/b"))
    settling.settle(LATE)
    assert paths(server, settling) == ["data"]


def test_a_required_dataset_that_holds_still_is_carried(server: Server) -> None:
    server.write("data/db/a")
    settling = planned(server, ["data/db"])
    settling.settle(LATE)
    assert paths(server, settling) == ["data", "data/db", "data/db/a"]


def test_deletions_alone_need_no_sending(server: Server) -> None:
    server.write("data/a")
    server.commit()
    os.utime(server.path("data"), ns=(1, 1))
    os.unlink(server.path("data/a"))
    assert paths(server, planned(server)) == ["data", "data/a"]


def test_a_file_that_moves_in_a_later_round_still_counts(server: Server) -> None:
    server.write("data/new/a")
    server.write("data/new/b")
    settling = planned(server)
    server.write("data/new/a", b"again")
    os.chmod(server.path("data/new"), 0o700)
    assert settling.settle(LATE) == 2
    shutil.rmtree(server.path("data/new"))
    assert settling.settle(LATE) == 0
    assert paths(server, settling) == ["data"]


@pytest.mark.parametrize("digest", [EMPTY_DIGEST, "ab" * 32])
def test_the_digest_goes_on_from_the_last_generation(server: Server, digest: str) -> None:
    server.write("data/a")
    settling = Settling(server.root, server.detect().planned, digest)
    settling.settle(LATE)
    end = settling.finalize(server.work / "final")
    assert end.summary.digest == digest_of_file(server.work / "final", digest)


def test_what_a_run_that_was_cut_left_behind_is_removed_by_the_next(server: Server) -> None:
    server.write("data/a")
    settling = planned(server)
    settling.settle(LATE)
    (server.work / ".planned.0123").touch()
    server.detect()
    assert sorted(os.listdir(server.work)) == ["manifest.db", "manifest.db-shm", "manifest.db-wal", "planned"]


def test_a_path_that_rsync_would_take_for_a_remark_is_listed_so_that_it_is_not(server: Server) -> None:
    server.rules = selection("+ /#a", "+ /;b", "+ /c#")
    for name in ("#a/x", ";b", "c#"):
        server.write(name)
    settling = planned(server)
    assert listed(settling) == ["./#a", "./#a/x", "./;b", "c#"]
    server.write(";b", b"changed")
    assert settling.settle(LATE, vanished=["#a/x"]) == 2
    assert listed(settling) == ["./#a/x", "./;b"]
    assert settling.settle(LATE) == 0
    assert paths(server, settling) == ["#a", "#a/x", ";b", "c#"]


def proven(server: Server) -> Settling:
    """Return the settling of a run whose every file is known to be there already, by its sum."""
    sums = server.work / "sums"
    paths = sorted((entry.path for entry in server.entries() if entry.kind is Kind.FILE), key=sort_key)
    digests = {path: hashlib.sha256((server.root / path).read_bytes()).digest() for path in paths}
    sums.write_bytes(b"".join(render_sum(path, digest) for path, digest in digests.items()))
    dirty = [replace(entry, unsettled=True, ctime_ns=0) for entry in server.entries()]
    server.manifest.replace(dirty, server.manifest.generation, server.manifest.digest)
    detection = server.detect(proofs=Proofs(server.root, sums))
    return Settling(server.root, detection.planned, server.manifest.digest)


def test_what_the_slave_has_already_is_not_sent_and_its_attributes_are_in_the_changeset(server: Server) -> None:
    server.write("data/a")
    server.write("data/b")
    server.commit()
    os.chmod(server.path("data/a"), 0o640)
    settling = proven(server)
    assert listed(settling) == ["data"]
    assert settling.settle(LATE) == 0
    end, changes = final(server, settling)
    assert changes == [("meta", "data", False), ("meta", "data/a", False), ("meta", "data/b", False)]
    assert end.summary.content_bytes == 0


def test_what_the_slave_has_already_is_sent_if_it_changes_before_the_commit(server: Server) -> None:
    server.write("data/a")
    server.write("data/b")
    server.commit()
    settling = proven(server)
    server.write("data/b", b"more")
    assert settling.settle(LATE) == 1
    assert listed(settling) == ["data/b"]
    assert settling.settle(LATE) == 0
    assert final(server, settling)[1] == [
        ("meta", "data", False), ("meta", "data/a", False), ("content", "data/b", False),
    ]  # fmt: skip


def test_what_the_slave_had_and_never_arrived_anew_keeps_its_previous_version(server: Server) -> None:
    server.write("data/b")
    server.commit()
    settling = proven(server)
    for content in (b"1", b"22", b"333"):
        server.write("data/b", content)
        assert settling.settle(LATE, changed=["data/b"]) == 1
    end, changes = final(server, settling)
    assert changes == [("meta", "data", False)]
    assert [problem.code for problem in end.problems] == ["path.unsettled"]


def test_a_sum_that_differs_and_a_path_without_one_are_sent(server: Server) -> None:
    server.write("data/a")
    server.write("data/b")
    server.write("data/c")
    server.commit()
    settling = proven(server)
    lines = (server.work / "sums").read_bytes().splitlines(keepends=True)
    (server.work / "sums").write_bytes(lines[0].replace(b'","', b'","0')[:-4] + b'"]\n' + lines[2])
    settling = Settling(
        server.root, server.detect(proofs=Proofs(server.root, server.work / "sums")).planned, server.manifest.digest
    )
    assert listed(settling) == ["data", "data/a", "data/b"]
