"""PostgreSQL, the real one: what is collected is loaded as it was, and equal means untouched."""

from __future__ import annotations

import json
import os
import signal
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from hotsync.errors import OlderServer, RestoreFailed, SourceError
from hotsync.model.report import Notice, Verdict
from hotsync.sources import stream
from hotsync.sources.documents import PostgresqlCluster, load
from hotsync.sources.postgresql import cluster as postgresql_cluster
from hotsync.sources.postgresql import load as postgresql_load
from hotsync.sources.postgresql import source
from hotsync.sources.postgresql.cluster import ask, inspect_clusters, login_of, make_cluster
from hotsync.sources.postgresql.newer import installed_versions, serving, take_over
from hotsync.sources.source import Context, Dataset
from hotsync.system import command
from tests.contract.sources.observe import changed, seen
from tests.contract.sources.servers import Postgresql, open_folder
from tests.contract.sources.servers import postgresql as start

pytestmark = pytest.mark.contract

WORLD = (Path(__file__).parent / "world.postgresql.sql").read_text(encoding="utf-8")
ODD = "odd/db \"'\\ =ü\nx"
DATABASES = ("d1", ODD, "latin", "template_too", "postgres", "template1")


@pytest.fixture(scope="module")
def world(postgresql: Postgresql) -> Postgresql:
    postgresql.psql(WORLD)
    return postgresql


def quoted(name: str) -> str:
    return name.replace("\\", "\\\\").replace("'", "\\'")


def folder_of(context: Context) -> Path:
    return context.paths.spool / "postgresql/15-main"


def test_everything_arrives_in_another_cluster_as_it_was(
    world: Postgresql, other_postgresql: Postgresql, context: Context
) -> None:
    points = source.collect(context, world.dataset())
    assert {point.name for point in points if not point.stale_since} == {
        "postgresql/15-main",
        "postgresql/15-main/d1",
        "postgresql/15-main/latin",
        "postgresql/15-main/odd%2Fdb%20%22%27%5C%20%3Dü%0Ax",
        "postgresql/15-main/postgres",
        "postgresql/15-main/template1",
        "postgresql/15-main/template_too",
    }
    digest = source.restore(folder_of(context), other_postgresql.dataset())
    assert digest == load(folder_of(context) / "cluster.json", PostgresqlCluster).digest
    assert other_postgresql.globals() == world.globals()
    for database in DATABASES:
        assert other_postgresql.dump(quoted(database)) == world.dump(quoted(database)), database
    privileges = "(SELECT array_agg(a ORDER BY a) FROM unnest(datacl::text[]) a)"
    question = f"SELECT datname, pg_get_userbyid(datdba), encoding, datcollate, datistemplate, {privileges}"
    question += " FROM pg_database ORDER BY 1"
    assert other_postgresql.psql(question) == world.psql(question)
    assert other_postgresql.psql("SELECT lo_get(oid) FROM pg_largeobject_metadata", "d1") == "\\xdeadbeef\n"


def test_what_was_loaded_is_before_a_checkpoint_when_the_load_says_so(
    postgresql_template: Path, context: Context
) -> None:
    with start(postgresql_template) as master:
        master.psql("CREATE DATABASE zz")
        master.psql("CREATE TABLE late (a int); INSERT INTO late VALUES (1), (2)", "zz")
        source.collect(context, master.dataset())
    with start(postgresql_template) as server:
        server.psql("ALTER SYSTEM SET synchronous_commit = off")
        server.psql("ALTER SYSTEM SET autovacuum = off")  # its transactions would come after the load's
        server.psql("SELECT pg_reload_conf()")
        source.restore(folder_of(context), server.dataset())
        now = "pg_snapshot_xmax(pg_current_snapshot())::text::bigint"
        asked = f"SELECT split_part(next_xid, ':', 2)::bigint = {now} FROM pg_control_checkpoint()"
        assert server.psql(asked).strip() == "t"


def test_loading_again_alters_what_exists_and_takes_away_what_the_master_took_away(
    world: Postgresql, other_postgresql: Postgresql, context: Context
) -> None:
    source.collect(context, world.dataset())
    first = source.restore(folder_of(context), other_postgresql.dataset())
    other_postgresql.psql("CREATE ROLE left_over LOGIN; CREATE ROLE owner LOGIN; CREATE DATABASE own OWNER owner")
    other_postgresql.psql("GRANT pg_read_all_data TO shop; ALTER ROLE shop SET work_mem = '1GB'")
    other_postgresql.psql("ALTER ROLE reader PASSWORD 'x'; DROP TABLE public.t CASCADE", "d1")
    assert source.restore(folder_of(context), other_postgresql.dataset()) == first
    assert "left_over" not in other_postgresql.globals()
    assert other_postgresql.psql("SELECT rolcanlogin FROM pg_roles WHERE rolname = 'owner'").strip() == "f"
    other_postgresql.psql("DROP DATABASE own")
    other_postgresql.psql("DROP ROLE owner")
    assert other_postgresql.globals() == world.globals()
    assert other_postgresql.dump("d1") == world.dump("d1")


def test_where_nothing_changed_nothing_is_touched(world: Postgresql, context: Context) -> None:
    source.collect(context, world.dataset())
    before = seen(context.paths.spool)
    toc = next(folder_of(context).glob("d1.dump/toc.dat"))
    # another second: pg_dump writes the time into the table of contents
    data = bytearray(toc.read_bytes())
    data[17] = (data[17] + 1) % 60
    status = toc.stat()
    toc.write_bytes(data)
    os.utime(toc, ns=(status.st_atime_ns, status.st_mtime_ns))
    before = seen(context.paths.spool)
    source.collect(context, world.dataset())
    assert changed(before, seen(context.paths.spool)) <= {"postgresql/15-main/cluster.json", "postgresql/15-main"}
    before = seen(context.paths.spool)
    source.collect(context, world.dataset())
    assert changed(before, seen(context.paths.spool)) == set()


def test_a_change_replaces_the_file_of_its_table_only(world: Postgresql, context: Context) -> None:
    source.collect(context, world.dataset())
    before = seen(folder_of(context))
    world.psql("UPDATE part_low SET d = 3", "d1")
    source.collect(context, world.dataset())
    different = {name for name in changed(before, seen(folder_of(context))) if not (folder_of(context) / name).is_dir()}
    assert len(different) == 2
    assert "cluster.json" in different
    assert all("toc.dat" not in name for name in different)


def test_the_files_are_roots_alone(world: Postgresql, context: Context) -> None:
    source.collect(context, world.dataset())
    for path in folder_of(context).rglob("*"):
        status = path.lstat()
        assert (status.st_uid, status.st_gid, status.st_mode & 0o077) == (0, 0, 0), path


def test_the_folder_of_a_dropped_database_goes(world: Postgresql, context: Context) -> None:
    world.psql("CREATE DATABASE passing")
    source.collect(context, world.dataset())
    assert (folder_of(context) / "passing.dump/toc.dat").exists()
    world.psql("DROP DATABASE passing")
    source.collect(context, world.dataset())
    assert not (folder_of(context) / "passing.dump").exists()


def test_a_database_that_cannot_be_dumped_keeps_its_last_copy_and_the_others_go_on(
    world: Postgresql, context: Context
) -> None:
    world.psql("CREATE DATABASE broken")
    world.psql("CREATE TABLE t AS SELECT 1 AS a", "broken")
    source.collect(context, world.dataset())
    before = seen(folder_of(context) / "broken.dump")
    # a table whose file is gone: reading it fails, as on a bad disk
    path = world.psql("SELECT current_setting('data_directory') || '/' || pg_relation_filepath('t')", "broken").strip()
    world.psql("CHECKPOINT")
    world.psql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'broken'")
    moved = Path(path).rename(path + ".away")
    world.psql("INSERT INTO part_low VALUES (2, 'b', 8)", "d1")
    fresh = seen(folder_of(context) / "d1.dump")
    try:
        points = {point.name: point for point in source.collect(context, world.dataset())}
    finally:
        moved.rename(path)
    broken = points["postgresql/15-main/broken"]
    assert broken.stale_since > 0
    assert "database broken: pg_dump" in broken.note
    assert points["postgresql/15-main/d1"].stale_since == 0
    assert changed(before, seen(folder_of(context) / "broken.dump")) == set()
    assert changed(fresh, seen(folder_of(context) / "d1.dump")) != set()
    assert "broken" in {each.name for each in load(folder_of(context) / "cluster.json", PostgresqlCluster).databases}
    world.psql("DROP DATABASE broken")


def test_roles_that_are_too_many_to_be_taken_whole_are_a_failure_and_the_last_copy_stays(
    world: Postgresql, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    source.collect(context, world.dataset())
    before = seen(folder_of(context))
    world.psql("CREATE ROLE one_more")
    monkeypatch.setattr(source, "LARGE_OUTPUT", 100)
    try:
        with pytest.raises(SourceError, match="too long to be taken whole"):
            source.collect(context, world.dataset())
    finally:
        world.psql("DROP ROLE one_more")
    assert changed(before, seen(folder_of(context))) == set()


def test_a_database_that_lets_nobody_in_is_named(world: Postgresql, context: Context) -> None:
    world.psql("CREATE DATABASE closed ALLOW_CONNECTIONS false")
    notices: list[Notice] = []
    source.collect(replace(context, notice=notices.append), world.dataset())
    assert ["closed" in notice.sentence for notice in notices] == [True]
    world.psql("DROP DATABASE closed")


def test_a_database_that_lets_nobody_in_any_more_keeps_its_last_copy_and_is_stale(
    world: Postgresql, context: Context
) -> None:
    world.psql("CREATE DATABASE shut")
    world.psql("CREATE TABLE t AS SELECT 1 AS a", "shut")
    source.collect(context, world.dataset())
    before = seen(folder_of(context) / "shut.dump")
    world.psql("ALTER DATABASE shut ALLOW_CONNECTIONS false")
    try:
        for _ in range(2):
            points = {point.name: point for point in source.collect(context, world.dataset())}
            assert points["postgresql/15-main/shut"].stale_since > 0
            assert "lets nobody in" in points["postgresql/15-main/shut"].note
            assert points["postgresql/15-main/d1"].stale_since == 0
            assert changed(before, seen(folder_of(context) / "shut.dump")) == set()
            document = load(folder_of(context) / "cluster.json", PostgresqlCluster)
            assert "shut" in {each.name for each in document.databases}
    finally:
        world.psql("DROP DATABASE shut")
    source.collect(context, world.dataset())
    assert not (folder_of(context) / "shut.dump").exists()


def test_a_locked_table_ends_in_an_error_that_says_so(
    world: Postgresql, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "LOCK_WAIT_MS", 200)
    argv = ["psql", "-XAtq", f"--host={world.folder}", "d1"]
    with command.spawn(argv, stdin=command.PIPE, user="postgres", cwd="/") as holder:
        assert holder.stdin is not None
        assert holder.stdout is not None
        holder.stdin.write(b"BEGIN; LOCK TABLE part_low; SELECT 1;\n")
        holder.stdin.flush()
        assert holder.stdout.readline() == b"1\n"
        points = {point.name: point for point in source.collect(context, world.dataset())}
    assert "timeout" in points["postgresql/15-main/d1"].note
    assert points["postgresql/15-main/d1"].taken_at == 0
    assert points["postgresql/15-main/latin"].stale_since == 0


def test_a_cluster_that_died_leaves_the_last_good_copy(postgresql_template: Path, context: Context) -> None:
    with start(postgresql_template) as cluster:
        source.collect(context, cluster.dataset())
        before = seen(context.paths.spool)
        cluster.stop()
        with pytest.raises(SourceError, match="postgresql/15-main could not be collected: psql"):
            source.collect(context, cluster.dataset())
    assert changed(before, seen(context.paths.spool)) == set()
    fault = replace(cluster.dataset(), fault="cluster 15/main does not run")
    with pytest.raises(SourceError, match="cluster 15/main does not run"):
        source.collect(context, fault)


def test_a_full_spool_is_an_error_with_its_name_and_the_last_copy_stays(
    postgresql_template: Path, context: Context
) -> None:
    command.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(context.paths.state)])
    try:
        with start(postgresql_template) as cluster:
            cluster.psql("CREATE TABLE t (a text)")
            source.collect(context, cluster.dataset())
            before = seen(context.paths.spool)
            cluster.psql("INSERT INTO t SELECT repeat('x', 1000) FROM generate_series(1, 3000)")
            points = {point.name: point for point in source.collect(context, cluster.dataset())}
            assert "No space left on device" in points["postgresql/15-main/postgres"].note
            assert changed(before, seen(context.paths.spool)) == set()
    finally:
        command.run(["umount", str(context.paths.state)])


def test_a_link_that_the_servers_user_plants_is_not_followed(
    world: Postgresql, context: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server in bad hands writes the dump itself: whatever it puts there, root takes plain files only."""
    victim = tmp_path / "victim"
    victim.write_text("root's own")

    def dump_and_plant(argv: list[str], **options: object) -> None:
        stream.run_watched(argv, **options)  # type: ignore[arg-type]
        folder = Path(next(word for word in argv if word.startswith("--file=")).removeprefix("--file="))
        work = Path(os.readlink(folder.parent.as_posix())) / "dump"
        (work / "9999.dat").symlink_to(victim)

    monkeypatch.setattr(source, "run_watched", dump_and_plant)
    with pytest.raises(SourceError):
        source.collect(context, world.dataset())
    assert victim.read_text() == "root's own"
    assert victim.lstat().st_uid == 0
    assert not folder_of(context).exists()


def test_an_older_cluster_is_refused_before_anything_is_touched(
    world: Postgresql, other_postgresql: Postgresql, context: Context
) -> None:
    source.collect(context, world.dataset())
    path = folder_of(context) / "cluster.json"
    document = json.loads(path.read_text())
    path.write_text(json.dumps({**document, "version": "160002"}))
    with pytest.raises(OlderServer, match="PostgreSQL 16"):
        source.restore(folder_of(context), other_postgresql.dataset())


def test_a_file_that_was_changed_afterwards_is_found(
    world: Postgresql, other_postgresql: Postgresql, context: Context
) -> None:
    source.collect(context, world.dataset())
    assert [check.verdict for check in source.verify(folder_of(context))] == [Verdict.GREEN]
    path = next(folder_of(context).glob("d1.dump/toc.dat"))
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    assert [check.verdict for check in source.verify(folder_of(context))] == [Verdict.RED]
    other_postgresql.psql("CREATE DATABASE untouched")
    with pytest.raises(RestoreFailed, match=r"d1\.dump/toc\.dat is not what was collected"):
        source.restore(folder_of(context), other_postgresql.dataset())
    other_postgresql.psql("DROP DATABASE untouched")


def test_a_command_of_psql_in_the_roles_file_is_not_obeyed(
    world: Postgresql, other_postgresql: Postgresql, context: Context, tmp_path: Path
) -> None:
    source.collect(context, world.dataset())
    path = folder_of(context) / "globals.sql"
    data = b"\\! touch /tmp/hotsync-hacked\n" + path.read_bytes()
    old = json.loads((folder_of(context) / "cluster.json").read_text())
    path.write_bytes(data)
    import hashlib

    old["globals"] = {"file": "globals.sql", "size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    (folder_of(context) / "cluster.json").write_text(json.dumps(old))
    with pytest.raises(RestoreFailed, match="backslash commands are restricted"):
        source.restore(folder_of(context), other_postgresql.dataset())
    assert not Path("/tmp/hotsync-hacked").exists()


def test_a_cluster_is_made_where_there_is_none(
    world: Postgresql, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    source.collect(context, world.dataset())
    document = load(folder_of(context) / "cluster.json", PostgresqlCluster)
    with open_folder() as folder:
        monkeypatch.setenv("PG_CLUSTER_CONF_ROOT", str(folder / "conf"))
        configuration = folder / "conf/15/hotsynctest"
        configuration.mkdir(parents=True)
        command.run(["chown", "-R", "postgres:", str(folder)])
        settings = f"data_directory = '{folder}/data/15/hotsynctest'\nport = 5999\n"
        (configuration / "postgresql.conf").write_text(settings)
        command.run(["chown", "-R", "postgres:", str(folder)])
        make_cluster(document, "15-hotsynctest")
        assert (folder / "data/15/hotsynctest/PG_VERSION").read_text() == "15\n"
        inode = (folder / "data/15/hotsynctest").stat().st_ino
        make_cluster(document, "15-hotsynctest")
        assert (folder / "data/15/hotsynctest").stat().st_ino == inode
        (folder / "space").mkdir()
        (folder / "data/15/hotsynctest/pg_tblspc/16400").symlink_to(folder / "space")
        found = [cluster.directories for cluster in inspect_clusters()]
        assert found == [(f"{folder}/data/15/hotsynctest", f"{folder}/space")]


def test_databases_of_a_version_that_is_not_here_are_served_by_a_newer_one(
    world: Postgresql, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The archive has one major version only: the dumps are of this one, and called those of an older one."""
    source.collect(context, world.dataset())
    document = load(folder_of(context) / "cluster.json", PostgresqlCluster)
    assert "15" in installed_versions()
    assert serving(["14-hotsynctest"], ["15"]) == {"14-hotsynctest": "15-hotsynctest"}
    with open_folder() as folder:
        monkeypatch.setenv("PG_CLUSTER_CONF_ROOT", str(folder / "conf"))
        theirs, ours = folder / "conf/14/hotsynctest", folder / "conf/15/hotsynctest"
        theirs.mkdir(parents=True)
        noticed = f"port = 5998\nlisten_addresses = ''\nunix_socket_directories = '{folder}'\ntimezone = 'Asia/Tokyo'"
        (theirs / "postgresql.conf").write_text(f"{noticed}\nshared_buffers = 77GB\nno_such_setting = on\n")
        (theirs / "pg_hba.conf").write_text("local all postgres peer\nlocal all all md5\n")
        command.run(["chown", "-R", "postgres:", str(folder)])
        assert take_over("14-hotsynctest", "15-hotsynctest") is True
        assert (ours / "pg_hba.conf").read_text() == "local all postgres peer\nlocal all all md5\n"
        text = (ours / "postgresql.conf").read_text()
        (ours / "postgresql.conf").write_text(text.replace("/var/lib/postgresql/15", f"{folder}/data"))
        make_cluster(document, "15-hotsynctest")
        assert take_over("14-hotsynctest", "15-hotsynctest") is False
        control = ["pg_ctlcluster", "--skip-systemctl-redirect", "15", "hotsynctest"]
        environment = {"PG_CLUSTER_CONF_ROOT": str(folder / "conf")}
        command.run([*control, "start"], env=environment)
        try:
            (found,) = inspect_clusters()
            assert (found.instance, found.fault, found.port) == ("15-hotsynctest", "", 5998)
            assert source.restore(folder_of(context), found) == document.digest
            assert ask(login_of(found), "SHOW timezone") == "Asia/Tokyo"
            assert ask(login_of(found), "SHOW listen_addresses") == ""
        finally:
            command.run([*control, "--mode=immediate", "stop"], env=environment)
            Path("/var/log/postgresql/postgresql-15-hotsynctest.log").unlink(missing_ok=True)


def test_a_cluster_killed_in_the_middle_leaves_the_last_good_copy(postgresql_template: Path, context: Context) -> None:
    with start(postgresql_template) as cluster:
        cluster.psql("CREATE TABLE t AS SELECT 1 AS a")
        source.collect(context, cluster.dataset())
        before = seen(context.paths.spool)
        cluster.psql("INSERT INTO t VALUES (2)")
        stopped: list[str] = []

        def stop_once(dataset: str, count: int) -> None:
            if not stopped:
                stopped.append(dataset)
                cluster.stop()

        with pytest.raises(SourceError, match="postgresql/15-main could not be collected"):
            source.collect(replace(context, progress=stop_once), cluster.dataset())
    assert stopped == ["postgresql/15-main"]
    assert changed(before, seen(context.paths.spool)) == set()


def signal_all(cluster: Postgresql, number: signal.Signals) -> None:
    """Send a signal to every process of a cluster."""
    for folder in Path("/proc").iterdir():
        with suppress(OSError):
            if folder.name.isdigit() and (folder / "cwd").readlink() == cluster.folder / "data":
                os.kill(int(folder.name), number)


def test_a_cluster_that_hangs_is_given_up_by_name_and_the_last_copy_stays(
    postgresql_template: Path, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgresql_cluster, "CONNECT_SECONDS", 2)
    with start(postgresql_template) as cluster:
        source.collect(context, cluster.dataset())
        before = seen(context.paths.spool)
        signal_all(cluster, signal.SIGSTOP)
        try:
            with pytest.raises(SourceError, match=r"collected: psql: .*timeout expired"):
                source.collect(context, cluster.dataset())
        finally:
            signal_all(cluster, signal.SIGCONT)
        assert changed(before, seen(context.paths.spool)) == set()


def test_a_cluster_that_begins_to_hang_while_it_is_dumped_is_given_up_by_name_and_the_last_copy_stays(
    postgresql_template: Path, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgresql_cluster, "CONNECT_SECONDS", 2)
    looks: list[int] = []
    written = source._written

    def stop_at_first(work: int) -> tuple[int, int]:
        if not looks:
            signal_all(cluster, signal.SIGSTOP)
        looks.append(work)
        return written(work)

    with start(postgresql_template) as cluster:
        cluster.psql("CREATE TABLE t AS SELECT 1 AS a")
        source.collect(context, cluster.dataset())
        before = seen(context.paths.spool)
        argv = ["psql", "-XAtq", f"--host={cluster.folder}", "postgres"]
        with command.spawn(argv, stdin=command.PIPE, user="postgres", cwd="/") as holder:
            assert holder.stdin is not None
            assert holder.stdout is not None
            # so it is still being dumped when it is looked at for the first time
            holder.stdin.write(b"INSERT INTO t VALUES (2); BEGIN; LOCK TABLE t; SELECT 1;\n")
            holder.stdin.flush()
            assert holder.stdout.readline() == b"1\n"
            monkeypatch.setattr(source, "_written", stop_at_first)
            try:
                with pytest.raises(SourceError, match=r"postgresql/15-main .*pg_dump: silent for 1 s"):
                    source.collect(replace(context, stall_seconds=1.0), cluster.dataset())
            finally:
                signal_all(cluster, signal.SIGCONT)
        assert changed(before, seen(context.paths.spool)) == set()
    assert len(looks) > 10


@pytest.fixture
def confined(other_postgresql: Postgresql, tmp_path: Path) -> Dataset:
    """A cluster as before a promotion: what is run for it comes after words that confine it, which are noted."""
    enter = (
        'echo "$@" >>"$0"; exec setpriv --reuid=postgres --regid=postgres --clear-groups --inh-caps=+dac_read_search \
        --ambient-caps=+dac_read_search -- "$@"'
    )
    return replace(other_postgresql.dataset(), confined=("sh", "-c", enter, str(tmp_path / "confined")))


def test_before_a_promotion_all_that_reads_what_came_from_the_master_is_confined(
    world: Postgresql, other_postgresql: Postgresql, context: Context, confined: Dataset, tmp_path: Path
) -> None:
    source.collect(context, world.dataset())
    source.restore(folder_of(context), confined)
    assert other_postgresql.globals() == world.globals()
    programs = [Path(line.split()[0]).name for line in (tmp_path / "confined").read_text().splitlines()]
    assert set(programs) == {"psql", "pg_restore"}
    assert programs.count("psql") == 1


def test_a_psql_that_would_obey_the_roles_file_reads_none_with_a_command_before_a_promotion(
    world: Postgresql, context: Context, confined: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgresql_load, "_is_restricted", lambda login: False)
    source.collect(context, world.dataset())
    path = folder_of(context) / "globals.sql"
    path.write_bytes(path.read_bytes().replace(b"\\", b""))
    postgresql_load.check_confined(
        folder_of(context), confined, load(folder_of(context) / "cluster.json", PostgresqlCluster)
    )
    path.write_bytes(path.read_bytes() + b"SELECT 1 \\! touch /tmp/hotsync-hacked\n")
    with pytest.raises(RestoreFailed, match=r"globals\.sql has a backslash"):
        source.restore(folder_of(context), confined)
    assert not (tmp_path / "confined").exists(), "nothing of it was read"
    assert not Path("/tmp/hotsync-hacked").exists()


def test_before_a_promotion_no_folder_is_made_for_a_tablespace(
    world: Postgresql, context: Context, confined: Dataset, tmp_path: Path
) -> None:
    source.collect(context, world.dataset())
    told = json.loads((folder_of(context) / "cluster.json").read_text())
    told["spaces"] = [["fast", str(tmp_path / "etc/fast")]]
    (folder_of(context) / "cluster.json").write_text(json.dumps(told))
    with pytest.raises(RestoreFailed, match="it has tablespaces"):
        source.restore(folder_of(context), confined)
    assert sorted(item.name for item in tmp_path.iterdir() if item.name in ("etc", "confined")) == []
