"""Databases in containers are copied while these stand still for a moment, and the copies are sound."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest

from hotsync.changes.detect import Detection, detect, mount_table
from hotsync.manifest.changeset_file import read_changes
from hotsync.manifest.store import Manifest
from hotsync.sources.frozen import moment
from hotsync.sources.frozen.frozen import Frozen
from hotsync.sources.frozen.pause import NotPaused, paused
from hotsync.sources.shadows.shadows import Shadows
from hotsync.system import command
from hotsync.system.clock import SystemClock
from tests.contract.sources import containers, killed_runs, servers
from tests.contract.sources.containers import Container, Master
from tests.unit.changes.support import selection

# each run starts servers, which wait for the disk
pytestmark = pytest.mark.timeout(900)

INSIDE = "/var/lib/mysql"
CLOCK = SystemClock()
TRANSFERS = """
CREATE DATABASE shop; USE shop;
CREATE TABLE given (id INT PRIMARY KEY, n BIGINT) ENGINE=InnoDB; INSERT INTO given VALUES (1, 0);
CREATE TABLE taken (id INT PRIMARY KEY, n BIGINT) ENGINE=InnoDB; INSERT INTO taken VALUES (1, 0);
CREATE TABLE story (id INT AUTO_INCREMENT PRIMARY KEY, t VARCHAR(2000)) ENGINE=InnoDB;
DELIMITER //
CREATE PROCEDURE busy() BEGIN
  LOOP
    START TRANSACTION;
    UPDATE given SET n = n + 1; INSERT INTO story (t) VALUES (REPEAT(UUID(), 5)); UPDATE taken SET n = n - 1;
    COMMIT;
  END LOOP;
END //
DELIMITER ;
"""


NAME = "mariadbd in container shop-db"
WRITING = """
import pathlib, sqlite3
db = sqlite3.connect("/data/db.sqlite3", isolation_level=None)
db.execute("PRAGMA journal_mode=WAL")
for table in ("given", "taken"):
    db.execute(f"CREATE TABLE {table} (n)")
    db.execute(f"INSERT INTO {table} VALUES (0)")
for count in range(10**9):
    db.execute("BEGIN")
    db.execute("UPDATE given SET n = n + 1")
    db.execute("UPDATE taken SET n = n - 1")
    db.execute("COMMIT")
    if count == 100:
        pathlib.Path("/data/ready").touch()
"""


class Later(SystemClock):
    """A clock that is so far ahead that no file counts as written just now."""

    def now_ns(self) -> int:
        return super().now_ns() + 3600 * 10**9


@pytest.fixture(scope="module")
def host() -> Iterator[Master]:
    with containers.master() as host:
        yield host


@pytest.fixture
def master(host: Master) -> Iterator[Master]:
    """The MASTER, on which nothing was copied yet."""
    yield host
    shutil.rmtree(host.paths.frozen, ignore_errors=True)


@pytest.fixture(scope="module")
def shop(host: Master, mariadb_template: Path) -> Iterator[Container]:
    """MariaDB in a container, its socket beside its data, with a few tables."""
    volume = host.paths.root / "srv/shop-db"
    shutil.copytree(mariadb_template, volume, symlinks=True)
    argv = ("mariadbd", "--no-defaults", "--user=root", f"--datadir={INSIDE}", f"--socket={INSIDE}/s.sock",
            "--skip-networking", "--innodb-buffer-pool-size=16M")  # fmt: skip
    with host.engine.container("shop-db", volume, INSIDE, argv) as container:
        containers.wait_for(volume / "s.sock", container)
        sql(volume / "s.sock", TRANSFERS)
        yield container


def sql(socket: Path, text: str) -> str:
    return command.run(
        ["mariadb", "--protocol=socket", f"--socket={socket}", "--batch", "--skip-column-names"], input=text.encode()
    ).text


@contextmanager
def busy(socket: Path) -> Iterator[None]:
    """Transactions, one after the other, for the block."""
    argv = ["mariadb", "--protocol=socket", f"--socket={socket}", "shop", "--execute=CALL busy()"]
    before = int(sql(socket, "SELECT n FROM shop.given"))
    with command.spawn(argv, stdout=command.DEVNULL, stderr=command.DEVNULL):
        while int(sql(socket, "SELECT n FROM shop.given")) < before + 20:
            CLOCK.sleep(0.1)
        try:
            yield
        finally:
            # the server does not notice that its client is gone
            for number in sql(socket, "SELECT id FROM information_schema.processlist WHERE db = 'shop'").split():
                sql(socket, f"KILL {number}")


def balance_of(copy: Path) -> tuple[int, int]:
    """Start a server on what a promotion would put in place; return what was given and taken."""
    with servers.mariadb(copy) as server:
        assert "error" not in server.sql("CHECK TABLE shop.given, shop.taken, shop.story").lower()
        found = server.sql("SELECT n FROM shop.given UNION ALL SELECT n FROM shop.taken").split()
    return int(found[0]), int(found[1])


def files_of(folder: Path) -> dict[str, tuple[int, int]]:
    return {
        str(path.relative_to(folder)): (path.lstat().st_ino, path.lstat().st_ctime_ns) for path in folder.rglob("*")
    }


def test_mariadb_under_load_is_carried_as_of_one_moment_and_goes_on(master: Master, shop: Container) -> None:
    socket, given = shop.volume / "s.sock", 0
    with busy(socket):
        for _ in range(2):
            frozen = master.copied()
            assert frozen.failed == []
            (point,) = frozen.points
            assert (point.name, point.stale_since) == (NAME, 0.0)
            (cover,) = frozen.covers
            assert cover.path == "srv/shop-db"
            assert not (cover.copy / "s.sock").exists()
            given, taken = balance_of(cover.copy)
            assert given == -taken > 0
    assert (shop.state, shop.is_still()) == ("running", False)
    assert int(sql(socket, "SELECT n FROM shop.given")) >= given


def test_postgresql_under_load_is_carried_as_of_one_moment_and_goes_on(
    master: Master, postgresql_template: Path
) -> None:
    volume, inside = master.paths.root / "srv/paperless", "/var/lib/postgresql/data"
    shutil.copytree(postgresql_template, volume, symlinks=True)
    command.run(["chown", "-R", "postgres:postgres", str(volume)])
    argv = (str(servers.PG_BIN / "postgres"), "-D", inside, "-k", inside, "-c", "listen_addresses=")
    with master.engine.container("paperless", volume, inside, argv, "--user", "postgres") as container:
        containers.wait_for(volume / ".s.PGSQL.5432", container)
        # the socket is there before it lets anybody in
        while command.run([str(servers.PG_BIN / "pg_isready"), f"--host={volume}"], ok=range(4)).returncode:
            CLOCK.sleep(0.1)
        server = servers.Postgresql(volume)
        server.psql(
            "CREATE TABLE given AS SELECT 0::bigint AS n; CREATE TABLE taken AS SELECT 0::bigint AS n;"
            "CREATE TABLE story (t text);"
            "CREATE PROCEDURE busy() LANGUAGE plpgsql AS $$ BEGIN LOOP"
            "  UPDATE given SET n = n + 1; INSERT INTO story VALUES (repeat(md5(random()::text), 5));"
            "  UPDATE taken SET n = n - 1; COMMIT; END LOOP; END $$"
        )
        calling = (str(servers.PG_BIN / "psql"), "-Xq", f"--host={volume}", "-c", "CALL busy()")
        with command.spawn(calling, stdout=command.DEVNULL, stderr=command.DEVNULL, user="postgres", cwd="/"):
            while int(server.psql("SELECT n FROM given")) < 20:
                CLOCK.sleep(0.1)
            for _ in range(2):
                frozen = master.copied()
                assert "postgres in container paperless" in [p.name for p in frozen.points if not p.stale_since]
                (cover,) = (cover for cover in frozen.covers if cover.path == "srv/paperless")
                with servers.postgresql(cover.copy) as found:
                    assert int(found.psql("SELECT n FROM given")) == -int(found.psql("SELECT n FROM taken")) > 0
        assert not container.is_still()
    shutil.rmtree(volume)


def test_what_did_not_change_is_not_paused_and_keeps_its_copy(
    master: Master, shop: Container, monkeypatch: pytest.MonkeyPatch
) -> None:
    before: dict[str, tuple[int, int]] = {}
    while before != (now := files_of(shop.volume)):
        before = now
        CLOCK.sleep(2)
    (cover,) = master.copied(clock=Later()).covers
    copied = files_of(cover.copy)

    def refuse(*_: object) -> None:
        raise AssertionError("it was paused")

    monkeypatch.setattr(moment, "paused", refuse)
    frozen = master.copied(clock=Later())
    assert (frozen.failed, [one.path for one in frozen.covers]) == ([], ["srv/shop-db"])
    assert files_of(cover.copy) == copied


def test_a_run_sees_the_copy_in_the_folders_place_and_carries_it_once(master: Master, shop: Container) -> None:
    rules, work = selection("+ /srv"), master.paths.root / "work"
    work.mkdir()

    def detected(frozen: Frozen, manifest: Manifest) -> Detection:
        with Shadows(master.paths, CLOCK) as shadows:
            table = mount_table(master.paths.root)
            for cover in frozen.covers:
                shadows.cover(cover.path, cover.copy)
            shadows.refresh(lambda path: path.startswith("srv/"))
            CLOCK.sleep(0.05)
            found = detect(
                master.paths.root, rules, manifest, work / "planned", CLOCK, frozenset(), manifest.digest,
                table=table, copies=shadows,
            )  # fmt: skip
            seen = (master.paths.root / "srv/shop-db/ibdata1").stat().st_ino
            shadows.finish()
        assert seen == (frozen.covers[0].copy / "ibdata1").stat().st_ino
        assert seen != (shop.volume / "ibdata1").stat().st_ino
        return found

    with Manifest(work / "manifest.db") as manifest:
        with busy(shop.volume / "s.sock"):
            frozen = master.copied()
            first = detected(frozen, manifest)
            manifest.apply(list(read_changes(first.planned)), 1, first.summary.digest)
            assert detected(frozen, manifest).empty
        assert not detected(master.copied(), manifest).empty
    shutil.rmtree(work)


def test_a_container_goes_on_when_the_run_is_killed_and_when_all_that_guards_it_is(
    master: Master, shop: Container
) -> None:
    group = shop.group
    for guards_too in (False, True):
        with killed_runs.holding(master.paths, group) as kill:
            assert shop.is_still()
            kill(guards_too=guards_too)
        while not guards_too and shop.is_still():
            CLOCK.sleep(0.05)
    assert shop.is_still()  # the timer of systemd comes then, or the next run, whichever is first
    assert master.copied().failed == []
    assert not shop.is_still()
    assert int(sql(shop.volume / "s.sock", "SELECT 1")) == 1


def test_systemd_is_asked_to_let_it_go_on_and_what_it_would_run_does_that(
    master: Master, shop: Container, monkeypatch: pytest.MonkeyPatch
) -> None:
    group = shop.group
    booted = master.paths.at("/run/systemd/system")
    booted.mkdir(parents=True)
    asked: list[list[str]] = []

    def note(argv: list[str], **_: object) -> None:
        asked.append(argv)

    monkeypatch.setattr(command, "run", note)
    with paused(master.paths, group, 600.0) as confirm:
        monkeypatch.undo()
        assert containers.is_still(group)
        (stop, start) = asked
        assert stop[:2] == ["systemctl", "stop"]
        assert start[0] == "systemd-run"
        assert "--on-active=620s" in start
        command.run(start[start.index("--") + 1 :])
        assert not containers.is_still(group)
        assert list((master.paths.run / "paused").iterdir()) == []
        with pytest.raises(NotPaused):
            confirm()

    def refuse(argv: list[str], **_: object) -> None:
        if argv[0] == "systemd-run":
            raise command.failure(argv, 1, "Failed to connect to bus")

    monkeypatch.setattr(command, "run", refuse)
    with pytest.raises(NotPaused, match="nobody would let"), paused(master.paths, group, 600.0):
        raise AssertionError
    assert not containers.is_still(group)
    booted.rmdir()


def test_a_sqlite_file_in_a_volume_is_carried_as_of_one_transaction(master: Master) -> None:
    volume = master.paths.root / "srv/vaultwarden"
    volume.mkdir()
    (volume / "write.py").write_text(WRITING)
    argv = ("/usr/bin/python3", "/data/write.py")
    rules, work = selection("+ /srv/vaultwarden"), master.paths.root / "work"
    work.mkdir()
    with master.engine.container("vaultwarden", volume, "/data", argv) as container:
        containers.wait_for(volume / "ready", container)
        with Shadows(master.paths, CLOCK) as shadows, Manifest(work / "manifest.db") as manifest:
            detect(
                master.paths.root, rules, manifest, work / "planned", CLOCK, frozenset(), manifest.digest,
                table=mount_table(master.paths.root), copies=shadows,
            )  # fmt: skip
            assert shadows.lies_at("srv/vaultwarden/db.sqlite3")
            shutil.copy(volume / "db.sqlite3", work / "copy")
        assert container.state == "running"
    with closing(sqlite3.connect(work / "copy")) as copy:
        assert copy.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        ((given,), (taken,)) = copy.execute("SELECT n FROM given UNION ALL SELECT n FROM taken").fetchall()
    assert given == -taken > 0
    for folder in (volume, work):
        shutil.rmtree(folder)


def test_a_container_goes_on_when_its_time_is_over_and_nothing_of_that_is_taken(
    master: Master, shop: Container
) -> None:
    with paused(master.paths, shop.group, 1.0) as confirm:
        assert shop.is_still()
        while shop.is_still():
            CLOCK.sleep(0.05)
        with pytest.raises(NotPaused, match="more than 1 seconds"):
            confirm()
    with busy(shop.volume / "s.sock"):
        good = master.copied()
        sql(shop.volume / "s.sock", "SET GLOBAL innodb_max_dirty_pages_pct = 0")
        late = master.copied(seconds=0.001)
    assert [(point.name, point.stale_since) for point in late.points] == [(NAME, good.points[0].taken_at)]
    assert [error.exit_code for error in late.failed] == [7]
    assert late.covers == good.covers
    given, taken = balance_of(late.covers[0].copy)
    assert given == -taken
    assert not shop.is_still()


def test_a_container_that_somebody_paused_is_copied_and_stays_paused(master: Master, shop: Container) -> None:
    master.engine.run("pause", "shop-db")
    try:
        assert master.copied().failed == []
        assert (shop.state, shop.is_still()) == ("paused", True)
    finally:
        master.engine.run("unpause", "shop-db")
    assert not shop.is_still()


def test_without_room_the_last_copy_stays(master: Master, shop: Container) -> None:
    with busy(shop.volume / "s.sock"):
        good = master.copied()
        kept = master.paths.frozen
        kept.rename(kept.with_name("kept"))
        kept.mkdir()
        command.run(["mount", "-t", "tmpfs", "-o", "size=8m", "none", str(kept)])
        try:
            full = master.copied()
        finally:
            command.run(["umount", str(kept)])
            kept.rmdir()
            kept.with_name("kept").rename(kept)
    assert "no room" in full.failed[0].sentence
    given, taken = balance_of(good.covers[0].copy)
    assert given == -taken


@pytest.mark.parametrize(
    ("written", "faults"), [("/etc/mongo.wt", ["give it a volume"]), ("/dev/shm/mongo.wt", []), ("/dev/null", [])]
)
def test_a_server_whose_files_lie_in_the_container_itself_is_named_and_one_without_files_is_not(
    master: Master, written: str, faults: list[str]
) -> None:
    volume = master.paths.root / "srv/nothing"
    volume.mkdir()
    shutil.copy(shutil.which("sleep") or "", volume / "mongod")
    argv = ("/bin/sh", "-c", f"exec /data/mongod 1000 >{written}")
    with master.engine.container("lonely", volume, "/data", argv) as container:
        while Path(f"/proc/{container.pid}/comm").read_text() != "mongod\n":
            CLOCK.sleep(0.05)
        frozen = master.copied()
    found = [one.sentence for one in frozen.failed if "lonely" in one.sentence]
    assert [fault in sentence for fault, sentence in zip(faults, found, strict=True)] == [True] * len(faults)
    named = [point.stale_since > point.taken_at == 0 for point in frozen.points if "lonely" in point.name]
    assert named == [True] * len(faults)
    shutil.rmtree(volume)


def test_what_a_plugin_dumps_is_neither_paused_nor_named(master: Master, shop: Container) -> None:
    assert master.copied().covers
    frozen = master.copied(elsewhere=(NAME,))
    assert (frozen.covers, frozen.points, frozen.failed) == ([], [], [])
    assert shop.state == "running"


def test_a_server_that_was_stopped_is_carried_as_it_lies_still(master: Master, shop: Container) -> None:
    with busy(shop.volume / "s.sock"):
        assert master.copied().failed == []
    master.engine.run("stop", "--time", "60", "shop-db")
    try:
        frozen = master.copied()
        assert frozen.failed == []
        (cover,) = frozen.covers
        for name in ("ibdata1", "aria_log_control", "shop/given.ibd"):
            assert (cover.copy / name).read_bytes() == (shop.volume / name).read_bytes()
    finally:
        with suppress(FileNotFoundError):
            (shop.volume / "s.sock").unlink()
        master.engine.run("start", "shop-db")
        containers.wait_for(shop.volume / "s.sock", shop)
