"""What leaves a run because the SLAVE cannot store it, and when that is a failure of the run."""

from __future__ import annotations

import os

import pytest

from hotsync.changes.settle import Settling
from hotsync.errors import ReplicaError
from hotsync.manifest.changeset_file import read_changes
from hotsync.model.unstored import Unstored
from tests.unit.changes.support import Server

LATE = 4_000_000_000 * 10**9
REASON = "the SLAVE cannot store it (whatever)"


def planned(server: Server) -> Settling:
    return Settling(server.root, server.detect().planned, server.manifest.digest)


def unstored(*paths: str) -> list[Unstored]:
    return [Unstored((path,), REASON) for path in paths]


def listed(settling: Settling) -> list[str]:
    return [os.fsdecode(name) for name in settling.send_list.read_bytes().split(b"\0")[:-1]]


def end(server: Server, settling: Settling) -> tuple[list[str], list[tuple[str, str]]]:
    final = settling.finalize(server.work / "final")
    changes = [change.path for change in read_changes(server.work / "final")]
    return changes, [(note.code, note.path) for note in final.problems]


def test_what_is_not_stored_leaves_with_what_is_in_it_and_the_rest_stays(server: Server) -> None:
    for name in ("a", "b", "new/x", "z"):
        server.write(f"data/{name}")
    settling = planned(server)
    assert settling.settle(LATE, unstored=unstored("data/.b.x1Y2z3", "data/new")) == 0
    assert end(server, settling) == (
        ["data", "data/a", "data/z"],
        [("path.unstored", "data/b"), ("path.unstored", "data/new")],
    )


def test_in_a_folder_that_the_slave_has_the_rest_goes_on_though_its_attributes_are_not_stored(server: Server) -> None:
    server.write("data/folder/old")
    server.commit()
    os.chmod(server.path("data/folder"), 0o700)
    server.write("data/folder/new")
    settling = planned(server)
    settling.settle(LATE, unstored=unstored("data/folder"))
    assert end(server, settling) == (["data/folder/new"], [("path.unstored", "data/folder")])


def test_all_names_of_a_file_stay_as_they_were(server: Server) -> None:
    server.write("data/m")
    for name in ("a", "z"):
        os.link(server.path("data/m"), server.path(f"data/{name}"))
    server.write("data/other")
    settling = planned(server)
    settling.settle(LATE, unstored=unstored("data/m"))
    changes, told = end(server, settling)
    assert changes == ["data", "data/other"]
    assert [path for _, path in told] == ["data/a", "data/m", "data/z"]


def test_it_is_heard_in_the_second_round_as_well(server: Server) -> None:
    server.write("data/a")
    server.write("data/b")
    settling = planned(server)
    server.write("data/b", b"more")
    assert settling.settle(LATE) == 1
    assert settling.settle(LATE, unstored=unstored("data/b")) == 0
    assert end(server, settling) == (["data", "data/a"], [("path.unstored", "data/b")])


def test_after_a_sending_that_ended_early_everything_else_is_sent_again_and_looked_at_then(server: Server) -> None:
    for name in ("a", "b", "c", "gone"):
        server.write(f"data/{name}")
    server.commit()
    for name in ("a", "b", "c"):
        server.write(f"data/{name}", b"new content")
    os.unlink(server.path("data/gone"))
    settling = planned(server)
    first = listed(settling)
    server.write("data/a", b"changed while it was sent")
    assert settling.settle(LATE, unstored=unstored("data/b"), cut=True) == len(first) - 1
    assert listed(settling) == [path for path in first if path != "data/b"]
    server.write("data/gone", b"there again")
    assert settling.settle(LATE) == 1
    assert listed(settling) == ["data/a"]
    assert settling.settle(LATE) == 0
    assert end(server, settling) == (["data", "data/a", "data/c"], [("path.unstored", "data/b")])


@pytest.mark.parametrize("path", ["", "etc/passwd", "data/.zz.x1Y2z3", "data/a/b"])
def test_words_that_mean_nothing_of_the_run_fail_it(server: Server, path: str) -> None:
    server.write("data/a")
    settling = planned(server)
    with pytest.raises(ReplicaError, match=r"could not store what was sent: .*whatever"):
        settling.settle(LATE, unstored=unstored(path))


def test_very_many_paths_fail_the_run_only_if_they_are_most_of_it(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hotsync.changes.left_out.MANY", 3)
    for name in "abcdefgh":
        server.write(f"data/{name}")
    settling = planned(server)
    words = unstored(*(f"data/{name}" for name in "abcde"))
    with pytest.raises(ReplicaError, match="5 of the 9 paths of this run"):
        settling.settle(LATE, unstored=words)
    settling = planned(server)
    settling.settle(LATE, unstored=words[:4])
    assert end(server, settling)[0] == ["data", "data/e", "data/f", "data/g", "data/h"]
    os.unlink(server.path("data/a"))
    settling = planned(server)
    settling.settle(LATE, unstored=words[1:4])
    assert end(server, settling)[0] == ["data", "data/e", "data/f", "data/g", "data/h"]
