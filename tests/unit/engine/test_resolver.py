"""A MASTER whose resolv.conf is a link to what systemd-resolved makes, promoted where that is not installed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hotsync.engine.promotion.resolver import own_name_servers, read_resolver_check, resolver_files
from hotsync.model.facts import NetworkFacts
from hotsync.model.network.resolver import check_names, plain_text
from hotsync.model.report import Verdict
from hotsync.system.paths import Paths

STUB = "../run/systemd/resolve/stub-resolv.conf"
TOLD = NetworkFacts(dns=("192.0.2.53", "2001:db8::53"), domains=("lab.example", "example"))


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    paths = Paths(tmp_path)
    for folder in (paths.at("/etc"), paths.replica / "tree/etc", tmp_path / "part/etc"):
        folder.mkdir(parents=True)
    return paths


def link(paths: Paths, target: str) -> Path:
    for folder in (paths.replica / "tree/etc", paths.root / "part/etc"):
        os.symlink(target, folder / "resolv.conf")
    return paths.root / "part/etc"


def test_a_link_that_leads_nowhere_here_becomes_a_file_with_the_masters_name_servers(paths: Paths) -> None:
    part = link(paths, STUB)
    assert resolver_files(paths, part, TOLD) == {
        "resolv.conf": f"# HotSync: the MASTER's resolv.conf is a link to {STUB}, which nothing makes on this server.\n"
        "search lab.example example\nnameserver 192.0.2.53\nnameserver 2001:db8::53\n"
    }
    check = read_resolver_check(paths, TOLD)
    assert check.verdict is Verdict.GREEN
    assert "a promotion writes a plain one with 192.0.2.53, 2001:db8::53" in check.detail


def test_a_link_to_what_this_server_makes_too_stays(paths: Paths) -> None:
    made = paths.at("/run/systemd/resolve/stub-resolv.conf")
    made.parent.mkdir(parents=True)
    made.touch()
    assert resolver_files(paths, link(paths, STUB), TOLD) == {}
    assert read_resolver_check(paths, TOLD).detail == ""


def test_a_link_within_etc_leads_to_what_comes_with_it(paths: Paths) -> None:
    part = link(paths, "resolv.conf.office")
    assert set(resolver_files(paths, part, TOLD)) == {"resolv.conf"}
    (part / "resolv.conf.office").touch()
    assert resolver_files(paths, part, TOLD) == {}


def test_a_plain_file_is_the_masters_and_none_is_none(paths: Paths) -> None:
    part = paths.root / "part/etc"
    assert resolver_files(paths, part, TOLD) == {}
    (part / "resolv.conf").write_text("nameserver 192.0.2.1\n")
    assert resolver_files(paths, part, TOLD) == {}


def test_where_the_master_told_no_server_but_resolveds_own_this_servers_are_asked(paths: Paths) -> None:
    part, told = link(paths, STUB), NetworkFacts(dns=("127.0.0.53",))
    assert resolver_files(paths, part, told) == {}
    check = read_resolver_check(paths, told)
    assert (check.verdict, "no name server is known" in check.detail) == (Verdict.AMBER, True)
    paths.at("/etc/resolv.conf").write_text("nameserver 198.51.100.53\n")
    assert "nameserver 198.51.100.53\n" in resolver_files(paths, part, told)["resolv.conf"]
    assert read_resolver_check(paths, told).verdict is Verdict.GREEN


def test_nothing_that_the_master_tells_becomes_a_line_of_its_own(paths: Paths) -> None:
    told = NetworkFacts(
        dns=("192.0.2.53\noptions x", "fe80::1%eth0\nx", "192.0.2.54"), domains=("a\nnameserver 6.6.6.6", "b")
    )
    assert resolver_files(paths, link(paths, STUB), told)["resolv.conf"].splitlines()[1:] == [
        "search b",
        "nameserver 192.0.2.54",
    ]
    assert len(plain_text("x\ny", ("192.0.2.54",), ()).splitlines()) == 2


def test_a_slave_that_asks_itself_for_names_and_gets_no_answer_is_told(paths: Paths) -> None:
    paths.at("/etc/resolv.conf").write_text("nameserver 127.0.0.1\n")
    servers = own_name_servers(paths)
    check = check_names(servers, answers=False)
    assert (check.verdict, "127.0.0.1" in check.detail, "services.keep" in check.hint) == (Verdict.AMBER, True, True)
    assert check_names(servers, answers=True).verdict is Verdict.GREEN
    assert check_names(("192.0.2.53",), answers=False).verdict is Verdict.GREEN
