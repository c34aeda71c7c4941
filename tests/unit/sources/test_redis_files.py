"""What a Redis server's configuration and units say."""

from __future__ import annotations

from pathlib import Path

import pytest

from hotsync.errors import CommandFailed
from hotsync.model.secret import Secret
from hotsync.sources.openldap.server import config_of
from hotsync.sources.processes import running
from hotsync.sources.redis import find as redis_find
from hotsync.sources.redis.config import RedisSettings, read_settings, split_words
from hotsync.sources.redis.find import Collected, instance_of, not_running, parse_exec
from hotsync.sources.source import Context
from hotsync.system.paths import Paths


def settings_of(tmp_path: Path, text: str, folder: str = "") -> RedisSettings:
    conf = tmp_path / "redis.conf"
    conf.write_text(text)
    return read_settings(str(conf), folder)


def test_what_is_not_said_is_as_the_server_has_it(tmp_path: Path) -> None:
    settings = settings_of(tmp_path, "# nothing\n\n")
    assert settings == RedisSettings()
    assert settings.files == ()
    assert settings_of(tmp_path, "", "/var/lib/redis").folder == "/var/lib/redis"


def test_the_last_word_counts_also_of_files_that_are_included(tmp_path: Path) -> None:
    (tmp_path / "a.conf").write_text("port 7000\nrequirepass second\n")
    text = f'requirepass "first"\ndir /srv/redis/\nport 1\ninclude {tmp_path}/a*.conf\n'
    text += "appendonly yes\nbind -::1 10.0.0.1\n"
    settings = settings_of(tmp_path, text)
    assert (settings.port, settings.password, settings.address) == (7000, Secret("second"), "::1")
    assert settings.append_only
    assert settings.files == ("/srv/redis/dump.rdb", "/srv/redis/appendonlydir", "/srv/redis/appendonly.aof")


@pytest.mark.parametrize(
    ("text", "keeps"),
    [
        ("", True), ("save 900 1", True), ('save ""', False), ('save 900 1\nsave ""', False),
        ('save ""\nsave 60 10', True), ('save ""\nappendonly yes', True),
    ],
)  # fmt: skip
def test_a_server_that_neither_saves_nor_logs_is_a_cache(tmp_path: Path, text: str, keeps: bool) -> None:
    assert settings_of(tmp_path, text).keeps is keeps


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('requirepass "a \\"b\\" \\x41\\n"', ["requirepass", 'a "b" A\n']),
        ("requirepass 'a \\' \"b'", ["requirepass", "a ' \"b"]),
        ("bind\t127.0.0.1   ::1 ", ["bind", "127.0.0.1", "::1"]),
        ('save ""', ["save", ""]),
    ],
)
def test_words_are_read_as_the_server_reads_them(line: str, words: list[str]) -> None:
    assert split_words(line) == words


def test_a_quotation_mark_that_is_not_closed_is_a_fault() -> None:
    with pytest.raises(ValueError, match="not closed"):
        split_words('requirepass "open')


def test_a_server_with_tls_only_is_known(tmp_path: Path) -> None:
    assert settings_of(tmp_path, "port 0\ntls-port 6379").tls_only
    assert not settings_of(tmp_path, "port 0\ntls-port 6379\nunixsocket /run/redis.sock").tls_only


def test_an_instance_has_the_name_of_its_unit() -> None:
    assert instance_of("redis-server.service", "/etc/redis/redis.conf") == "redis-server"
    assert instance_of("redis-server@cache.service", "") == "redis-server%40cache"
    assert instance_of("", "/srv/my.conf") == "srv%2Fmy.conf"


def test_what_should_run_and_does_not_is_a_fault_and_what_was_stopped_keeps_its_copy() -> None:
    units = {
        "redis-server.service": "enabled", "redis.service": "alias", "redis-server@.service": "disabled",
        "redis-server@old.service": "disabled", "redis@.service": "enabled",
    }  # fmt: skip
    gone = Collected(folder="/nonexistent/of/redis", files=("dump.rdb",))
    found = list(not_running(units, dict.fromkeys(["redis-server%40old", "redis-server%40made", "gone"], gone)))
    assert [(each.instance, each.fault, each.parked) for each in found] == [
        ("redis-server", "redis-server.service is enabled and does not run", False),
        ("redis-server%40old", "", True),
        ("redis-server%40made", "", True),
    ]


def test_a_server_that_died_in_no_unit_is_a_fault_as_long_as_its_files_are_there(tmp_path: Path) -> None:
    (tmp_path / "mine.rdb").touch()
    (tmp_path / "empty").mkdir()
    for folder, name, is_left in (
        (tmp_path, "mine.rdb", True), (tmp_path, "other.rdb", False),
        (tmp_path / "empty", "dump.rdb", True), (tmp_path / "none", "dump.rdb", False),
    ):  # fmt: skip
        last = Collected("run-1.service", str(folder), (name,))
        found = list(not_running({}, {"run-1": last}))
        assert [each.instance for each in found if f"still in {folder}" in each.fault] == ["run-1"] * is_left
        assert not [each for each in found if each.parked]
    assert [each.fault for each in not_running({}, {"old": Collected()})] == ["it does not run: start it"]


def test_of_two_servers_in_one_unit_the_one_that_does_not_run_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "dump.rdb").touch()
    two = {f"supervisor--{name}": Collected("supervisor.service", str(tmp_path), ("dump.rdb",)) for name in "ab"}
    units = {"supervisor.service": "enabled"}
    both = [(each.instance, each.fault) for each in not_running(units, two)]
    assert both == [(name, "supervisor.service is enabled and does not run") for name in two]
    (one,) = not_running(units, {"supervisor--b": two["supervisor--b"]}, {"supervisor.service"})
    assert (one.instance, one.parked) == ("supervisor--b", False)
    assert "its files are still in" in one.fault


def test_where_systemd_does_not_answer_what_was_collected_is_kept_and_a_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_answer(*_: object) -> str:
        raise CommandFailed(program="systemctl", status="no end after 120 s", detail="it was ended", line="systemctl")

    (tmp_path / "var/lib/hotsync/spool/redis/old").mkdir(parents=True)
    monkeypatch.setattr(redis_find, "list_unit_files", no_answer)
    monkeypatch.setattr(redis_find, "PROGRAMS", ("true",))
    (old,) = redis_find.inspect(Context(Paths(tmp_path)))
    assert (old.instance, old.parked) == ("old", False)
    assert "cannot be told" in old.fault
    assert "no end after 120 s" in old.fault


def test_the_words_of_a_unit_are_read_from_what_systemctl_shows() -> None:
    text = (
        "{ path=/usr/bin/redis-server ; argv[]=/usr/bin/redis-server /etc/redis/redis.conf --supervised systemd ; "
        "ignore_errors=no ; start_time=[n/a] }\n"
    )
    assert parse_exec(text) == ["/etc/redis/redis.conf", "--supervised", "systemd"]


def test_slapd_is_told_of_its_configuration_in_two_ways() -> None:
    assert config_of(("/usr/sbin/slapd", "-h", "ldapi:///", "-F", "/etc/ldap/slapd.d")) == "/etc/ldap/slapd.d"
    assert config_of(("/usr/sbin/slapd", "-f/etc/ldap/slapd.conf")) == "/etc/ldap/slapd.conf"
    assert config_of(("/usr/sbin/slapd", "-u", "ldap")) == ""


def test_processes_that_see_another_root_or_have_ended_are_none(tmp_path: Path) -> None:
    for pid, program, root in ((10, "slapd", "/"), (9, "slapd", "/"), (11, "slapd", str(tmp_path)), (12, "other", "/")):
        folder = tmp_path / str(pid)
        folder.mkdir()
        (folder / "comm").write_text(f"{program}\n")
        (folder / "cmdline").write_bytes(b"\0".join((b"/usr/sbin/slapd", b"-d", b"0", b"")))
        (folder / "stat").write_text(f"{pid} (odd) name) S {' '.join(map(str, range(4, 30)))}\n")
        (folder / "cgroup").write_text("0::/system.slice/slapd.service\n")
        (folder / "root").symlink_to(root)
    (tmp_path / "13").mkdir()
    (tmp_path / "self").mkdir()
    found = running(("slapd",), tmp_path)
    assert [(each.pid, each.unit, each.words, each.started) for each in found] == [
        (pid, "slapd.service", ("/usr/sbin/slapd", "-d", "0"), f"{pid}.22") for pid in (9, 10)
    ]
