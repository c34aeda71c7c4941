"""The MASTER's *.repo files are read without trust: what could be said in them that a SLAVE must not believe."""

from __future__ import annotations

import configparser

import pytest

from hotsync.model.packages.rpm_repositories import VARIABLES, RpmRepository, new_repositories, parse_repo, render_repo

BASE = RpmRepository("base", (("baseurl", "https://mirror.example/$releasever/$basearch/os/"),), ("RPM-GPG-KEY-x",))


def test_a_file_is_read_with_its_limits_and_what_is_switched_off_is_not() -> None:
    found, refused = parse_repo(
        "# a comment\n[main]\ngpgcheck=0\n"
        "[base]\nname = Base\nbaseurl=https://mirror.example/$releasever/$basearch/os/\n"
        "gpgkey=file:///etc/pki/rpm-gpg/RPM-GPG-KEY-x\ngpgcheck=1\n\n"
        "[app]\nmetalink = https://m.example/link?repo=app-${releasever}&arch=$basearch\n"
        "priority=10\nexclude=kernel*, foo-debug\n  bar\nrepo_gpgcheck=yes\nmodule_hotfixes=0\n"
        "[two]\nbaseurl=https://one.example/\n        https://two.example/\n"
        "[off]\nenabled = 0\nbaseurl=http://off.example/\n"
    )
    assert refused == []
    limits = (("priority", "10"), ("excludepkgs", "kernel* foo-debug bar"), ("repo_gpgcheck", "1"))
    app = RpmRepository(
        "app", (("metalink", "https://m.example/link?repo=app-${releasever}&arch=$basearch"),), (), limits
    )
    two = RpmRepository("two", (("baseurl", "https://one.example/"), ("baseurl", "https://two.example/")))
    assert found == [BASE, app, two]


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        ("baseurl=http://evil.example/\ngpgcheck=0", "signatures"),
        ("baseurl=http://evil.example/\ngpgcheck = False", "signatures"),
        ("baseurl=https://evil.example/\nsslverify=0", "certificates"),
        ("baseurl=http://evil.example/ x://y", "address"),
        ("baseurl=", "address"),
        ("baseurl=file:../etc", "address"),
        ("mirrorlist=http://evil.example/`x`", "address"),
        ("baseurl=http://evil.example/$stream/", "$stream"),
        ("baseurl=http://evil.example/${stream}/", "$stream"),
        ("baseurl=http://evil.example/\ngpgkey=https://evil.example/key", "keys"),
        ("baseurl=http://evil.example/\ngpgkey=file:///etc/pki/rpm-gpg/../../shadow", "keys"),
        ("baseurl=http://evil.example/\npriority=-1", "priority"),
        ("baseurl=http://evil.example/\nincludepkgs=a;b", "limited"),
        ("baseurl=https://cdn.example/\nsslclientkey=/etc/pki/entitlement/1.pem", "certificate of the MASTER's"),
        ("baseurl=https://cdn.example/\npassword=secret", "password"),
    ],
)
def test_what_is_unsafe_or_not_understood_is_refused(lines: str, why: str) -> None:
    found, refused = parse_repo(f"[x]\n{lines}\n")
    assert found == []
    assert why in refused[0].reason
    assert "secret" not in refused[0].what


def test_a_name_that_is_none_is_refused_and_a_variable_that_this_server_has_is_taken() -> None:
    assert "name" in parse_repo("[a]b\n[]\nbaseurl=http://a.example/\n")[1][0].reason
    found, _ = parse_repo("[x]\nbaseurl=http://a.example/$stream/\n", VARIABLES | {"stream"})
    assert found[0].places == (("baseurl", "http://a.example/$stream/"),)


def test_what_is_written_is_read_again_with_names_and_keys_of_our_own_and_signatures_checked() -> None:
    text = render_repo([(BASE, ("/etc/pki/rpm-gpg/hotsync-1.asc",)), (RpmRepository("b", BASE.places), ())])
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_string(text)
    assert parser.sections() == ["hotsync-base", "hotsync-b"]
    assert parser["hotsync-base"]["gpgkey"] == "file:///etc/pki/rpm-gpg/hotsync-1.asc"
    assert {parser[name]["gpgcheck"] for name in parser.sections()} == {"1"}
    found, refused = parse_repo(text)
    assert refused == []
    assert [each.places for each in found] == [BASE.places, BASE.places]


def test_only_what_is_new_here_is_offered_once_and_under_a_name_of_its_own() -> None:
    other = RpmRepository("base", (("baseurl", "https://other.example/"),))
    same = RpmRepository("mine", (("baseurl", "https://mirror.example/$releasever/$basearch/os"),))
    assert new_repositories([BASE, other], [same]) == (other,)
    assert [each.name for each in new_repositories([BASE, same, other], [])] == ["base", "base-1"]
