"""What the documents beside collected databases tell of each database."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from hotsync.errors import RestoreFailed
from hotsync.sources.documents import (
    FileRecord,
    MariadbAccounts,
    MariadbDatabase,
    MariadbInstance,
    PostgresqlCluster,
    PostgresqlDatabase,
    digests,
    load,
    render,
)

A, B = FileRecord("a.dump/1.dat", 3, "aa" * 32), FileRecord("a.dump/toc.dat", 4, "bb" * 32)
DATABASE = PostgresqlDatabase("a", "owner", "UTF8", "C", "C", "c", "", "pg_default", False, (A, B))
CLUSTER = PostgresqlCluster(1, "150018", "d", 5.0, (DATABASE,), FileRecord("globals.sql", 1, "cc" * 32), ("owner",))
INSTANCE = MariadbInstance(
    1, "10.11.19-MariaDB", "d", 5.0, (MariadbDatabase("d", FileRecord("d.sql", 3, "ab" * 32), 3),),
    MariadbAccounts(FileRecord("accounts.sql", 3, "cd" * 32), 1, (), ()),
)  # fmt: skip


def of(database: PostgresqlDatabase) -> str:
    return digests(replace(CLUSTER, databases=(database,)))["a"]


def test_a_database_of_mariadb_is_known_by_its_file() -> None:
    assert digests(INSTANCE) == {"d": "ab" * 32}


def test_a_database_of_a_cluster_is_known_by_its_files_and_what_it_is_made_with() -> None:
    assert of(DATABASE) == of(replace(DATABASE, content=(B, A), tables=(("s", "t", 5),)))
    different = (
        replace(DATABASE, content=(A,)),
        replace(DATABASE, owner="other"),
        replace(DATABASE, encoding="LATIN1"),
        replace(DATABASE, collate="de_DE"),
        replace(DATABASE, ctype="de_DE"),
        replace(DATABASE, provider="i"),
        replace(DATABASE, icu_locale="de"),
        replace(DATABASE, tablespace="fast"),
        replace(DATABASE, is_template=True),
    )
    assert len({of(DATABASE), *map(of, different)}) == len(different) + 1


def test_a_document_of_before_there_were_settings_is_read(tmp_path: Path) -> None:
    for document in (INSTANCE, CLUSTER):
        fields = json.loads(render(document))
        del fields["settings"]
        (tmp_path / "it.json").write_text(json.dumps(fields))
        assert load(tmp_path / "it.json", type(document)) == document
        with_settings = replace(document, settings=(("innodb_page_size", "16384"),))
        (tmp_path / "it.json").write_bytes(render(with_settings))
        assert load(tmp_path / "it.json", type(document)) == with_settings


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("version", "abc"), ("version", ""), ("version", "15.8"), ("version", "٣٣٣٣٣"), ("version", "9" * 5000),
        ("globals.file", "/etc/shadow"), ("globals.file", "../../x"), ("globals.file", ""), ("globals.file", "a/./b"),
        ("globals.file", "a\0b"), ("databases", [{**json.loads(render(CLUSTER))["databases"][0], "content": []}]),
    ],
)  # fmt: skip
def test_a_document_with_nonsense_in_it_is_malformed(tmp_path: Path, place: str, value: object) -> None:
    told = json.loads(render(CLUSTER))
    *way, last = place.split(".")
    part = told[way[0]] if way else told
    part[last] = value
    (tmp_path / "cluster.json").write_text(json.dumps(told))
    with pytest.raises(RestoreFailed, match=f"malformed at {place}"):
        load(tmp_path / "cluster.json", PostgresqlCluster)


def test_a_version_longer_than_any_is_malformed_for_every_server(tmp_path: Path) -> None:
    (tmp_path / "instance.json").write_bytes(render(replace(INSTANCE, version="9" * 5000)))
    with pytest.raises(RestoreFailed, match="malformed at version"):
        load(tmp_path / "instance.json", MariadbInstance)
