"""The configuration backup: what goes in, and that equal content makes equal bytes."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import pytest

from hotsync.model.facts import PackageFact
from hotsync.sources.archive import Changed, Member, md5_line, write_tar
from hotsync.sources.backup_config import find_members, render_packages
from hotsync.system.paths import Paths


def tree(tmp_path: Path, files: dict[str, str]) -> Paths:
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return Paths(tmp_path)


def names(paths: Paths) -> list[str]:
    return [member.name for member in find_members(paths, lambda notice: None)]


def test_the_defaults_leave_secrets_out(tmp_path: Path) -> None:
    paths = tree(
        tmp_path,
        {
            "etc/hostname": "x", "etc/passwd": "x", "etc/passwd-": "x", "etc/shadow": "x", "etc/gshadow": "x",
            "etc/ssh/sshd_config": "x", "etc/ssh/ssh_host_rsa_key": "x", "etc/ssh/ssh_host_rsa_key.pub": "x",
            "etc/ssl/private/key.pem": "x", "etc/ssl/openssl.cnf": "x", "etc/postfix/sasl_passwd": "x",
            "etc/postfix/main.cf": "x", "etc/letsencrypt/archive/a/privkey1.pem": "x", "etc/unknown": "x",
            "etc/apache2/site.key": "x", "etc/mysql/debian.cnf": "x", "etc/mysql/my.cnf": "x",
        },
    )  # fmt: skip
    assert names(paths) == [
        "etc/hostname", "etc/mysql/my.cnf", "etc/passwd", "etc/postfix/main.cf", "etc/ssh/ssh_host_rsa_key.pub",
        "etc/ssh/sshd_config", "etc/ssl/openssl.cnf",
    ]  # fmt: skip


def test_an_explicit_include_beats_a_wider_exclude(tmp_path: Path) -> None:
    paths = tree(
        tmp_path,
        {
            "etc/backup-config.d/a.exclude": "/etc/ssh\n/opt/app/cache\n",
            "etc/backup-config.d/b.include": "/etc/ssh/sshd_config\n/opt/app\n/srv/*/conf\n/opt/app/cache/keep",
            "etc/ssh/sshd_config": "x", "etc/ssh/moduli": "x", "opt/app/a b": "x", "opt/app/cache/x": "x",
            "opt/app/cache/keep": "x", "srv/one/conf/x": "x", "srv/two/conf/x": "x", "srv/two/data": "x",
        },
    )  # fmt: skip
    found = names(paths)
    assert [name for name in found if not name.startswith("etc/backup")] == [
        "etc/ssh/sshd_config", "opt/app/a b", "opt/app/cache/keep", "srv/one/conf/x", "srv/two/conf/x",
    ]  # fmt: skip


def test_links_are_links_and_sockets_are_nothing(tmp_path: Path) -> None:
    paths = tree(tmp_path, {"etc/ssl/real": "x"})
    (tmp_path / "etc/localtime").symlink_to("/usr/share/zoneinfo/UTC")
    (tmp_path / "etc/ssl/link").symlink_to("real")
    os.mkfifo(tmp_path / "etc/ssl/pipe")
    assert names(paths) == ["etc/localtime", "etc/ssl/link", "etc/ssl/real"]


def made(members: list[Member]) -> tuple[bytes, list[tuple[str, str]]]:
    parts: list[bytes] = []
    contents = write_tar(members, parts.append)
    return b"".join(parts), contents


def test_the_same_content_gives_the_same_bytes_and_tar_reads_them(tmp_path: Path) -> None:
    odd = "etc/a b\nc\udcff"
    path = tmp_path / os.fsdecode(b"odd\xff")
    path.write_bytes(b"hello")
    link = tmp_path / "link"
    link.symlink_to("odd")
    members = [Member(odd, path), Member("made", tmp_path / "x", b"made here", 7), Member("link", link)]
    first, contents = made(members)
    assert made(members) == (first, contents)
    assert [name for name, _ in contents] == [odd, "made"]
    assert contents[0][1] == "5d41402abc4b2a76b9719d911017c592"
    with tarfile.open(fileobj=io.BytesIO(first)) as tar:
        assert tar.getnames() == [odd, "made", "link"]
        assert (tar.getmember("made").mtime, tar.getmember("made").mode) == (7, 0o600)
        assert tar.getmember("link").linkname == "odd"


def test_a_file_that_vanished_meanwhile_is_left_out(tmp_path: Path) -> None:
    data, contents = made([Member("gone", tmp_path / "gone")])
    assert contents == []
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        assert tar.getnames() == []


def test_a_file_that_is_cut_short_while_it_is_read_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"x" * 100)
    real, asked = os.fstat, list[int]()

    def before_it_was_cut(descriptor: int) -> os.stat_result:
        status = real(descriptor)
        asked.append(descriptor)
        if len(asked) == 2:  # the one that tells the size
            os.truncate(path, 10)
        return status

    monkeypatch.setattr(os, "fstat", before_it_was_cut)
    with pytest.raises(Changed, match="/x"):
        made([Member("x", path)])


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("/a b", b"00  /a b\n"),
        ("/a\nb", b"\\00  /a\\nb\n"),
        ("/a\\b", b"\\00  /a\\\\b\n"),
        ("/a\udcff", b"00  /a\xff\n"),
    ],
)
def test_lines_of_md5sum(path: str, line: bytes) -> None:
    assert md5_line("00", path) == line


def test_the_package_list_has_apts_marks() -> None:
    packages = [PackageFact("a", "1", "amd64", True), PackageFact("b", "2:3-1", "all", False, True)]
    assert render_packages(packages) == b"a 1 amd64 manual\nb 2:3-1 all auto hold\n"
