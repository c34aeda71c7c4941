"""PostgreSQL servers that pg_createcluster did not make: what there should be, and what the MASTER may say of one."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from hotsync.sources.documents import FileRecord, PostgresqlCluster
from hotsync.sources.postgresql.place import major_of, may_hold_programs, place_fault, told_fault
from hotsync.sources.postgresql.plain import Collected, not_running, servers
from hotsync.sources.postgresql.settings import named_in
from hotsync.sources.processes import Process

GOOD = PostgresqlCluster(
    1, "150018", "d" * 64, 1.0, (), FileRecord("globals.sql", 1, "a" * 64), (),
    place="/srv/pg/data", unit="pg-shop.service", user="postgres", programs="/opt/pg/bin",
)  # fmt: skip


@pytest.mark.parametrize(
    "place",
    ["/var/lib/pgsql/data", "/var/lib/pgsql/15/data", "/srv/pg data", "/usr/local/pgsql/data", "/home/x/db", "/data"],
)
def test_a_data_directory_may_lie_where_people_put_one(place: str) -> None:
    assert place_fault(place) == ""
    assert told_fault(replace(GOOD, place=place), "15-pg-shop") == ""


@pytest.mark.parametrize(
    "place",
    [
        "", "/", "//", "srv/pg", "/srv/../etc", "/srv//pg", "/srv/pg/", "/srv/./pg", "/srv/-x", "/srv/p\ng", "/srv/pä",
        "/srv/$HOME", "/etc", "/etc/pg", "/usr", "/usr/lib/pg", "/usr/local", "/var", "/var/lib", "/var/lib/pgsql",
        "/srv", "/home", "/var/lib/hotsync", "/var/lib/hotsync/replica/x", "/proc/1/root", "/run/pg", "/dev/shm/x",
        "/sys/x", "/boot/x", "/lib/x", "/sbin/x", "/srv/" + "x" * 1000,
    ],
)  # fmt: skip
def test_no_server_is_put_where_none_can_be(place: str) -> None:
    assert place_fault(place)
    assert told_fault(replace(GOOD, place=place), "15-pg-shop") == place_fault(place)


@pytest.mark.parametrize(
    ("fields", "instance", "said"),
    [
        ({"unit": ""}, "15-a", "no unit"),
        ({"unit": "../x.service"}, "15-a", "no unit"),
        ({"unit": "x.socket"}, "15-a", "no unit"),
        ({"unit": "--now.service"}, "15-a", "no unit"),
        ({"unit": "hotsyncd.service"}, "15-a", "no unit"),
        ({"user": "root"}, "15-a", "no user"),
        ({"user": ""}, "15-a", "no user"),
        ({"user": "-u"}, "15-a", "no user"),
        ({"user": "a b"}, "15-a", "no user"),
        ({"user": "../x"}, "15-a", "no user"),
        ({}, "14-a", "does not begin with its version"),
        ({}, "main", "does not begin with its version"),
        ({"version": "9990001"}, "999-a", "does not begin with its version"),
    ],
)
def test_what_the_master_may_not_say_of_a_server(fields: dict[str, str], instance: str, said: str) -> None:
    assert said in told_fault(replace(GOOD, **fields), instance)  # type: ignore[arg-type]


def test_no_file_of_settings_is_one_of_the_servers_own() -> None:
    def said(name: str) -> str:
        return told_fault(replace(GOOD, configuration=(FileRecord(f"settings/{name}", 1, "a" * 64),)), "15-a")

    assert [said(name) for name in ("pg_hba.conf", "conf.d/x.conf", "server.key")] == ["", "", ""]
    for name in ("PG_VERSION", "base/1/2", "global/pg_control", "standby.signal", "pg_wal", "a\nb"):
        assert "is no file of settings" in said(name)
        assert "is no file of settings" in told_fault(replace(GOOD, links=((name, "/srv"),)), "15-a")


def test_the_major_version_and_folders_of_programs() -> None:
    assert [major_of(version) for version in ("150018", "160000", "90624", "90500")] == ["15", "16", "9.6", "9.5"]
    assert may_hold_programs("/opt/pg 15/bin")
    for folder in ("", "/tmp", "/tmp/bin", "/opt/../tmp", "bin", "/dev/shm/x", "/run/x", "/var/tmp/x"):
        assert not may_hold_programs(folder)


def test_what_does_not_run_is_named_kept_or_gone(tmp_path: Path) -> None:
    left, gone = str(tmp_path), str(tmp_path / "gone")
    collected = {
        "15-on": Collected("on.service", gone),
        "15-off": Collected("off.service", left),
        "15-of-a-template": Collected("pg@shop.service", left),
        "15-removed": Collected("removed.service", gone),
        "15-off-and-gone": Collected("off.service", gone),
        "15-died": Collected("no-such.service", left),
        "15-shares": Collected("many.service", left),
    }
    units = {"on.service": "enabled", "off.service": "disabled", "pg@.service": "static", "many.service": "enabled"}
    found = {each.instance: each for each in not_running(units, collected, {"many.service"})}
    assert {name: each.fault for name, each in found.items()} == {
        "15-on": "on.service is enabled and does not run",
        "15-off": "",
        "15-of-a-template": "",
        "15-died": f"it does not run, and no unit would start it; its files are still in {left}: start it, or remove "
        "them if it is gone for good",
        "15-shares": f"it does not run, and many.service does; its files are still in {left}: start it, or remove "
        "them if it is gone for good",
    }
    assert {name for name, each in found.items() if each.parked} == {"15-off", "15-of-a-template"}
    assert {each.place for each in found.values()} == {left, gone}


def test_an_enabled_unit_of_red_hats_that_never_ran_is_named() -> None:
    units = {"postgresql.service": "enabled", "postgresql-15.service": "enabled", "postgresql-16.service": "disabled",
             "postgresql-setup.service": "enabled"}  # fmt: skip
    found = {each.name: each.fault for each in not_running(units, {})}
    assert found == {
        "postgresql/postgresql": "postgresql.service is enabled and does not run",
        "postgresql/15-postgresql-15": "postgresql-15.service is enabled and does not run",
    }
    assert not list(not_running(units, {}, {"postgresql.service", "postgresql-15.service"}))


def process_in(proc: Path, data: Path, pid: int, version: str = "15", unit: str = "pg.service") -> Process:
    data.mkdir()
    (data / "PG_VERSION").write_text(f"{version}\n")
    (data / "postmaster.pid").write_text(f"{pid}\n{data}\n1\n5433\n/run/pg\n*\n")
    (proc / str(pid)).mkdir(parents=True)
    (proc / str(pid) / "cwd").symlink_to(data)
    (proc / str(pid) / "exe").symlink_to("/usr/pgsql-15/bin/postgres")
    return Process(pid, "postgres", unit, ())


def test_a_process_is_a_server_by_what_lies_in_the_folder_it_works_in(tmp_path: Path) -> None:
    proc = tmp_path / "proc"
    own = process_in(proc, tmp_path / "own", 40, unit="hotsync-warm-x.service")
    clusters = process_in(proc, tmp_path / "cluster", 41, unit="postgresql@15-main.service")
    odd = process_in(proc, tmp_path / "odd", 42, version="x/../y")
    child = process_in(proc, tmp_path / "child", 43)
    (tmp_path / "child/postmaster.pid").write_text("1\n")
    device = process_in(proc, tmp_path / "device", 44)
    (tmp_path / "device/postmaster.pid").unlink()
    (tmp_path / "device/postmaster.pid").symlink_to("/dev/zero")
    found = {each.place: each for each in servers((own, clusters, odd, child, device), proc)}
    assert set(found) == {str(tmp_path / "cluster"), str(tmp_path / "odd")}
    if os.getuid() == 0:
        assert all("it runs as root: it is not asked" in each.fault for each in found.values())


def test_one_whose_data_directory_is_anothers_is_not_asked(tmp_path: Path) -> None:
    proc = tmp_path / "proc"
    process = process_in(proc, tmp_path / "data", 40)
    os.chown(tmp_path / "data", 65534, 65534)
    (server,) = servers((process,), proc)
    assert "its data directory is" in server.fault
    os.chown(proc / "40", 65534, 65534)
    (server,) = servers((replace(process, unit=""),), proc)
    assert "outside of any unit" in server.fault
    for path in (tmp_path / "data", proc / "40"):
        os.chown(path, 998, 998)
    (server,) = servers((process,), proc)
    assert (server.instance, server.port, server.socket, server.programs, server.fault) == (
        "15-pg", 5433, "/run/pg", "/usr/pgsql-15/bin", "",
    )  # fmt: skip
    (tmp_path / "data/postmaster.pid").write_text(f"40\n{tmp_path / 'data'}\n1\n5433\n\n*\n")
    (server,) = servers((process,), proc)
    assert "no unix socket" in server.fault


def test_files_of_settings_name_others() -> None:
    text = (
        "include 'a.conf'\n  include_if_exists = \"b.conf\" # c\n#include 'no.conf'\ninclude_dir 'none.d'\n"
        "shared_preload_libraries = 'include'\nINCLUDE /etc/c.conf\ninclude 'it''s'\n"
        'host all @admins,@"two words" all md5 # @no\nlocal @dbs all peer\n'
    )
    assert list(named_in(text, "/d")) == [
        "/d/a.conf", "/d/b.conf", "/etc/c.conf", "/d/it's", "/d/admins", "/d/two words", "/d/dbs",
    ]  # fmt: skip
