"""Sound copies of Samba's TDB files, by the real tdbbackup."""

from __future__ import annotations

import os
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hotsync.system import command
from tests.contract.sources.shadow_world import World
from tests.support.sizes import examples

pytestmark = pytest.mark.contract


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    yield World(tmp_path / "world")
    assert list((tmp_path / "world/temporary").iterdir()) == []


def tdbtool(path: Path, *commands: str) -> bytes:
    return command.run(["tdbtool", str(path)], input="\n".join((*commands, "quit", "")).encode()).stdout


def make_tdb(path: Path, **pairs: str) -> None:
    tdbtool(path.parent, f"create {path}", *(f"store {key} {value}" for key, value in pairs.items()))


def content(path: Path) -> set[bytes]:
    """Return the keys with their values, as tdbdump tells them."""
    records = command.run(["tdbdump", str(path)]).stdout.split(b"{\n")[1:]
    return {record.partition(b"}")[0] for record in records}


@contextmanager
def busy(path: Path) -> Iterator[None]:
    """Have a file written all the time while the block lasts."""
    script = f"while :; do n=$((n+1)); printf 'open {path}\\nstore n %s\\nquit\\n' $n | tdbtool >/dev/null; done"
    process = subprocess.Popen(["sh", "-c", script], start_new_session=True)
    try:
        yield
        assert process.poll() is None
    finally:
        command.kill_group(process)
        process.wait()


def test_a_file_under_constant_writes_arrives_sound_each_time(world: World) -> None:
    path = world.srv / "secrets.tdb"
    make_tdb(path, **{f"key{number}": "x" * number for number in range(1, 60)}, n="0")
    path.chmod(0o600)
    before = {one for one in content(path) if b'"n"' not in one}
    seen: set[bytes] = set()
    with busy(path):
        for _ in range(examples(5)):
            run = world.sync()
            assert (run.notices, run.stale()) == ([], {})
            arrived = run.arrived / "srv/secrets.tdb"
            assert b"integrity" in (tdbtool(arrived, "check")).lower()
            assert {one for one in content(arrived) if b'"n"' not in one} == before
            seen |= content(arrived)
    assert len(seen) >= len(before) + 3  # it was written between the copies
    assert run.fresh() == ["tdb"]
    assert sorted(os.listdir(world.srv)) == ["secrets.tdb"]


def test_a_file_that_did_not_change_is_looked_at_while_it_is_young_and_not_sent_again(world: World) -> None:
    make_tdb(world.srv / "secrets.tdb", one="1")
    assert [path for _, path in world.sync().verbs] == ["srv", "srv/secrets.tdb"]
    world.sync()
    assert world.sync().verbs == []
    os.utime(world.srv / "secrets.tdb", ns=(10**18, 10**18))
    world.sync()
    assert world.sync().verbs == []


def test_a_file_of_another_owner_than_root_is_a_file_like_others(world: World) -> None:
    path = world.srv / "mine.tdb"
    make_tdb(path, one="1")
    os.chown(path, 1, 1)
    run = world.sync()
    assert (run.arrived / "srv/mine.tdb").read_bytes() == path.read_bytes()
    assert (run.notices, run.fresh()) == ([], [])


def test_a_file_that_lets_no_other_program_in_is_a_file_like_others(world: World) -> None:
    path = world.srv / "boot.tdb"
    make_tdb(path, one="1")
    with path.open("r+b") as file:
        file.seek(40)
        file.write(struct.pack("=I", 0x0BAD1A52))
        file.seek(60)
        file.write(struct.pack("=I", 1))
    run = world.sync()
    assert (run.arrived / "srv/boot.tdb").read_bytes() == path.read_bytes()
    assert (run.notices, run.fresh()) == ([], [])


def test_a_damaged_file_keeps_its_last_good_copy(world: World) -> None:
    path = world.srv / "secrets.tdb"
    make_tdb(path, one="1")
    world.sync()
    with path.open("r+b") as file:
        file.seek(168)
        file.write(b"\xff" * (path.stat().st_size - 168))
    run = world.sync()
    assert "srv/secrets.tdb" not in [path for _, path in run.verbs]
    (notice,) = run.notices
    assert "/srv/secrets.tdb: its sound copy is" in notice


def test_without_tdbbackup_the_file_is_carried_as_it_lies_and_the_package_named(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = world.srv / "secrets.tdb"
    make_tdb(path, one="1")
    monkeypatch.setitem(command.ENVIRONMENT, "PATH", "/nowhere")
    run = world.sync()
    assert (run.arrived / "srv/secrets.tdb").read_bytes() == path.read_bytes()
    (notice,) = run.notices
    assert "tdbbackup (package tdb-tools) is missing" in notice
