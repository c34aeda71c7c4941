"""Redis, the real one: it is asked to save, what it saved is collected, and a server starts with it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from hotsync.errors import OlderServer, RestoreFailed, SourceError
from hotsync.model.report import Notice, Verdict
from hotsync.sources import processes
from hotsync.sources.redis import find as redis_find
from hotsync.sources.redis import load as redis_load
from hotsync.sources.redis import source
from hotsync.sources.redis.client import RedisError, session
from hotsync.sources.redis.config import read_settings
from hotsync.sources.source import Context, Dataset
from hotsync.sources.spool import digest_of
from hotsync.system import command, trees
from hotsync.system.clock import SystemClock
from tests.contract.sources import engines
from tests.contract.sources.engines import RedisServer, in_a_child
from tests.contract.sources.observe import changed, seen

pytestmark = pytest.mark.contract

HERE = Dataset("redis", "redis-server")
FILL = """SET plain value
SET "odd key \\x00\\xff" "odd \\r\\n value"
HSET hash a 1 b 2
RPUSH list one two three
ZADD sorted 1.5 x 2.5 y
XADD stream 1-1 field value
SADD set m1 m2
SET expires later EX 100000
SELECT 3
SET elsewhere 7
"""


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with engines.redis() as running:
        running.cli(input=FILL)
        yield running


def folder_of(context: Context) -> Path:
    return context.paths.spool / "redis/redis-server"


def saves(server: RedisServer) -> int:
    return (server.folder / "log").read_text().count("Background saving started")


def test_a_server_starts_with_what_was_collected(server: RedisServer, context: Context) -> None:
    points = source.collect(context, server.dataset())
    assert [(point.name, point.stale_since) for point in points] == [("redis/redis-server", 0.0)]
    before = server.everything()
    assert before.count("\n") == 7
    server.stop()
    trees.remove(server.folder / "data")
    digest = source.restore(folder_of(context), HERE)
    assert digest == json.loads((folder_of(context) / "server.json").read_text())["digest"]
    server.start()
    assert server.everything() == before
    assert server.cli("-n", "3", "GET", "elsewhere") == "7"
    assert 90000 < int(server.cli("TTL", "expires")) <= 100000
    status = (server.folder / "data/dump.rdb").stat()
    assert (Path(server.folder / "data/dump.rdb").owner(), status.st_mode & 0o777) == ("redis", 0o640)
    assert [path.name for path in (server.folder / "data").iterdir()] == ["dump.rdb"]


def test_a_server_with_a_log_of_writes_starts_with_what_was_collected(context: Context) -> None:
    with engines.redis("appendonly yes", 'save ""') as server:
        server.cli(input=FILL)
        source.collect(context, server.dataset())
        before = server.everything()
        server.cli("SET", "plain", "later")
        server.stop()
        source.restore(folder_of(context), HERE)
        server.start()
        assert server.everything() == before
        server.cli("SET", "written", "after")
        server.stop()
        server.start()
        assert server.cli("GET", "written") == "after", "the log goes on"
        assert server.cli("GET", "plain") == "value"


def test_a_server_whose_log_of_writes_is_off_for_now_starts_with_what_was_collected(context: Context) -> None:
    """By its file it has one: it looks for that at its next start, and for no save."""
    with engines.redis("appendonly yes") as server:
        server.cli(input=FILL)
        server.cli("CONFIG", "SET", "appendonly", "no")
        source.collect(context, server.dataset())
        before = server.everything()
        server.stop()
        trees.remove(server.folder / "data")
        source.restore(folder_of(context), HERE)
        server.start()
        assert server.everything() == before


def test_a_server_that_nothing_was_written_to_is_not_asked_to_save_again(server: RedisServer, context: Context) -> None:
    source.collect(context, server.dataset())
    before = seen(context.paths.spool)
    source.collect(context, server.dataset())
    assert saves(server) == 1
    assert changed(before, seen(context.paths.spool)) == set()
    server.cli("SET", "plain", "new")
    source.collect(context, server.dataset())
    assert saves(server) == 2
    assert {"redis/redis-server/dump.rdb"} < changed(before, seen(context.paths.spool))
    assert b"new" in (folder_of(context) / "dump.rdb").read_bytes()


class Behind(SystemClock):
    """A clock of a machine whose time was set back by two hours since the server started."""

    def now(self) -> float:
        return super().now() - 7200


def test_a_clock_that_was_set_back_keeps_nobody_waiting(server: RedisServer, context: Context) -> None:
    server.cli("SAVE")
    server.cli("SET", "plain", "new")
    behind = replace(context, clock=Behind())
    points = source.collect(behind, server.dataset())
    assert points[0].taken_at < behind.clock.now() + 60
    assert b"new" in (folder_of(context) / "dump.rdb").read_bytes()


def test_what_the_server_saved_by_itself_or_lost_is_not_taken_for_what_was_collected(
    server: RedisServer, context: Context
) -> None:
    source.collect(context, server.dataset())
    server.cli("SET", "plain", "new")
    server.cli("SAVE")
    source.collect(context, server.dataset())
    assert b"new" in (folder_of(context) / "dump.rdb").read_bytes()
    (server.folder / "data/dump.rdb").unlink()
    source.collect(context, server.dataset())
    assert (server.folder / "data/dump.rdb").exists()


def test_a_server_that_was_started_with_an_old_save_beside_its_log_is_asked_to_save(context: Context) -> None:
    with engines.redis("appendonly yes", 'save ""') as server:
        source.collect(context, server.dataset())
        server.cli("SET", "in", "the log")
        server.stop()
        server.start()
        source.collect(context, server.dataset())
        assert b"the log" in (folder_of(context) / "dump.rdb").read_bytes()


def test_a_password_is_said_in_the_session_and_a_wrong_one_is_an_error_that_says_what_is_needed(
    context: Context,
) -> None:
    with engines.redis("rename-command BGSAVE b-g-s", password='with "quotes" and blank') as server:
        source.collect(context, server.dataset())
        before = seen(context.paths.spool)
        text = server.config.read_text()
        server.config.write_text(text.replace("requirepass", "# requirepass"))
        with pytest.raises(SourceError, match="NOAUTH") as caught:
            source.collect(context, server.dataset())
        assert "requirepass" in caught.value.hint
        server.config.write_text(text + "requirepass wrong\n")
        with pytest.raises(SourceError, match="WRONGPASS"):
            source.collect(context, server.dataset())
        server.config.write_text(text + 'rename-command BGSAVE ""\n')
        server.cli("SET", "plain", "new")
        with pytest.raises(SourceError, match="BGSAVE is switched off"):
            source.collect(context, server.dataset())
        assert changed(before, seen(context.paths.spool)) == set()


def test_an_account_that_may_not_save_is_told(server: RedisServer, context: Context) -> None:
    server.cli("ACL", "SETUSER", "default", "-bgsave")
    with pytest.raises(SourceError, match="NOPERM") as caught:
        source.collect(context, server.dataset())
    assert "BGSAVE" in caught.value.hint


def test_a_server_that_does_not_say_where_it_keeps_its_data_is_believed_by_its_file(
    server: RedisServer, context: Context
) -> None:
    server.cli("ACL", "SETUSER", "default", "-config")
    source.collect(context, server.dataset())
    assert (folder_of(context) / "dump.rdb").read_bytes().startswith(b"REDIS")


def test_a_save_that_fails_is_an_error_and_the_last_copy_stays(server: RedisServer, context: Context) -> None:
    source.collect(context, server.dataset())
    before = seen(context.paths.spool)
    server.cli("SET", "plain", "new")
    (server.folder / "data").chmod(0o500)
    with pytest.raises(SourceError, match="could not save"):
        source.collect(context, server.dataset())
    assert changed(before, seen(context.paths.spool)) == set()
    (server.folder / "data").chmod(0o750)
    source.collect(context, server.dataset())
    assert b"new" in (folder_of(context) / "dump.rdb").read_bytes()


def test_a_server_without_room_is_not_asked_to_save_since_it_would_take_no_more_writes(context: Context) -> None:
    with engines.redis("enable-protected-configs yes") as server:
        server.cli("SET", "plain", "value")
        small = server.folder / "small"
        small.mkdir()
        command.run(["mount", "-t", "tmpfs", "-o", "size=1m,mode=0777", "tmpfs", str(small)])
        try:
            server.cli("CONFIG", "SET", "dir", str(small))
            with pytest.raises(SourceError, match="no room for a save"):
                source.collect(context, server.dataset())
            assert saves(server) == 0
            assert server.cli("SET", "plain", "again") == "OK"
        finally:
            server.cli("CONFIG", "SET", "dir", str(server.folder / "data"))
            command.run(["umount", str(small)])


def test_a_server_that_is_down_or_hangs_is_an_error_with_its_name(server: RedisServer, context: Context) -> None:
    source.collect(context, server.dataset())
    before = seen(context.paths.spool)
    server.stop()
    with pytest.raises(SourceError, match="redis/redis-server could not be collected") as caught:
        source.collect(context, server.dataset())
    assert "Start it" in caught.value.hint
    with pytest.raises(SourceError, match="is enabled and does not run"):
        source.collect(context, replace(server.dataset(), fault="redis-server.service is enabled and does not run"))
    assert changed(before, seen(context.paths.spool)) == set()


def test_a_server_that_dies_while_it_saves_is_an_error(server: RedisServer, context: Context) -> None:
    source.collect(context, server.dataset())
    before = seen(context.paths.spool)
    server.cli("CONFIG", "SET", "rdb-key-save-delay", "500000")
    server.cli("SET", "plain", "new")

    class Clock:
        """Kills the server at the first wait for the save."""

        def now(self) -> float:
            return context.clock.now()

        def now_ns(self) -> int:
            return context.clock.now_ns()

        def monotonic(self) -> float:
            return context.clock.monotonic()

        def sleep(self, seconds: float) -> None:
            context.clock.sleep(seconds)
            if server.process is not None and saves(server) == 2:
                server.kill()

    with pytest.raises(SourceError, match="does not answer"):
        source.collect(replace(context, clock=Clock()), server.dataset())
    assert changed(before, seen(context.paths.spool)) == set()


def test_a_full_spool_is_an_error_with_its_name_and_the_last_copy_stays(server: RedisServer, context: Context) -> None:
    command.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(context.paths.state)])
    try:
        source.collect(context, server.dataset())
        before = seen(context.paths.spool)
        server.cli("-x", "SET", "large", input=os.urandom(1_500_000).hex())
        with pytest.raises(SourceError, match=f"the spool {context.paths.spool} is full"):
            source.collect(context, server.dataset())
        assert changed(before, seen(context.paths.spool)) == set()
    finally:
        command.run(["umount", str(context.paths.state)])


@pytest.mark.parametrize("lines", [(), ("appendonly yes",)])
def test_a_load_that_dies_anywhere_leaves_old_or_new_and_is_done_by_the_next(
    context: Context, lines: tuple[str, ...]
) -> None:
    with engines.redis(*lines) as server:
        server.cli("SET", "state", "new")
        source.collect(context, server.dataset())
        server.cli("SET", "state", "old")
        server.cli("SAVE")
        server.stop()
        kept = engines.copy_of(server.folder / "data", context.paths.root / "kept")
        calls: list[tuple[object, str]] = [
            (os, "replace"), (os, "link"), (os, "chown"), (trees, "remove"), (redis_load, "put"),
            (redis_load, "sync_filesystem"), (redis_load, "sync_directory"),
        ]  # fmt: skip
        number = 0
        while True:
            number += 1
            engines.copy_of(kept, server.folder / "data")
            died = in_a_child(lambda: source.restore(folder_of(context), HERE), calls, number)
            copied = engines.copy_of(server.folder / "data", context.paths.root / "as it lies")
            server.start()
            assert server.cli("GET", "state") in ("old", "new")
            server.stop()
            engines.copy_of(copied, server.folder / "data")
            source.restore(folder_of(context), HERE)
            server.start()
            assert server.cli("GET", "state") == "new"
            server.stop()
            assert not list((server.folder / "data").glob(".hotsync*"))
            if not died:
                break
        assert number > 6


def test_a_save_that_was_changed_afterwards_is_found_and_the_old_one_stays(
    server: RedisServer, context: Context
) -> None:
    source.collect(context, server.dataset())
    server.stop()
    before = (server.folder / "data/dump.rdb").read_bytes()
    path = folder_of(context) / "dump.rdb"
    path.write_bytes(path.read_bytes()[:-20] + b"x" * 20)
    assert [check.verdict for check in source.verify(folder_of(context))] == [Verdict.RED]
    with pytest.raises(RestoreFailed, match=r"dump\.rdb is not what was collected"):
        source.restore(folder_of(context), HERE)
    document = folder_of(context) / "server.json"
    text = document.read_text()
    sums = json.loads(text)["content"]["sha256"]
    document.write_text(text.replace(sums, digest_of(path).sha256))
    with pytest.raises(RestoreFailed, match="finds the save damaged"):
        source.restore(folder_of(context), HERE)
    assert (server.folder / "data/dump.rdb").read_bytes() == before
    assert [each.name for each in (server.folder / "data").iterdir()] == ["dump.rdb"]


def test_a_server_that_runs_is_not_loaded_and_an_older_one_is_refused(
    server: RedisServer, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    source.collect(context, server.dataset())
    with pytest.raises(RestoreFailed, match="a server runs in"):
        source.restore(folder_of(context), HERE)
    server.stop()
    monkeypatch.setattr(redis_load, "server_version", lambda: "6.0.16")
    with pytest.raises(OlderServer, match=r"6\.0\.16"):
        source.restore(folder_of(context), HERE)


@pytest.mark.parametrize(
    ("name", "value"), [("folder", "/etc"), ("folder", "/var/lib/../../etc/x"), ("dump", "../passwd"), ("dump", "")]
)
def test_a_place_that_is_none_is_refused(server: RedisServer, context: Context, name: str, value: str) -> None:
    source.collect(context, server.dataset())
    server.stop()
    document = folder_of(context) / "server.json"
    told = json.loads(document.read_text())
    document.write_text(json.dumps({**told, name: value}))
    with pytest.raises(RestoreFailed, match="is no "):
        source.restore(folder_of(context), HERE)


def test_a_cache_that_keeps_nothing_is_left_alone() -> None:
    with engines.redis('save ""') as server:
        assert not read_settings(str(server.config)).keeps


def test_a_running_server_is_found_with_where_it_keeps_its_files(
    server: RedisServer, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_find, "config_of", lambda process: str(server.config))
    monkeypatch.setattr(redis_find, "_unit_files", lambda context, known: {})
    found = [dataset for dataset in source.inspect(context) if dataset.config == str(server.config)]
    assert len(found) == 1
    assert found[0].directories[:2] == (f"{server.folder}/data/dump.rdb", f"{server.folder}/data/appendonlydir")
    assert source.ping(context) == "1 servers let HotSync in and answer"


def test_two_servers_in_one_unit_are_both_found_with_their_files(
    server: RedisServer, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_find, "_unit_files", lambda context, known: {})
    monkeypatch.setattr(processes, "parse_unit", lambda cgroup: "supervisor.service")
    configs: dict[int, str] = {}
    monkeypatch.setattr(redis_find, "config_of", lambda process: configs.get(process.pid, ""))
    with engines.redis() as other:
        assert server.process is not None
        assert other.process is not None
        configs |= {server.process.pid: str(server.config), other.process.pid: str(other.config)}
        found = source.inspect(context)
        assert {dataset.config for dataset in found} == set(configs.values())
        assert len({dataset.name for dataset in found}) == 2
        assert all(dataset.instance.startswith("supervisor--") for dataset in found)
        for dataset in found:
            source.collect(context, dataset)
        documents = [json.loads(path.read_text()) for path in context.paths.spool.rglob("server.json")]
    assert {document["folder"] for document in documents} == {f"{server.folder}/data", f"{other.folder}/data"}
    assert {document["unit"] for document in documents} == {"supervisor.service"}


def test_a_running_server_whose_configuration_is_not_known_is_named(
    server: RedisServer, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_find, "_unit_files", lambda context, known: {})
    notices: list[Notice] = []
    found = source.inspect(replace(context, notice=notices.append))
    assert server.process is not None
    assert [each for each in notices if f"process {server.process.pid}," in each.sentence]
    assert not [each for each in found if each.config == str(server.config)]


def test_a_server_that_speaks_tls_only_is_an_error_with_a_way_out(context: Context, tmp_path: Path) -> None:
    conf = tmp_path / "redis.conf"
    conf.write_text("port 0\ntls-port 6379\n")
    with pytest.raises(SourceError, match="TLS only") as caught:
        source.collect(context, replace(HERE, config=str(conf)))
    assert "unixsocket" in caught.value.hint


def test_a_session_with_something_else_is_an_error(tmp_path: Path) -> None:
    conf = tmp_path / "redis.conf"
    conf.write_text("port 0\ntls-port 6379\n")
    with pytest.raises(RedisError, match="TLS only"), session(read_settings(str(conf))):
        pass
