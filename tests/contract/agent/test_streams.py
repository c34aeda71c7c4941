"""Streams: a real base backup and a real standby through two real agents; what is refused, and what a break costs."""

from __future__ import annotations

import shutil
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from hotsync.agent import stream
from hotsync.agent.places import MAX_CONNECTIONS
from hotsync.agent.stream_pool import MOST
from hotsync.agent.streams import MAX_STREAMS
from hotsync.errors import CommandFailed, ExitCode, PeerRefused, RestoreFailed, StreamRefused
from hotsync.sources.followed import is_followed
from hotsync.sources.postgresql import slot as slots
from hotsync.sources.postgresql.cluster import ask, login_of
from hotsync.sources.postgresql.fitness import divergence
from hotsync.sources.postgresql.guard import Guard
from hotsync.sources.postgresql.seed import give_up, kept_beside, needs_seed, read_upstream
from hotsync.sources.postgresql.standby import SIGNAL, promote
from hotsync.state.runs import STREAMING, Runs
from hotsync.system import command
from hotsync.transport.dial import dial, hang_up, opening
from hotsync.transport.messages import Alive
from tests.contract.agent.pair import until
from tests.contract.agent.streamed import NAME, Streamed, streamed
from tests.contract.sources import servers

pytestmark = pytest.mark.contract


@pytest.fixture(scope="module")
def template() -> Iterator[Path]:
    with servers.open_folder() as folder:
        yield servers.prepare_postgresql(folder / "data")


@pytest.fixture
def world(template: Path) -> Iterator[Streamed]:
    with streamed(template) as both:
        both.start_streaming()
        yield both


def test_a_cluster_is_copied_and_what_is_committed_arrives(world: Streamed) -> None:
    world.master.psql("CREATE TABLE t (n int); INSERT INTO t VALUES (1)")
    assert needs_seed(world.standby, None) == "there is no copy yet"
    assert not is_followed(world.master.dataset())
    world.seed()
    assert needs_seed(world.standby, read_upstream(world.standby)) == ""
    assert not is_followed(world.master.dataset())
    world.start_standby()
    until(lambda: is_followed(world.master.dataset()), "the MASTER sees that it follows")
    world.master.psql("INSERT INTO t VALUES (2)")
    until(lambda: world.has("SELECT count(*) FROM t", "2"), "the second row is there")
    until(lambda: world.standing().unreceived == 0, "it has all of it")
    standing = world.standing()
    assert standing.streaming
    now = world.pair.slave.clock.now()
    assert 0 < standing.last_commit <= standing.as_of
    assert standing.lag(now) == pytest.approx(now - standing.as_of)
    assert standing.lag(now) < 60
    # what makes it a standby lies nowhere where the production unit would find it
    assert "primary" not in (world.standby.data / "postgresql.auto.conf").read_text()
    with pytest.raises(CommandFailed, match="read-only"):
        world.ask("INSERT INTO t VALUES (3)")
    slot = slots.look(login_of(world.master.dataset()))
    assert slot is not None
    assert not slot.lost


def test_what_only_keeps_the_log_or_is_far_behind_does_not_follow(
    world: Streamed, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.seed()
    login = login_of(world.master.dataset())
    with servers.open_folder() as folder:
        shutil.chown(folder, "postgres")
        # what a copy does while it is made
        argv = [login.tool("pg_receivewal"), f"--directory={folder}", "--slot=hotsync", *login.connection()]
        with command.spawn(argv, user="postgres", cwd="/", env=login.environment) as receiver:
            streams = "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'"
            until(lambda: world.master.psql(streams).strip() == "1", "it streams")
            assert not is_followed(world.master.dataset())
            receiver.send_signal(signal.SIGINT)
            receiver.wait()
    world.start_standby()
    until(lambda: is_followed(world.master.dataset()), "the standby follows")
    world.ask("SELECT pg_wal_replay_pause()")
    monkeypatch.setattr(slots, "_CLOSE", 1000)
    world.master.psql("CREATE TABLE t AS SELECT generate_series(1, 1000) AS n")
    until(lambda: not is_followed(world.master.dataset()), "it is behind")
    world.ask("SELECT pg_wal_replay_resume()")
    until(lambda: is_followed(world.master.dataset()), "it has caught up")
    world.master.stop()
    assert not is_followed(world.master.dataset())


def test_a_break_in_the_middle_costs_nothing_that_was_committed(world: Streamed) -> None:
    world.master.psql("CREATE TABLE t (n int)")
    world.seed()
    world.start_standby()
    until(lambda: world.standing().streaming, "it streams")
    world.stop_streaming()
    world.master.psql("INSERT INTO t SELECT generate_series(1, 1000)")
    until(lambda: not world.standing().streaming, "the standby sees that it was cut off")
    assert not (world.standby.upstream / ".s.PGSQL.5432").exists()
    behind = world.standing()
    assert behind.as_of == behind.last_commit
    assert not is_followed(world.master.dataset())
    world.start_streaming()
    until(lambda: world.has("SELECT count(*) FROM t", "1000"), "the rows are there")


def test_a_cut_copy_leaves_nothing_and_the_next_one_is_whole(world: Streamed, monkeypatch: pytest.MonkeyPatch) -> None:
    world.master.psql("CREATE TABLE t AS SELECT generate_series(1, 200000) AS n")
    cut = threading.Event()

    def sieve(guard: Guard, data: bytes) -> bytes:
        if not cut.is_set() and b"BASE_BACKUP" in data:
            cut.set()
            raise StreamRefused(reason="the cable was pulled")
        return whole(guard, data)

    whole = Guard.sieve
    monkeypatch.setattr(Guard, "sieve", sieve)
    with pytest.raises(RestoreFailed, match="the cable was pulled"):
        world.seed()
    assert list(world.standby.data.parent.iterdir()) == []
    world.seed()
    world.start_standby()
    until(lambda: world.has("SELECT count(*) FROM t", "200000"), "the rows are there")


@pytest.mark.parametrize(
    ("words", "sql", "reason"),
    [
        ("dbname=postgres", "SELECT 1", "does not ask for replication=true"),
        ("dbname=postgres replication=database", "SELECT 1", "does not ask for replication=true"),
        ("replication=true user=root", "IDENTIFY_SYSTEM", "not the cluster's owner"),
        ("replication=true options='-c work_mem=1MB'", "IDENTIFY_SYSTEM", "parameter 'options'"),
        ("replication=true", "SELECT 1", "the command 'SELECT 1'"),
        ("replication=true", "CREATE_REPLICATION_SLOT other PHYSICAL", "the command 'CREATE_REPLICATION_SLOT"),
        ("replication=true", "DROP_REPLICATION_SLOT hotsync", "the command 'DROP_REPLICATION_SLOT"),
        ("replication=true", "BASE_BACKUP (TARGET 'server', TARGET_DETAIL '/tmp/x')", "BASE_BACKUP (TARGET"),
    ],
)
def test_a_stream_carries_replication_and_nothing_else(world: Streamed, words: str, sql: str, reason: str) -> None:
    argv = [world.standby.login.tool("psql"), "-XAtq", f"--command={sql}"]
    with pytest.raises(CommandFailed) as failed:
        command.run(
            [*argv, f"--dbname=host={world.standby.upstream} user=postgres {words}"],
            user="postgres", env=world.standby.environment, cwd="/",
        )  # fmt: skip
    assert "A stream carries replication and nothing else" in failed.value.stderr
    assert reason in failed.value.stderr


def test_what_the_server_says_is_understood_whatever_its_language_is(world: Streamed) -> None:
    assert world.master.psql("SHOW lc_messages").strip() == "C.UTF-8"
    argv = [world.standby.login.tool("psql"), "-XAtq", "--command=SHOW lc_messages"]
    words = f"--dbname=host={world.standby.upstream} user=postgres replication=true"
    said = command.run([*argv, words], user="postgres", env=world.standby.environment, cwd="/").text
    assert said.strip() == "C"


def test_only_the_servers_user_gets_to_the_socket(world: Streamed) -> None:
    with pytest.raises(CommandFailed) as failed:
        command.run(
            [world.standby.login.tool("psql"), "-XAtq", "--command=IDENTIFY_SYSTEM",
             f"--dbname=host={world.standby.upstream} user=postgres replication=true"],
            user="daemon", cwd="/",
        )  # fmt: skip
    assert "Permission denied" in failed.value.stderr


def test_a_server_that_does_not_run_is_said_to_who_asks(world: Streamed) -> None:
    world.master.stop()
    with pytest.raises(CommandFailed) as failed:
        read_upstream(world.standby)
    assert f"{NAME} does not answer" in failed.value.stderr


def test_a_server_of_no_generation_is_not_streamed(world: Streamed) -> None:
    pair = world.pair
    for name in ("postgresql/15-other", ""):
        channel = dial(pair.callee(pair.slave.around.identity.fingerprint), pair.master.clock, 5)
        channel.send(opening(pair.master.here.ours, "stream", pair.master.clock, stream=name), "it was opened")
        with pytest.raises(PeerRefused, match="its last generation holds no"):
            channel.receive_message("it was opened")
        hang_up(channel)


def test_streams_take_no_place_of_control_connections_and_are_limited_themselves(
    world: Streamed, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair = world.pair
    with ExitStack() as stack:
        refused = 0
        for _ in range(MAX_STREAMS + 1):
            channel = dial(pair.callee(pair.slave.around.identity.fingerprint), pair.master.clock, 5)
            stack.callback(hang_up, channel)
            ours = pair.master.here.ours
            channel.send(opening(ours, "stream", pair.master.clock, stream=NAME), "it was opened")
            channel.send(Alive(epoch=ours.epoch, role="master", clock=0.0), "it waited")
            try:
                assert isinstance(channel.receive_message("it waited"), Alive)
            except PeerRefused:
                refused += 1
        assert 0 < refused < 5  # the MASTER's own two are among them
        assert MAX_STREAMS > MAX_CONNECTIONS
        with pair.link() as link:
            assert link.welcome.role == "slave"


def test_the_masters_server_keeps_its_other_connections_whatever_the_slave_does(world: Streamed) -> None:
    with ExitStack() as stack:
        for _ in range(MOST + 1):
            client = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
            client.connect(str(world.standby.upstream / ".s.PGSQL.5432"))
            client.settimeout(20)
            time.sleep(0.3)
        # nobody waits any more: it is closed
        assert client.recv(1) == b""
    until(lambda: bool(read_upstream(world.standby).timeline), "streams wait again")


def test_a_line_on_which_nothing_comes_through_any_more_is_noticed(world: Streamed) -> None:
    world.seed()
    world.start_standby()
    until(lambda: world.standing().streaming, "it streams")
    command.run(["nft", "-f", "-"], input=b"table inet cut { chain c { type filter hook input priority 0; drop; }; }")
    began = time.monotonic()
    door = world.standby.upstream / ".s.PGSQL.5432"
    until(lambda: not door.exists(), "the SLAVE notices", turns=1200)
    assert time.monotonic() - began < 30
    command.run(["nft", "delete", "table", "inet", "cut"])
    until(door.exists, "the MASTER calls again", turns=1200)
    world.master.psql("CREATE TABLE later (n int)")
    until(lambda: world.has("SELECT count(*) FROM later", "0"), "it goes on", turns=1200)


def test_a_slave_that_is_away_fills_no_disk_and_is_copied_anew(
    world: Streamed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "SLOT_SECONDS", 0.2)
    world.stop_streaming()
    world.pair.master.set("hotsync", StreamKeepMB="16")
    world.start_streaming()
    world.master.psql("CREATE TABLE t (n int)")
    world.seed()
    world.start_standby()
    until(lambda: world.standing().streaming, "it streams")
    world.stop_standby()
    for number in range(4):
        world.master.psql(f"INSERT INTO t VALUES ({number}); SELECT pg_switch_wal()")
    login = login_of(world.master.dataset())
    until(lambda: slots.look(login) is None, "the slot is dropped")
    until(lambda: Runs(world.pair.master.paths.runs).last(STREAMING) is not None, "it is on record")
    record = Runs(world.pair.master.paths.runs).last(STREAMING)
    assert record is not None
    assert record.exit_code == ExitCode.WARNINGS
    assert "MB of the log for the SLAVE, more than 16 MB" in record.summary
    world.start_standby()
    until(lambda: divergence(world.log.read_text()) != "", "the standby finds no slot")
    why = needs_seed(world.standby, read_upstream(world.standby), divergence(world.log.read_text()))
    assert why == "the MASTER gave up keeping its log for this server"
    world.stop_standby()
    world.seed()
    world.start_standby()
    until(lambda: world.has("SELECT count(*) FROM t", "4"), "all rows are there")
    # a copy of ours that was replaced is not kept
    assert [path.name for path in world.standby.data.parent.iterdir()] == ["main"]


def test_the_slot_is_dropped_from_under_a_standby_that_uses_it(world: Streamed) -> None:
    world.seed()
    world.start_standby()
    until(lambda: world.standing().streaming, "it streams")
    login = login_of(world.master.dataset())
    slots.drop(login)
    slots.drop(login)
    assert slots.look(login) is None


def test_a_promoted_standby_has_every_row_and_the_production_unit_starts_on_it(world: Streamed) -> None:
    world.master.psql("CREATE TABLE t (n int)")
    world.seed()
    world.start_standby()
    until(lambda: world.standing().streaming, "it streams")
    world.master.psql("INSERT INTO t SELECT generate_series(1, 1000)")
    until(lambda: world.standing().unreceived == 0, "it has all of it")
    until(lambda: world.has("SELECT count(*) FROM t", "1000"), "the rows are there")
    world.master.stop()
    promote(world.standby)
    promote(world.standby)
    assert world.ask("INSERT INTO t VALUES (0) RETURNING n") == "0"
    world.stop_standby()
    assert not (world.standby.data / SIGNAL).exists()
    assert needs_seed(world.standby, None) == "what lies here is no standby"
    with servers.open_folder() as folder:
        # as a production unit does it: no argument of ours
        shutil.chown(folder, "postgres")
        words = f"-c listen_addresses= -c unix_socket_directories={folder} -c fsync=off"
        argv = [world.standby.login.tool("pg_ctl"), "-D", str(world.standby.data), "-w", "-l", f"{folder}/log"]
        command.run([*argv, "-o", words, "start"], user="postgres", cwd="/")
        try:
            production = servers.Postgresql(folder)
            assert production.psql("SELECT count(*), pg_is_in_recovery() FROM t").strip() == "1001|f"
            assert production.psql("SHOW primary_conninfo").strip() == ""
            production.psql("INSERT INTO t VALUES (1)")
        finally:
            command.run([*argv, "-m", "fast", "stop"], user="postgres", cwd="/")


def test_limits_that_are_meant_for_applications_end_no_promotion(world: Streamed) -> None:
    world.seed()
    world.start_standby()
    until(lambda: world.standing().streaming, "it streams")
    world.master.psql("ALTER DATABASE postgres SET default_transaction_read_only = on")
    world.master.psql("SET default_transaction_read_only = off; ALTER ROLE postgres SET statement_timeout = '1ms'")
    until(lambda: world.has("SELECT count(*) FROM pg_db_role_setting", "2"), "the limits are there")
    world.master.stop()
    promote(world.standby)
    assert ask(world.standby.login, "CREATE TABLE made AS SELECT 5 AS n; SELECT n FROM made") == "5"


def test_what_the_slave_had_itself_is_kept_beside_the_copy(world: Streamed) -> None:
    data = world.standby.data
    for expected in ("main.before-hotsync", "main.before-hotsync.1"):
        data.mkdir()
        (data / "PG_VERSION").write_text("15\n")
        assert needs_seed(world.standby, None) == "what lies here is no standby"
        world.seed()
        assert (data.with_name(expected) / "PG_VERSION").read_text() == "15\n"
        (data / SIGNAL).unlink()
        shutil.rmtree(data)
    (data.with_name("main.before-hotsync.1") / "mine").write_text("the last")
    data.with_name("main.before-hotsync.x").mkdir()
    assert [path.name for path in kept_beside(data)] == ["main.before-hotsync", "main.before-hotsync.1"]
    world.seed()
    give_up(world.standby)
    assert (data / "mine").read_text() == "the last"
    assert [path.name for path in kept_beside(data)] == ["main.before-hotsync"]


def test_a_master_that_was_made_anew_or_went_another_way_means_another_copy(world: Streamed) -> None:
    world.seed()
    upstream = read_upstream(world.standby)
    assert needs_seed(world.standby, upstream) == ""
    assert "made anew" in needs_seed(world.standby, replace(upstream, system_identifier="1"))
    assert "different ways" in needs_seed(world.standby, replace(upstream, timeline=0))
    (world.standby.data / "global/pg_control").write_bytes(b"")
    assert "cannot be read" in needs_seed(world.standby, upstream)


def test_settings_of_the_master_run_nothing_in_the_standby(world: Streamed, tmp_path: Path) -> None:
    world.master.psql(
        f"ALTER SYSTEM SET restore_command = 'touch {tmp_path}/ran';"
        f"ALTER SYSTEM SET archive_cleanup_command = 'touch {tmp_path}/ran';"
        "ALTER SYSTEM SET shared_preload_libraries = 'no_such_library';"
        "ALTER SYSTEM SET listen_addresses = '*';"
        "ALTER SYSTEM SET max_connections = '20'"
    )
    tmp_path.chmod(0o777)
    world.seed()
    world.start_standby()
    until(lambda: world.standing().streaming, "it streams")
    for setting in ("restore_command", "archive_cleanup_command", "shared_preload_libraries", "listen_addresses"):
        assert world.ask(f"SHOW {setting}") == "", setting
    # the MASTER runs with 100 until it is restarted, and a standby must not have fewer
    assert world.ask("SHOW max_connections") == "100"
    assert not (tmp_path / "ran").exists()
