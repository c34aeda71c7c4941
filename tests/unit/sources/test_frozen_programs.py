"""Database servers that are known by what a virtual machine runs: their programs are called as many others are."""

from __future__ import annotations

from pathlib import Path

import pytest

from hotsync.sources.frozen.programs import running


@pytest.mark.parametrize(
    ("program", "line", "server"),
    [
        ("beam.smp", "/opt/couchdb/bin/beam.smp -K true -- -root /x -progname couchdb -- -home /x",
         "couchdb"),
        ("beam.smp", "beam.smp -- -progname erl -- -boot /opt/couchdb/releases/3.3.3/couchdb -name a",
         "couchdb"),
        ("beam.smp", "/usr/lib/erlang/bin/beam.smp -- -progname erl -- -pa  -noshell -s rabbit boot -boot start_sasl",
         "rabbitmq"),
        ("beam.smp", "beam.smp -- -progname erl -- -home /var/lib/ejabberd -sname ejabberd -s ejabberd", "beam.smp"),
        ("java", "java -cp /var/lib/neo4j/lib/* org.neo4j.server.CommunityEntryPoint --home-dir=/x",
         "neo4j"),
        ("java", "/usr/bin/java -cp lib/neo4j-java-driver.jar com.example.Shop", "java"),
        ("java", "java -m org.elasticsearch.server/org.elasticsearch.bootstrap.Elasticsearch", "elasticsearch"),
        ("java", "java -cp lib/* org.opensearch.bootstrap.OpenSearch", "opensearch"),
        ("mongod", "/usr/bin/mongod --config /etc/mongod.conf", "mongod"),
        ("python3", "python3 /opt/couchdb/tool -progname couchdb", "python3"),
    ],
)  # fmt: skip
def test_a_server_is_known_by_its_command_line_where_its_program_says_nothing(
    tmp_path: Path, program: str, line: str, server: str
) -> None:
    folder = tmp_path / "10"
    folder.mkdir()
    (folder / "comm").write_text(f"{program}\n")
    (folder / "cgroup").write_text("0::/system.slice/a.service\n")
    (folder / "cmdline").write_text(line.replace(" ", "\0") + "\0")
    assert [name for _, name, _ in running(tmp_path)] == [server]


@pytest.mark.parametrize(
    ("program", "opened", "server"),
    [
        ("mysqld", ["/var/lib/mysql/ibdata1", "/var/lib/mysql/mysql.ibd"], "mysql"),
        ("mysqld", ["/var/lib/mysql/ibdata1", "/var/lib/mysql/aria_log_control"], "mysqld"),
        ("mariadbd", ["/var/lib/mysql/ibdata1"], "mariadbd"),
        ("cp", ["/var/lib/mysql/mysql.ibd"], "cp"),
    ],
)
def test_mysql_is_known_by_the_dictionary_that_it_has_open(
    tmp_path: Path, program: str, opened: list[str], server: str
) -> None:
    folder = tmp_path / "10"
    (folder / "fd").mkdir(parents=True)
    (folder / "comm").write_text(f"{program}\n")
    (folder / "cgroup").write_text("0::/system.slice/mysql.service\n")
    for number, path in enumerate(opened):
        (folder / "fd" / str(number)).symlink_to(path)
    assert [name for _, name, _ in running(tmp_path)] == [server]


def test_a_server_of_hotsyncs_own_is_none(tmp_path: Path) -> None:
    folder = tmp_path / "10"
    folder.mkdir()
    (folder / "comm").write_text("postgres\n")
    (folder / "cgroup").write_text("0::/system.slice/hotsync-warm-postgresql@15.service\n")
    assert list(running(tmp_path)) == []
