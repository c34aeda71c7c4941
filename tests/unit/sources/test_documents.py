"""What the documents beside collected databases tell of each database."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

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
