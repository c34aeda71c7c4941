"""All volumes of a database's container are copied as of one moment; what no container finds again is named."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hotsync.backends.coverage_processes import held_for_writing
from hotsync.sources.frozen.frozen import Frozen
from hotsync.sources.frozen.store import load_copies
from hotsync.system import command
from hotsync.system.clock import SystemClock
from tests.contract.sources import containers, servers
from tests.contract.sources.containers import Container, Master

# each run starts servers, which wait for the disk
pytestmark = pytest.mark.timeout(900)

CLOCK = SystemClock()
BUSY = (
    "CREATE TABLE given AS SELECT 0::bigint AS n;"
    "CREATE TABLE taken TABLESPACE other AS SELECT 0::bigint AS n;"
    "CREATE TABLE story (t text) TABLESPACE other;"
    "CREATE PROCEDURE busy() LANGUAGE plpgsql AS $$ BEGIN LOOP"
    "  UPDATE given SET n = n + 1; INSERT INTO story VALUES (repeat(md5(random()::text), 5));"
    "  UPDATE taken SET n = n - 1; COMMIT; END LOOP; END $$"
)


@pytest.fixture(scope="module")
def master() -> Iterator[Master]:
    with containers.master() as host:
        yield host


@pytest.fixture(autouse=True)
def _nothing_is_copied_yet(master: Master) -> Iterator[None]:
    yield
    shutil.rmtree(master.paths.frozen, ignore_errors=True)
    for folder in (master.paths.root / "srv").iterdir():
        shutil.rmtree(folder)


def folder_of(master: Master, name: str) -> Path:
    folder = master.paths.root / "srv" / name
    folder.mkdir()
    return folder


@contextmanager
def server(master: Master, script: str, *more: str) -> Iterator[Container]:
    """A shell that passes for MongoDB, as a container runs it."""
    volume = folder_of(master, "books")
    shutil.copy("/bin/sh", volume / "mongod")
    argv = ("/data/mongod", "-c", f"{script}; : >/data/ready; while sleep 0.1; do :; done")
    with master.engine.container("books", volume, "/data", argv, *more, layered=True) as container:
        containers.wait_for(volume / "ready", container)
        yield container


NAME = "mongod in container books"


def told(frozen: Frozen) -> list[str]:
    return [error.sentence for error in frozen.failed]


def covered(frozen: Frozen) -> list[str]:
    return [cover.path for cover in frozen.covers]


def test_a_tablespace_of_postgresql_is_of_the_same_moment_also_when_nothing_in_it_is_open(
    master: Master, postgresql_template: Path
) -> None:
    inside, volume, other = "/var/lib/postgresql/data", folder_of(master, "paperless"), folder_of(master, "other")
    volume.rmdir()
    shutil.copytree(postgresql_template, volume, symlinks=True)
    command.run(["chown", "-R", "postgres:postgres", str(volume), str(other)])
    argv = (str(servers.PG_BIN / "postgres"), "-D", inside, "-k", inside, "-c", "listen_addresses=")
    # the volume is not its user's own: what lies in it is known by the link to it alone
    disk = folder_of(master, "disk")
    other.rename(disk / "other")
    mounts = ["--user", "postgres", "--volume", f"{disk}:/mnt"]
    # one that is its user's own may be written at any moment; one that is not, with nothing open, is somebody else's
    for name in ("archive", "dumps"):
        mounts += ["--volume", f"{folder_of(master, name)}:/{name}"]
    command.run(["chown", "postgres", str(disk.parent / "archive")])
    with master.engine.container("paperless", volume, inside, argv, *mounts) as container:
        containers.wait_for(volume / ".s.PGSQL.5432", container)
        while command.run([str(servers.PG_BIN / "pg_isready"), f"--host={volume}"], ok=range(4)).returncode:
            CLOCK.sleep(0.1)
        running = servers.Postgresql(volume)
        running.psql("CREATE TABLESPACE other LOCATION '/mnt/other'")
        until = CLOCK.monotonic() + 60
        running.psql("CHECKPOINT")  # no recovery makes it once more
        while opened_in(container, "/mnt"):
            assert CLOCK.monotonic() < until
            CLOCK.sleep(0.1)
        frozen = master.copied()
        assert (told(frozen), covered(frozen)) == ([], ["srv/archive", "srv/disk/other", "srv/paperless"])
        running.psql(BUSY)
        calling = (str(servers.PG_BIN / "psql"), "-Xq", f"--host={volume}", "-c", "CALL busy()")
        with command.spawn(calling, stdout=command.DEVNULL, stderr=command.DEVNULL, user="postgres", cwd="/"):
            while int(running.psql("SELECT n FROM given")) < 20:
                CLOCK.sleep(0.1)
            for _ in range(2):
                frozen = master.copied()
                assert (told(frozen), covered(frozen)) == ([], ["srv/archive", "srv/disk", "srv/paperless"])
                assert moved(frozen) > 0


def opened_in(container: Container, folder: str) -> bool:
    pids = (container.group / "cgroup.procs").read_text().split()
    return any(path.startswith(f"{folder}/") for pid in pids for path, _ in held_for_writing(Path("/proc", pid)))


def moved(frozen: Frozen) -> int:
    """Start a server on the copies; return what was moved, the same in both tables."""
    _, other, data = (cover.copy for cover in frozen.covers)
    with servers.open_folder() as folder:
        for copy, name in ((other / "other", "other"), (data, "data")):
            shutil.copytree(copy, folder / name, symlinks=True)
        (link,) = (folder / "data/pg_tblspc").iterdir()
        assert os.readlink(link) == "/mnt/other"
        link.unlink()
        link.symlink_to(folder / "other")
        command.run(["chown", "-R", "postgres:postgres", str(folder / "data"), str(folder / "other")])
        with servers.postgresql(folder / "data") as found:
            given, taken = (int(found.psql(f"SELECT n FROM {table}")) for table in ("given", "taken"))
    assert given == -taken
    return given


def test_a_volume_that_was_a_servers_once_is_copied_in_its_pause_also_when_nothing_in_it_is_open(
    master: Master,
) -> None:
    two = folder_of(master, "two")
    script = "exec 3>>/data/journal; exec 4>>/two/part; (until test -e /two/closed; do sleep 0.1; done)"
    script += " && : >/data/ready & until test -e /two/closed; do sleep 0.1; done; exec 4>&-; echo more >>/two/part"
    volume = folder_of(master, "books")
    shutil.copy("/bin/sh", volume / "mongod")
    argv = ("/data/mongod", "-c", f"{script}; : >/two/done; while sleep 0.1; do :; done")
    with master.engine.container("books", volume, "/data", argv, "--volume", f"{two}:/two") as container:
        while not opened_in(container, "/two"):
            CLOCK.sleep(0.1)
        assert covered(master.copied()) == ["srv/books", "srv/two"]
        (two / "closed").touch()
        containers.wait_for(two / "done", container)
        assert not opened_in(container, "/two")
        frozen = master.copied()
        assert (told(frozen), covered(frozen)) == ([], ["srv/books", "srv/two"])
        assert (frozen.covers[1].copy / "part").read_text() == "more\n"
        assert len({known.taken_at for known in load_copies(master.paths.frozen)}) == 1
        assert [point.name for point in frozen.points] == [NAME]
    # in another container of that name it is none of its volumes
    volume.joinpath("ready").unlink(missing_ok=True)
    shutil.rmtree(volume)
    with server(master, "exec 3>>/data/journal"):
        frozen = master.copied()
        assert (told(frozen), covered(frozen)) == ([], ["srv/books", "srv/two"])
        assert len({known.taken_at for known in load_copies(master.paths.frozen)}) == 2


def test_files_in_a_volume_without_a_name_are_copied_and_a_fault_as_no_container_finds_them_again(
    master: Master,
) -> None:
    with server(master, "exec 3>>/data/journal; exec 4>>/db/part", "--volume", "/db", "--volume", "/configdb"):
        frozen = master.copied()
    (books, nameless) = covered(frozen)
    assert re.fullmatch(r"var/lib/containers/storage/volumes/[0-9a-f]{64}/_data", nameless)
    assert (books, (frozen.covers[1].copy / "part").exists()) == ("srv/books", True)
    (sentence,) = told(frozen)
    assert (NAME in sentence, "name it in the compose file" in sentence) == (True, True)
    assert [error.exit_code for error in frozen.failed] == [7]
    assert [(point.name, point.taken_at, point.stale_since > 0) for point in frozen.points] == [(NAME, 0.0, True)]


def test_a_log_in_a_volume_without_a_name_or_in_the_container_is_no_fault(master: Master) -> None:
    script = "mkdir -p /var/log/books && exec 3>>/data/journal; exec 4>>/db/books.log; exec 5>>/var/log/books/today"
    with server(master, script, "--volume", "/db"):
        frozen = master.copied()
    assert told(frozen) == []
    assert [(point.name, point.stale_since) for point in frozen.points] == [(NAME, 0.0)]


def test_data_in_the_container_itself_are_named_though_a_volume_holds_something_else(master: Master) -> None:
    with server(master, "mkdir -p /opt/books && exec 3>>/data/books.log; exec 4>>/opt/books/000007.log"):
        frozen = master.copied()
    (sentence,) = told(frozen)
    assert (NAME in sentence, "lie in the container itself" in sentence) == (True, True)
    assert covered(frozen) == ["srv/books"]
    assert [(point.taken_at, point.stale_since > 0) for point in frozen.points] == [(0.0, True)]
