"""The splitter: it cuts only where the client would be between two statements, whatever the dump holds."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hotsync.sources.mariadb.sqldump import Definitions, DumpError, split
from hotsync.sources.mariadb.sqlpieces import pieces
from tests.support.sizes import examples

HEADER = (
    b"/*M!999999\\- enable the sandbox mode */ \n"
    b"-- MariaDB dump 10.19\n--\n-- Host: localhost    Database: a\n"
    b"/*!40103 SET TIME_ZONE='+00:00' */;\n/*!40101 SET SQL_MODE='NO_AUTO_VALUE_ON_ZERO' */;\n"
)
FOOTER = b"/*!40103 SET TIME_ZONE=@OLD_TIME_ZONE */;\n\n/*!40101 SET SQL_MODE=@OLD_SQL_MODE */;\n\n-- Dump completed\n"


@dataclass
class Parts:
    """A sink that keeps everything."""

    files: dict[str, bytes] = field(default_factory=dict)
    views_at: dict[str, int] = field(default_factory=dict)
    tables: list[tuple[str, str, str]] = field(default_factory=list)
    counts: dict[tuple[str, str], int | None] = field(default_factory=dict)
    sections: list[str] = field(default_factory=list)

    def section(self, database: str) -> None:
        self.sections.append(database)

    def write(self, database: str, data: bytes) -> None:
        self.files[database] = self.files.get(database, b"") + data

    def views(self, database: str) -> None:
        self.views_at[database] = len(self.files[database])

    def table(self, database: str, table: str, engine: str) -> None:
        self.tables.append((database, table, engine))

    def rows(self, database: str, table: str, count: int | None) -> None:
        known = self.counts.get((database, table), 0)
        self.counts[database, table] = None if count is None or known is None else known + count


def quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


def section(name: str, body: bytes, *, views: bool = False) -> bytes:
    shown = quoted(name).replace("\n", "\n-- ")
    create = "" if views else f"CREATE DATABASE /*!32312 IF NOT EXISTS*/ {quoted(name)};\n\n"
    return f"\n--\n-- Current Database: {shown}\n--\n\n{create}USE {quoted(name)};\n".encode() + body


def dump(sections: list[bytes]) -> bytes:
    return HEADER + b"".join(sections) + FOOTER


def split_all(data: bytes, names: list[str], chunk: int = 1 << 20) -> Parts:
    parts = Parts()
    split((data[start : start + chunk] for start in range(0, len(data), chunk)), names, parts)
    return parts


def routine(body: str) -> bytes:
    return f"DELIMITER ;;\nCREATE PROCEDURE p()\nBEGIN\n{body}\nEND\n;;\nDELIMITER ;\n".encode()


MARK = "\n--\n-- Current Database: `b`\n--\n\nCREATE DATABASE `b`;\n\nUSE `b`;\n"
HOSTILE = {
    "in a comment of many lines": routine(f"/*{MARK}*/"),
    "in a string": routine(f"SELECT '{MARK}';"),
    "in a string after an escaped quote": routine(f"SELECT 'it\\'s{MARK}';"),
    "in a string after a doubled quote": routine(f"SELECT 'it''s{MARK}';"),
    "in a string with double quotes": routine(f'SELECT "\\"{MARK}";'),
    "in a name": routine(f"SELECT `x\\{MARK.replace('`', '``')}`;"),
    "between statements of a routine": routine(f"SELECT 1;{MARK}SELECT 2;"),
    "after a delimiter in a string": routine(f"SELECT ';;{MARK}';"),
    "after a delimiter in a line comment": routine(f"-- ;;\n# ;; '\nSELECT 1;{MARK}"),
    "after something that only looks like a comment": routine(f"SELECT 5--'{MARK}';"),
    "in a column's name": f"CREATE TABLE `t` (\n  `x{MARK.replace('`', '``')}y` int\n) ENGINE=InnoDB;\n".encode(),
    "in a table's name": f"INSERT INTO `t);{MARK.replace('`', '``')}` VALUES\n(1),\n(2);\n".encode(),
    "where backslashes are nothing special": (
        b"/*!50003 SET sql_mode              = 'NO_BACKSLASH_ESCAPES' */ ;\n"
        + routine(f"SELECT '\\';{MARK}SELECT '\\';")
    ),
    "where double quotes are names": (
        b"/*!50003 SET sql_mode              = 'ANSI_QUOTES' */ ;\n" + routine(f'SELECT "\\";{MARK}SELECT "\\";')
    ),
}


@pytest.mark.parametrize("chunk", [1, 5, 4096])
@pytest.mark.parametrize("where", HOSTILE)
def test_a_mark_that_is_not_the_dumps_own_cuts_nothing(where: str, chunk: int) -> None:
    data = dump([section("a", HOSTILE[where]), section("b", b"CREATE TABLE `t` (\n  `x` int\n) ENGINE=Aria;\n")])
    parts = split_all(data, ["a", "b"], chunk)
    assert HOSTILE[where] in parts.files["a"]
    assert b"CREATE TABLE `t`" in parts.files["b"]
    assert parts.tables[-1] == ("b", "t", "Aria")


def test_each_part_stands_alone_with_the_settings_of_the_dump() -> None:
    parts = split_all(dump([section("a", b"SELECT 1;\n"), section("b", b"SELECT 2;\n")]), ["a", "b"])
    for name, statement in (("a", b"SELECT 1;"), ("b", b"SELECT 2;")):
        text = parts.files[name]
        assert text.startswith(b"/*M!999999\\- enable the sandbox mode */ \n/*!40103 SET TIME_ZONE='+00:00' */;\n")
        assert statement in text
        assert text.endswith(b"SET SQL_MODE=@OLD_SQL_MODE */;\n\n-- Dump completed\n")
        assert b"MariaDB dump" not in text, "what names another database would make this one differ"


def test_a_part_does_not_change_with_its_neighbours() -> None:
    alone = split_all(dump([section("m", b"SELECT 1;\n")]), ["m"])
    among = split_all(
        dump([section(n, b"SELECT 1;\n" if n == "m" else b"SELECT 3;\n") for n in "amz"]), ["a", "m", "z"]
    )
    assert alone.files["m"] == among.files["m"]


def test_views_come_after_all_tables_and_their_place_is_known() -> None:
    body, view = b"CREATE TABLE `t` (\n  `x` int\n) ENGINE=InnoDB;\n", b"/*!50001 VIEW `v` AS select 1 */;\n"
    data = dump([section("a", body), section("b", body), section("a", view, views=True), section("b", b"", views=True)])
    parts = split_all(data, ["a", "b"])
    assert list(parts.views_at) == ["a"], "a database without views has no second part"
    first, second = parts.files["a"][: parts.views_at["a"]], parts.files["a"][parts.views_at["a"] :]
    assert body in first
    assert view not in first
    assert view in second
    assert b"SET TIME_ZONE='+00:00'" in second, "the second part stands alone too"
    assert b"USE `a`;" in second


def test_names_with_line_ends_and_quotes_are_read_right() -> None:
    names = ["a\nb", "c`d"]
    parts = split_all(dump([section(name, b"SELECT 1;\n") for name in names]), names)
    assert set(parts.files) == set(names)


@pytest.mark.parametrize(
    ("data", "names"),
    [
        (dump([section("a", b"")]), ["a", "b"]),
        (dump([section("a", b""), section("b", b"")]), ["a"]),
        (dump([section("b", b""), section("a", b"")]), ["a", "b"]),
        (dump([section("a", b""), section("b", b""), section("b", b"")]), ["a", "b"]),
        (dump([section("a", b""), section("b", b""), section("a", b"", views=True)]), ["a", "b"]),
        (dump([section("a", b"")]).replace(b"USE `a`;\n", b"SELECT 1;\n"), ["a"]),
        (dump([section("a", b"")]) + b"SELECT 1;\n", ["a"]),
        (HEADER, []),
        (b"", []),
    ],
)
def test_a_dump_of_other_databases_than_asked_for_is_refused(data: bytes, names: list[str]) -> None:
    with pytest.raises(DumpError):
        split_all(data, names)


@given(cut=st.integers(min_value=0))
@settings(max_examples=examples(60), deadline=None)
def test_a_dump_that_ends_early_is_refused_wherever_it_ends(cut: int) -> None:
    data = dump([section("a", HOSTILE["in a string"] + b"INSERT INTO `t` VALUES\n(1,'x'),\n(2,'y');\n")])
    with pytest.raises(DumpError):
        split_all(data[: cut % (len(data) - len(b"-- Dump completed\n"))], ["a"])


TEXT = st.text(alphabet=st.sampled_from("ab;'\"`\\-#/* !M\n\r()é"), max_size=12)


def escaped(text: str) -> str:
    for sign, instead in (("\\", "\\\\"), ("'", "\\'"), ('"', '\\"'), ("\n", "\\n"), ("\r", "\\r")):
        text = text.replace(sign, instead)
    return text


@st.composite
def statements(draw: st.DrawFn) -> bytes:
    """A statement as the dump would write it, with any text in every place that can hold any."""
    text = draw(TEXT)
    forms = [
        f"INSERT INTO {quoted(text)} VALUES\n(1,'{escaped(text)}'),\n(2,'{escaped(draw(TEXT))}');\n",
        f"CREATE TABLE {quoted(text)} (\n  {quoted(draw(TEXT))} int COMMENT '{escaped(text)}'\n) ENGINE=InnoDB;\n",
        f"DELIMITER ;;\nCREATE PROCEDURE {quoted(text)}()\nBEGIN SELECT '{escaped(text)}';"
        f" /* {draw(TEXT).replace('*/', '')} */ END\n;;\nDELIMITER ;\n",
        f"-- {text.replace(chr(10), ' ')}\n",
        "\n",
    ]
    return draw(st.sampled_from(forms)).encode()


@given(
    bodies=st.lists(st.lists(statements(), max_size=4).map(b"".join), min_size=1, max_size=4),
    chunk=st.integers(min_value=1, max_value=64),
)
@settings(max_examples=examples(80), deadline=None)
def test_whatever_the_databases_hold_each_gets_its_own(bodies: list[bytes], chunk: int) -> None:
    names = [f"d{number}" for number in range(len(bodies))]
    data = dump([section(name, body + b"SELECT 0;\n") for name, body in zip(names, bodies, strict=True)])
    assert b"".join(piece for _, piece in pieces([data])) == data
    parts = split_all(data, names, chunk)
    for name, body in zip(names, bodies, strict=True):
        assert body + b"SELECT 0;\n" in parts.files[name]


def test_a_long_insert_is_never_held_whole() -> None:
    row = b"(1,'" + b"x" * 990 + b"'),\n"
    largest = 0

    def chunks() -> object:
        yield HEADER + section("a", b"INSERT INTO `t` VALUES\n")
        for _ in range(2000):
            yield row
        yield row[:-2] + b";\n" + FOOTER

    for _, piece in pieces(chunks()):  # type: ignore[arg-type]
        largest = max(largest, len(piece))
    assert largest < 5000


ROWS = b"INSERT INTO `t``u` VALUES\n(1,'a),\\n(2'),\n(2,'b');\nINSERT INTO `t``u` VALUES\n(3,NULL);\n"


@pytest.mark.parametrize("chunk", [1, 7, 4096])
def test_rows_are_counted_while_they_pass(chunk: int) -> None:
    parts = split_all(dump([section("a", ROWS), section("b", b"SELECT 1;\n")]), ["a", "b"], chunk)
    assert parts.counts == {("a", "t`u"): 3}


def test_rows_are_counted_where_columns_are_named_too() -> None:
    named = b"INSERT INTO `v` (`a`, row_start) VALUES (1,'x'),\n(2,'y');\n"
    assert split_all(dump([section("a", named + ROWS)]), ["a"]).counts == {("a", "v"): 2, ("a", "t`u"): 3}


def test_rows_that_stand_on_one_line_are_not_counted() -> None:
    assert split_all(dump([section("a", b"INSERT INTO `t` VALUES (1),(2);\n")]), ["a"]).counts == {("a", "t"): None}


def test_definitions_are_the_same_with_rows_and_without_and_differ_with_anything_else() -> None:
    def said(body: bytes) -> str:
        definitions = Definitions()
        split([dump([section("a", body)])], ["a"], Parts(), definitions)
        return definitions.hexdigest()

    table = b"CREATE TABLE `t` (\n  `x` int\n) ENGINE=InnoDB AUTO_INCREMENT=3;\n"
    rows = b"LOCK TABLES `t` WRITE;\n/*!40000 ALTER TABLE `t` DISABLE KEYS */;\n" + ROWS + b"UNLOCK TABLES;\n"
    assert said(table + rows + HOSTILE["in a string"]) == said(table + HOSTILE["in a string"])
    assert said(table.replace(b"3;", b"4;")) != said(table)
    assert said(table + HOSTILE["in a string"]) != said(table)
