"""The form of a server's files as words of a command line; what a hostile MASTER says becomes none."""

from __future__ import annotations

import pytest

from hotsync.errors import RestoreFailed
from hotsync.sources.server_settings import mariadb_arguments, postgresql_arguments


def test_settings_of_mariadb_become_arguments() -> None:
    settings = (
        ("character_set_server", "utf8mb4"),
        ("collation_server", "utf8mb4_general_ci"),
        ("innodb_data_file_path", "ibdata1:12M;ibdata2:1G:autoextend:max:500G"),
        ("innodb_log_file_size", "100663296"),
        ("innodb_page_size", "16384"),
        ("innodb_undo_tablespaces", "0"),
        ("lower_case_table_names", "0"),
        ("of_a_newer_hotsync", "whatever"),
    )
    assert mariadb_arguments(settings, "mariadb/default") == [
        "--character-set-server=utf8mb4",
        "--collation-server=utf8mb4_general_ci",
        "--innodb-data-file-path=ibdata1:12M;ibdata2:1G:autoextend:max:500G",
        "--innodb-log-file-size=100663296",
        "--innodb-page-size=16384",
        "--innodb-undo-tablespaces=0",
        "--lower-case-table-names=0",
    ]
    assert mariadb_arguments((), "mariadb/default") == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("innodb_page_size", ""),
        ("innodb_page_size", "16384\n"),
        ("innodb_page_size", "16k"),
        ("innodb_page_size", "-1"),
        ("innodb_page_size", "٣"),
        ("innodb_log_file_size", "1" * 21),
        ("innodb_undo_tablespaces", "0 --init-file=/tmp/x"),
        ("lower_case_table_names", "3"),
        ("character_set_server", "utf8;x"),
        ("character_set_server", "../x"),
        ("collation_server", "ü"),
        ("collation_server", "a b"),
        ("innodb_data_file_path", "/etc/passwd:12M"),
        ("innodb_data_file_path", "../ibdata1:12M"),
        ("innodb_data_file_path", "ibdata1:12M;"),
        ("innodb_data_file_path", ";ibdata1:12M"),
        ("innodb_data_file_path", "ibdata1:12M;/dev/sda:1Gnewraw"),
        ("innodb_data_file_path", "ibdata1:12M\n"),
        ("innodb_data_file_path", "ibdata1"),
        ("innodb_data_file_path", "*:1M"),
    ],
)
def test_a_value_of_another_form_is_refused_with_its_setting(name: str, value: str) -> None:
    with pytest.raises(RestoreFailed, match=f"mariadb/default could not be loaded: {name} of the MASTER's server"):
        mariadb_arguments(((name, value),), "mariadb/default")


def test_settings_of_a_cluster_become_arguments_of_initdb() -> None:
    settings = (("data_checksums", "on"), ("of_a_newer_hotsync", "x"), ("wal_segment_size", "16777216"))
    assert postgresql_arguments(settings, "postgresql/15-main") == ["--data-checksums", "--wal-segsize=16"]
    large = (("data_checksums", "off"), ("wal_segment_size", "1073741824"))
    assert postgresql_arguments(large, "postgresql/15-main") == ["--wal-segsize=1024"]
    assert postgresql_arguments((), "postgresql/15-main") == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("data_checksums", "yes"),
        ("data_checksums", "on\n"),
        ("wal_segment_size", "16MB"),
        ("wal_segment_size", "16777217"),
        ("wal_segment_size", "2147483648"),
        ("wal_segment_size", "016777216"),
        ("wal_segment_size", "--pwfile=/x"),
    ],
)
def test_a_clusters_value_of_another_form_is_refused_with_its_setting(name: str, value: str) -> None:
    with pytest.raises(RestoreFailed, match=f"{name} of the MASTER's server"):
        postgresql_arguments(((name, value),), "postgresql/15-main")
