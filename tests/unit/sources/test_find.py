"""Finding database servers, from what the system's tools print."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hotsync.sources.instances import told_apart
from hotsync.sources.mariadb.find import (
    Collected,
    Listener,
    instance_of,
    not_running,
    one_a_process,
    parse_listeners,
    parse_unit_files,
    without_running,
)
from hotsync.sources.postgresql.cluster import parse_cluster, quoted_name
from hotsync.sources.postgresql.proof import are_harmless, without_header
from hotsync.sources.postgresql.source import parse_globals
from hotsync.sources.postgresql.toc import contents, without_time
from hotsync.sources.processes import parse_unit
from hotsync.sources.source import Dataset

GONE = Collected("", "/nonexistent/of/mariadb")

SS = """\
u_str LISTEN 0      4096          /run/systemd/private 12 * 0 users:(("systemd",pid=1,fd=18))
u_str LISTEN 0      80     /run/mysqld/mysqld.sock 125983 * 0 users:(("mariadbd",pid=7175,fd=20))      \n\
u_str LISTEN 0      80     /srv/my data/s.sock 125984 * 0 users:(("mysqld",pid=8,fd=20),("mysqld",pid=9,fd=20))
u_str LISTEN 0      80     @abstract 125985 * 0 users:(("mariadbd",pid=10,fd=20))
u_str LISTEN 0      80     /run/other.sock 125986 * 0
"""


def test_servers_are_found_by_the_sockets_that_they_listen_on() -> None:
    assert list(parse_listeners(SS)) == [
        Listener("mariadbd", 7175, "/run/mysqld/mysqld.sock"),
        Listener("mysqld", 8, "/srv/my data/s.sock"),
    ]


@pytest.mark.parametrize(
    ("cgroup", "unit"),
    [
        ("0::/system.slice/mariadb.service\n", "mariadb.service"),
        ("0::/system.slice/system-mariadb.slice/mariadb@nextcloud.service\n", "mariadb@nextcloud.service"),
        ("9:cpu:/\n1:name=systemd:/system.slice/mysqld.service\n", "mysqld.service"),
        ("0::/user.slice/user-0.slice/user@0.service/app.slice/db.service\n", "db.service"),
        ("9:name=systemd:/\n0::/\n", ""),
    ],
)
def test_the_unit_of_a_process(cgroup: str, unit: str) -> None:
    assert parse_unit(cgroup) == unit


@pytest.mark.parametrize(
    ("unit", "socket", "instance"),
    [
        ("mariadb.service", "/x", "default"),
        ("mariadb@nextcloud.service", "/x", "nextcloud"),
        ("rh-mariadb105-mariadb@nextcloud.service", "/x", "rh-mariadb105-mariadb@nextcloud"),
        ("", "/run/mysqld/mysqld.sock", "default"),
        ("", "/srv/s.sock", "srv/s.sock"),
    ],
)
def test_the_name_of_an_instance(unit: str, socket: str, instance: str) -> None:
    assert instance_of(unit, socket) == instance


def test_a_server_that_listens_on_two_sockets_is_one_by_its_own_socket() -> None:
    def line(socket: str, pid: int) -> str:
        return f'u_str LISTEN 0 80 {socket} 1 * 0 users:(("mysqld",pid={pid},fd=20))\n'

    sockets = (("/run/mysqld/mysqlx.sock", 8), ("/srv/z.sock", 8), ("/srv/a.sock", 9))
    found = one_a_process(parse_listeners("".join(line(*each) for each in sockets)))
    assert [(each.pid, each.socket) for each in found] == [(9, "/srv/a.sock"), (8, "/srv/z.sock")]


def named(servers: list[tuple[str, str]], collected: tuple[str, ...] = ()) -> dict[str, str]:
    """Name servers, given the instance and the socket of each."""
    datasets = [(Dataset("mariadb", instance, socket=socket), socket) for instance, socket in servers]
    return {dataset.socket: dataset.instance for dataset in told_apart(datasets, collected)}


def test_servers_of_one_name_have_a_second_part_that_does_not_depend_on_who_runs() -> None:
    one, two = ("a", "/run/one.sock"), ("a", "/run/two.sock")
    both = named([one, two])
    assert both == named([two, one]) == {"/run/one.sock": "a--run_one.sock", "/run/two.sock": "a--run_two.sock"}
    assert named([one]) == {"/run/one.sock": "a"}
    assert named([one], tuple(both.values())) == {"/run/one.sock": "a--run_one.sock"}, "it was collected as that"


def test_sockets_that_look_alike_still_name_two_servers() -> None:
    sockets = ["/srv/a_b.sock", "/srv/a/b.sock", "/srv/a b.sock", "/srv/" + "x" * 90, "/srv/" + "y" + "x" * 90]
    found = named([("a", socket) for socket in sockets])
    assert len(set(found.values())) == len(sockets)
    assert all(re.fullmatch(r"a--[A-Za-z0-9_.-]{1,60}", name) for name in found.values())


def test_on_a_slave_a_server_is_known_by_both_of_its_names() -> None:
    (alone,) = told_apart([(Dataset("mariadb", "a"), "/run/one.sock")], ())
    assert alone.is_named("a")
    assert alone.is_named("a--run_one.sock")
    assert not alone.is_named("a--run_two.sock")
    assert not alone.is_named("")


def test_a_server_that_does_not_run_is_a_fault_parked_or_gone() -> None:
    units = parse_unit_files(
        "mariadb.service enabled enabled\nmariadb@.service disabled enabled\nmysql.service alias -\n"
        "mariadb@b.service enabled-runtime enabled\nmariadb-extra.socket disabled enabled\n"
    )
    assert set(units) == {"mariadb.service", "mariadb@.service", "mariadb@b.service"}
    found = {dataset.instance: dataset for dataset in not_running(units, {"old": GONE})}
    assert found["default"].fault == "mariadb.service is enabled and does not run"
    assert found["b"].fault
    assert found["old"].parked
    assert [dataset.parked for dataset in not_running({"mariadb.service": "disabled"}, {"default": GONE})] == [True]
    assert list(not_running({}, {"default": GONE, "old": GONE})) == [], "no unit and no files: the server was removed"
    # as Oracle's packages for Debian call the units of several servers
    assert set(parse_unit_files("mysql@.service disabled enabled\nmysql@b.service enabled enabled\n")) == {
        "mysql@.service", "mysql@b.service",
    }  # fmt: skip
    assert [dataset.parked for dataset in not_running({"mysql@.service": "disabled"}, {"old": GONE})] == [True]


def test_a_server_that_no_unit_would_start_is_a_fault_as_long_as_its_files_are_there(tmp_path: Path) -> None:
    passing = Collected("run-u12.service", str(tmp_path))
    (dead,) = not_running({}, {"run-u12": passing})
    assert (dead.parked, dead.unit) == (False, "run-u12.service")
    assert dead.fault.startswith("it does not run, and no unit would start it; its files are still in")
    (unknown,) = not_running({}, {"old": Collected("")})
    assert unknown.fault == "it does not run, and no unit would start it; start it"


def test_of_two_servers_in_one_unit_the_one_that_does_not_run_is_a_fault(tmp_path: Path) -> None:
    two = {f"multi--{name}": Collected("multi.service", str(tmp_path)) for name in "ab"}
    units = {"multi.service": "enabled"}
    both = {dataset.instance: dataset.fault for dataset in not_running(units, two)}
    assert both == dict.fromkeys(two, "multi.service is enabled and does not run")
    (one,) = not_running(units, {"multi--b": two["multi--b"]}, {"multi.service"})
    assert one.fault.startswith("it does not run, and multi.service does; its files are still in")
    assert not list(not_running(units, {"multi--b": GONE}, {"multi.service"}))


def test_what_runs_under_another_name_now_is_not_missing(tmp_path: Path) -> None:
    runs = Dataset("mariadb", "x", directories=(str(tmp_path),))
    before = {"default": Collected("mariadb.service", f"{tmp_path}/"), "x": GONE, "y": GONE}
    assert without_running(before, [runs]) == {"y": GONE}


def test_a_server_with_a_unit_of_another_name_is_not_taken_for_gone_when_it_is_down() -> None:
    before = {"nextcloud-db": "nextcloud-db.service", "x": "db@x.service", "gone": "gone.service"}
    known = {instance: Collected(unit, GONE.directory) for instance, unit in before.items()}
    text = "nextcloud-db.service enabled enabled\ndb@.service disabled enabled\nother.service enabled enabled\n"
    units = parse_unit_files(text, list(before.values()))
    assert set(units) == {"nextcloud-db.service", "db@.service"}
    found = list(not_running(units, known))
    assert [dataset.instance for dataset in found if dataset.fault] == ["nextcloud-db"]
    assert [dataset.instance for dataset in found if dataset.parked] == ["x"]


def test_clusters_as_debian_lists_them() -> None:
    up = parse_cluster("15 main 5432 online,auto postgres /var/lib/postgresql/15/main /var/log/x.log", "/run/pg")
    assert (up.name, up.port, up.user, up.socket, up.fault, up.parked) == (
        "postgresql/15-main", 5432, "postgres", "/run/pg", "", False,
    )  # fmt: skip
    assert parse_cluster("15 main 5432 down,auto postgres /x /y", "").fault == "cluster 15/main does not run"
    parked = parse_cluster("9.6 old 5433 down,binaries_missing,manual pg /x /y", "")
    assert (parked.fault, parked.parked, parked.version) == ("", True, "9.6")
    with pytest.raises(ValueError, match="something else"):
        parse_cluster("Error: no", "")


@pytest.mark.parametrize(
    ("name", "expected"),
    [("shop", "dbname='shop'"), ("postgresql://x", "dbname='postgresql://x'"), ("a'b\\c", "dbname='a\\'b\\\\c'")],
)
def test_a_database_is_named_so_that_it_cannot_be_an_address(name: str, expected: str) -> None:
    assert quoted_name(name) == expected


def test_the_key_that_differs_each_time_is_taken_out_of_the_roles() -> None:
    body = b"CREATE ROLE a;\n\\restrict inside\nCOMMENT\n\\unrestrict inside\nGRANT b TO c;\n"
    text = b"--\n\n\\restrict k1\n\n" + body + b"\n\\unrestrict k1\n\n--\n"
    assert parse_globals(text) == b"--\n\n\n" + body + b"\n\n--\n"
    assert parse_globals(body.replace(b"\\", b"")) == body.replace(b"\\", b""), "older tools write no key"


def toc(second: int, *, version: tuple[int, int] = (1, 14), rest: bytes = b"rest") -> bytes:
    def number(value: int) -> bytes:
        return b"\0" + value.to_bytes(4, "little")

    compression = b"\0" if version >= (1, 15) else number(0)
    times = b"".join(number(value) for value in (second, 21, 16, 22, 10, 126, 0))
    return b"PGDMP" + bytes((*version, 0, 4, 8, 3)) + compression + times + rest


@pytest.mark.parametrize("version", [(1, 14), (1, 15), (1, 16)])
def test_tables_of_contents_are_compared_without_their_time(version: tuple[int, int]) -> None:
    assert without_time(toc(1, version=version)) == without_time(toc(59, version=version))
    assert without_time(toc(1, version=version)) != without_time(toc(1, version=version, rest=b"Rest"))
    assert without_time(toc(1, version=version)) is not None


@pytest.mark.parametrize("data", [b"", b"PGDMP", b"other" * 20, toc(1, version=(2, 0)), toc(1)[:20]])
def test_a_table_of_contents_of_another_form_is_never_called_equal(data: bytes) -> None:
    assert without_time(data) is None


def record(manager: str, what: str) -> str:
    """A line of pg_waldump."""
    head = f"rmgr: {manager:<11} len (rec/tot):     50/    50, tx:          0, "
    return f"{head}lsn: 0/0155C8E8, prev 0/0155C8B0, desc: {what} nextXid 733\n"


WAL = record("Standby", "RUNNING_XACTS") + record("XLOG", "CHECKPOINT_ONLINE")


def test_checkpoints_are_told_from_changes() -> None:
    assert are_harmless(WAL)
    assert not are_harmless(WAL + record("Transaction", "COMMIT"))
    assert not are_harmless("")
    assert not are_harmless("something else\n")


@pytest.mark.parametrize(
    ("insert", "end"),
    [
        ("0/1C000028", "0/1C000000"),
        ("16/B3740018", "16/B3740000"),
        ("16/B3740030", "16/B3740030"),
        ("16/B374D848", "16/B374D848"),
        ("1/0", "1/0"),
    ],
)
def test_a_page_with_nothing_but_its_head_is_none_of_the_log_yet(insert: str, end: str) -> None:
    assert without_header(insert) == end


def entry(kind: bytes, schema: bytes, name: bytes, file: bytes, definition: bytes = b"") -> bytes:
    def number(value: int) -> bytes:
        return (b"\1" if value < 0 else b"\0") + abs(value).to_bytes(4, "little")

    def text(value: bytes) -> bytes:
        return number(len(value)) + value

    before = number(7) + number(1) + text(b"0") + text(b"16390") + text(name) + text(kind) + number(3)
    middle = text(definition) + text(b"") + text(b"") + text(schema) + text(b"") + text(b"heap") + text(b"owner")
    return before + middle + text(b"false") + text(b"5") + number(-1) + text(file)


def test_a_table_of_contents_tells_whose_rows_lie_in_which_file() -> None:
    entries = [
        entry(b"EXTENSION", b"", b"hstore", b""),
        entry(b"TABLE", b"public", b"t\n1", b""),
        entry(b"TABLE", b"s", b"part", b""),
        entry(b"TABLE DATA", b"public", b"t\n1", b"3361.dat"),
        entry(b"TABLE DATA", b"s", b"part", b"3362.dat", b"-- load via partition root s.whole"),
        entry(b"TABLE DATA", b"public", b"of_an_extension", b"3363.dat"),
    ]
    head = b"".join(b"\0" + (4).to_bytes(4, "little") + b"text" for _ in range(3))
    rest = head + b"\0" + len(entries).to_bytes(4, "little") + b"".join(entries)
    found = contents(toc(1, rest=rest))
    assert found is not None
    assert found.tables == {"3361.dat": (b"public", b"t\n1")}
    assert found.extensions == ("hstore",)
    assert contents(toc(1, rest=rest[:-3])) is None
    assert contents(b"PGDMP") is None
