"""Homes of accounts, and folders that settings name, outside of the selection."""

from __future__ import annotations

import pytest

from hotsync.errors import ProfileError
from hotsync.model.coverage.findings import Finding, Kind
from hotsync.model.coverage.judge import Judge
from hotsync.model.coverage.places import PlaceSeen, homes_in, paths_in, place_findings
from hotsync.model.explain import Mounted
from hotsync.model.selection import Action, Rule, Selection
from hotsync.profiles.catalog import parse_profile, shipped

PROFILES = shipped()
JUDGE = Judge(
    Selection([Rule("/home", Action.INCLUDE, "base"), Rule("/data/left", Action.EXCLUDE, "site")]),
    Mounted({}, frozenset(), frozenset()),
)


def test_people_and_accounts_that_can_log_in_have_a_home_of_their_own() -> None:
    passwd = """root:x:0:0::/root:/bin/bash
sync:x:4:65534::/bin:/bin/sync
www-data:x:33:33::/var/www:/usr/sbin/nologin
git:x:110:110::/data/git:/bin/bash
anna:x:1000:1000::/data/users/anna:/bin/bash
mail only:x:1001:1001::/data/users/berta:/usr/sbin/nologin
odd:x:1002:1002::/data/a\tb:/bin/sh
none:x:1003:1003:::/bin/sh
short:x:1004
nobody:x:65534:65534::/nonexistent:/usr/sbin/nologin
"""
    assert list(homes_in(passwd)) == [
        ("/data/git", "git"), ("/data/users/anna", "anna"), ("/data/users/berta", "mail only"),
    ]  # fmt: skip


def test_homes_that_no_rule_names_are_told_those_beside_each_other_as_one() -> None:
    seen = [
        PlaceSeen(path, path.rpartition("/")[2], is_home=True)
        for path in ("/data/users/anna", "/data/users/berta", "/home/carl", "/data/left/dora", "/data/git")
    ]
    assert place_findings(seen, JUDGE) == [
        Finding(Kind.FOLDER, "/data/git", "a home of an account, and no rule names it", ("git",)),
        Finding(Kind.FOLDER, "/data/users", "homes of accounts lie there, and no rule names them", ("anna", "berta")),
    ]


def test_a_folder_that_settings_name_is_told_once_with_all_of_them() -> None:
    seen = [PlaceSeen("/data/x", f"A, /etc/{name}") for name in "ba"] + [PlaceSeen("/home/x", "A, /etc/a")]
    (found,) = place_findings(seen, JUDGE)
    assert (found.name, found.by) == ("/data/x", ("A, /etc/a", "A, /etc/b"))


@pytest.mark.parametrize(
    ("profile", "text", "paths"),
    [
        ("nextcloud", "  'datadirectory' => '/data/nextcloud/',\n", {"/data/nextcloud"}),
        ("nextcloud", "  'datadirectory' => $somewhere,\n", set()),
        ("samba", "[a]\n path = /data/a b \n[homes]\npath=/home/%U\n;path = /no\n", {"/data/a b"}),
        ("samba", '[a]\n\tPath = "/data/c"\n', {"/data/c"}),
        ("dovecot", "mail_location = maildir:/data/vmail/%d/%n:INDEX=/x\n#mail_location = mbox:/no\n", {"/data/vmail"}),
        ("dovecot", "mail_location = maildir:~/Maildir\n", set()),
        ("postfix", "virtual_mailbox_base = /data/vmail\n", {"/data/vmail"}),
        ("apache", ' DocumentRoot "/data/my site"\nDocumentRoot /data/b\n', {"/data/my site", "/data/b"}),
        ("nginx", "server {\n  root /data/html;\n  # root /no;\n  root $there;\n}\n", {"/data/html"}),
    ],
)  # fmt: skip
def test_where_shipped_profiles_look_for_data(profile: str, text: str, paths: set[str]) -> None:
    (named,) = PROFILES[profile].named
    assert paths_in(named.pattern, text) == paths


@pytest.mark.parametrize("pattern", ["no group", "(two) (groups)", "(open"])
def test_a_pattern_without_one_path_in_it_is_a_fault(pattern: str) -> None:
    text = f'[profile]\nname = "x"\ntitle = "x"\n[[named]]\nfiles = ["/etc/x"]\npattern = "{pattern}"\n'
    with pytest.raises(ProfileError, match=r"named\.0\.pattern"):
        parse_profile(text, "x.toml")
