"""Dumps as rows that can be compared."""

from __future__ import annotations

from pathlib import Path

import pytest

from hotsync.sources.dump_rows import is_rows, rows_of

SQL = b"""\
-- MariaDB dump
/*!40101 SET NAMES utf8mb4 */;
CREATE TABLE `or``ders` (
  `id` int(11) NOT NULL AUTO_INCREMENT
) ENGINE=InnoDB AUTO_INCREMENT=7 DEFAULT CHARSET=utf8mb4;
INSERT INTO `or``ders` VALUES
(1,'apples'),
(2,'a;b');
INSERT INTO `other` (`a`) VALUES (3),(4);

CREATE VIEW `v` AS SELECT 1;
"""
LDIF = b"""\
# a remark
dn: dc=example
objectClass: domain
description: a very
  long line

dn: cn=anna,dc=example
cn: anna
"""


@pytest.mark.parametrize(
    ("name", "content", "rows"),
    [
        (
            "shop.sql",
            SQL,
            [
                b"(definition)\tCREATE TABLE `or``ders` (",
                b"(definition)\t  `id` int(11) NOT NULL AUTO_INCREMENT",
                b"(definition)\t) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;",
                b"or`ders\t(1,'apples')",
                b"or`ders\t(2,'a;b')",
                b"other\t(3),(4)",
                b"(definition)\tCREATE VIEW `v` AS SELECT 1;",
            ],
        ),
        ("1.ldif", LDIF, [b"dn: dc=example\tobjectClass: domain | description: a very long line",
                          b"dn: cn=anna,dc=example\tcn: anna"]),
        ("3001.dat", b"1\tx\n2\t\\N\n\\.\n\n", [b"public.t\t1\tx", b"public.t\t2\t\\N"]),
        ("3002.dat", b"1\n\\.\n", [b"3002.dat\t1"]),
    ],
)  # fmt: skip
def test_a_row_is_a_line_after_its_table(tmp_path: Path, name: str, content: bytes, rows: list[bytes]) -> None:
    (tmp_path / name).write_bytes(content)
    assert is_rows(tmp_path / name)
    assert list(rows_of(tmp_path / name, {"3001.dat": (b"public", b"t")})) == rows


@pytest.mark.parametrize("name", ["toc.dat", "dump.rdb", "mnesia.backup", "instance.json"])
def test_what_holds_no_lines_is_no_rows(name: str) -> None:
    assert not is_rows(Path(name))
