"""What detect lists, the real rsync carries, and settling tells the truth about what arrived."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from hotsync.changes.settle import Settling
from hotsync.manifest.changeset_file import read_changes
from hotsync.system.command import run
from tests.contract.changes.test_walk import oddities
from tests.unit.changes.support import Server, selection

pytestmark = pytest.mark.contract
CARRY = ["rsync", "-aHAXXS", "--numeric-ids", "--modify-window=-1", "--no-implied-dirs", "--partial", "--from0"]


def send(server: Server, settling: Settling, staging: Path, *more: str) -> int:
    sent_at = time.time_ns()
    run([*CARRY, *more, f"--files-from={settling.send_list}", f"{server.root}/", f"{staging}/"], ok=(0, 23, 24))
    return sent_at


def differences(server: Server, staging: Path) -> list[str]:
    """Return what rsync would still have to do, by content, to make staging the root."""
    argv = [*CARRY[:4], "-n", "--checksum", "--delete", "--itemize-changes", f"{server.root}/", f"{staging}/"]
    return [line for line in run(argv).text.splitlines() if "/socket" not in line and not line.endswith(" ./")]


@pytest.fixture
def staging(tmp_path: Path) -> Path:
    (tmp_path / "staging").mkdir()
    return tmp_path / "staging"


def test_every_oddity_that_is_listed_arrives(server: Server, staging: Path) -> None:
    oddities(server.path("data"))
    names = [
        "#remark",
        ";remark",
        "-option",
        " blank",
        "#folder/inside",
        "*",
        "[a]",
        "a\\b",
        "~",
        "new\nline",
        ":x",
        "b::y",
    ]
    for name in names:
        server.write(name)
    tops = sorted({name.partition("/")[0] for name in [*names, "data"]})
    escaped = ["".join(f"[{sign}]" if sign in "*?[" else sign for sign in name) for name in tops]
    server.rules = selection(*(f"+ /{name}" for name in escaped))
    settling = Settling(server.root, server.detect().planned, server.manifest.digest)
    sent_at = send(server, settling, staging)
    assert settling.settle(sent_at) == 0
    settling.finalize(server.work / "final")
    arrived = {
        os.fsdecode(path)
        for path in run(["find", str(staging), "-mindepth", "1", "-printf", r"%P\0"]).stdout.split(b"\0")[:-1]
    }
    assert {change.path for change in read_changes(server.work / "final")} == arrived
    assert differences(server, staging) == []


def test_a_change_that_keeps_size_and_time_is_sent_again_and_arrives(server: Server, staging: Path) -> None:
    server.write("data/a", b"one")
    before = os.stat(server.path("data/a"))
    settling = Settling(server.root, server.detect().planned, server.manifest.digest)
    sent_at = send(server, settling, staging)
    server.write("data/a", b"two")
    os.utime(server.path("data/a"), ns=(before.st_atime_ns, before.st_mtime_ns))
    assert settling.settle(sent_at) == 1
    sent_at = send(server, settling, staging, "--ignore-times")
    settling.settle(sent_at)
    assert (staging / "data" / "a").read_bytes() == b"two"
    # the time of the folder moved when its file came anew: the replica sets it from the entry
    assert differences(server, staging) == [".d..t...... data/"]


def test_what_rsync_found_vanished_is_not_in_the_final_changeset(server: Server, staging: Path) -> None:
    server.write("data/a")
    server.write("data/b")
    settling = Settling(server.root, server.detect().planned, server.manifest.digest)
    os.unlink(server.path("data/b"))
    settling.settle(send(server, settling, staging))
    final = settling.finalize(server.work / "final")
    assert [change.path for change in read_changes(server.work / "final")] == ["data", "data/a"]
    assert [note.code for note in final.problems] == ["path.vanished"]
