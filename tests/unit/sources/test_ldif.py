"""Configurations of directory servers, in both of their forms."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotsync.sources.openldap import lmdb, slapd_conf
from hotsync.sources.openldap.ldif import (
    DirectoryDatabase,
    EntryCounter,
    EntrySum,
    LdifError,
    databases_in,
    quoted,
    unquoted,
    with_directories,
)

CONFIG = b"""dn: cn=config
objectClass: olcGlobal
cn: config

# a remark
dn: olcDatabase={-1}frontend,cn=config
olcDatabase: {-1}frontend

dn: olcDatabase={0}config,cn=config
olcDatabase: {0}config

dn: olcDatabase={2}hdb,cn=config
olcDatabase: {2}hdb
olcSuffix: dc=old
olcDbDirectory: /var/lib/old

dn: olcDatabase={1}mdb,cn=config
olcDatabase: {1}mdb
olcSuffix:: ZGM9w6k=
olcDbDirectory: "/srv/with a
  blank"
description: dn: olcDatabase={7}mdb,cn=config

dn: olcOverlay={0}memberof,olcDatabase={1}mdb,cn=config
olcOverlay: {0}memberof

dn: olcDatabase={0}ldap,olcOverlay={1}chain,olcDatabase={1}mdb,cn=config
olcDatabase: {0}ldap
"""


def test_databases_are_found_with_their_numbers_folded_encoded_or_in_quotes() -> None:
    assert databases_in(CONFIG) == [
        DirectoryDatabase(1, "mdb", "dc=é", "/srv/with a blank"),
        DirectoryDatabase(2, "hdb", "dc=old", "/var/lib/old"),
    ]


def test_a_copy_with_other_directories_says_everything_else_as_before() -> None:
    moved = with_directories(CONFIG, {1: '/new "place"'})
    assert databases_in(moved) == [
        DirectoryDatabase(1, "mdb", "dc=é", '/new "place"'),
        DirectoryDatabase(2, "hdb", "dc=old", "/var/lib/old"),
    ]
    lines = [line for line in moved.splitlines() if line]
    assert len(lines) == len([line for line in CONFIG.replace(b"\n ", b"").splitlines() if line]) - 1
    assert b"dn:: " + base64.b64encode(b"olcOverlay={0}memberof,olcDatabase={1}mdb,cn=config") in lines


@pytest.mark.parametrize("text", [b"no line of LDIF\n", b"name:: not base64!\n"])
def test_what_is_no_ldif_is_said(text: bytes) -> None:
    with pytest.raises(LdifError):
        databases_in(text)


@given(st.lists(st.integers(1, 9)))
def test_entries_are_counted_whatever_the_chunks_are(sizes: list[int]) -> None:
    text = b"dn: a\nx: \ndn: b\n\ndn:: Yw==\nsn: dn: no\ny: z\n dn: folded\n\ndn: d\n"
    counter, position = EntryCounter(), 0
    for size in (*sizes, len(text)):
        counter.see(text[position : position + size])
        position += size
    assert counter.count == 4


@given(st.lists(st.integers(1, 9)), st.permutations([b"dn: a\nx: y", b"dn: b", b"dn: b", b"dn:: Yw==\nsn: d"]))
def test_the_same_entries_have_one_sum_in_whatever_order_and_chunks(sizes: list[int], entries: list[bytes]) -> None:
    def sum_of(entries: list[bytes], sizes: list[int]) -> int:
        text, summed, position = b"".join(entry + b"\n\n" for entry in entries), EntrySum(), 0
        for size in (*sizes, len(text)):
            summed.see(text[position : position + size])
            position += size
        assert summed.count == len(entries)
        return summed.sum

    usual = sum_of(sorted(entries), [])
    assert sum_of(entries, sizes) == usual
    assert sum_of(entries[1:], sizes) != usual
    assert sum_of([entries[0] + b"\nx: z", *entries[1:]], sizes) != usual


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_a_word_in_quotes_is_the_word(word: str) -> None:
    assert unquoted(quoted(word)) == word


def test_a_configuration_file_is_read_with_what_it_includes(tmp_path: Path) -> None:
    more = tmp_path / "more databases.conf"
    more.write_text('database MDB\nsuffix "dc=b"\n\ndirectory\n\t/srv/b\n')
    conf = tmp_path / "slapd.conf"
    conf.write_text(
        f'# slapd\ninclude "{more}"\ndatabase config\nrootpw x\ndatabase frontend\ndirectory /not/a/database\n'
        "database monitor\ndatabase hdb\nsuffix dc=c\nsuffix dc=d\ndirectory /srv/c\n"
    )
    lines = list(slapd_conf.read_lines(conf))
    assert slapd_conf.databases_of(lines) == [
        DirectoryDatabase(1, "mdb", "dc=b", "/srv/b"),
        DirectoryDatabase(2, "monitor", "", ""),
        DirectoryDatabase(3, "hdb", "dc=c", "/srv/c"),
    ]
    moved = slapd_conf.with_directories(lines, {1: "/new place"}).splitlines()
    assert [line for line in moved if "directory" in line] == [
        'directory "/new place"', "directory /not/a/database", "directory /srv/c",
    ]  # fmt: skip
    assert "rootpw x" in moved


def test_a_file_that_includes_itself_ends(tmp_path: Path) -> None:
    conf = tmp_path / "slapd.conf"
    conf.write_text(f"loglevel 0\ninclude {conf}\n")
    assert set(slapd_conf.read_lines(conf)) == {"loglevel 0"}


@pytest.mark.parametrize("content", [b"", b"x" * 10_000, b"\0" * 10_000])
def test_a_file_of_another_form_says_nothing_about_its_writes(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "data.mdb").write_bytes(content)
    assert lmdb.moment_of(tmp_path / "data.mdb") == ""
