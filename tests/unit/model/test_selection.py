from __future__ import annotations

import random

import pytest

from hotsync.model.selection import Action, Rule, Selection, Voice


def rules(*lines: str) -> list[Rule]:
    words = {"+": Action.INCLUDE, "-": Action.EXCLUDE, "=": Action.PROTECT}
    return [Rule(line[2:], words[line[0]], f"line {number}") for number, line in enumerate(lines)]


@pytest.mark.parametrize(
    ("lines", "path", "action"),
    [
        (["+ /etc"], "etc/passwd", Action.INCLUDE),
        (["+ /etc"], "etcetera", Action.EXCLUDE),
        (["+ /var/lib", "- /var/lib/foo", "+ /var/lib/foo/keep"], "var/lib/foo/keep/x", Action.INCLUDE),
        (["+ /var/lib", "- /var/lib/foo", "+ /var/lib/foo/keep"], "var/lib/foo/other", Action.EXCLUDE),
        (["+ /etc", "= /etc/fstab"], "etc/fstab", Action.PROTECT),
        (["+ /etc/fstab", "= /etc/fstab"], "etc/fstab", Action.PROTECT),
        (["+ /etc/a", "- /etc/a"], "etc/a", Action.INCLUDE),
        (["+ /home", "- /home/*/.cache"], "home/u/.cache/x", Action.EXCLUDE),
        (["+ /home", "- /home/*/.cache"], "home/u/d/.cache", Action.INCLUDE),
        (["+ /home", "- /home/**/.cache"], "home/u/d/.cache", Action.EXCLUDE),
        (["+ /home", "- /home/*.tmp", "+ /home/a.tmp"], "home/a.tmp", Action.INCLUDE),
        (["+ /home", "- /home/[ab]"], "home/a", Action.EXCLUDE),
        (["+ /home", "- /home/[ab]"], "home/c", Action.INCLUDE),
        (["+ /srv/", "- /srv/new\nline"], "srv/new\nline/x", Action.EXCLUDE),
        ([], "anything", Action.EXCLUDE),
    ],
)
def test_the_rule_that_names_the_path_most_closely_wins(lines: list[str], path: str, action: Action) -> None:
    assert Selection(rules(*lines)).decide(path).action is action


def test_the_order_of_rules_does_not_matter() -> None:
    lines = rules("+ /etc", "- /etc/a", "+ /etc/a/b", "= /etc/a/b/c", "- /etc/**/x", "+ /srv", "- /srv/*")
    asked = ["etc", "etc/a", "etc/a/b", "etc/a/b/c", "etc/q/x", "srv", "srv/y", "srv/y/z"]
    expected = [Selection(lines).decide(path) for path in asked]
    for seed in range(20):
        random.Random(seed).shuffle(lines)
        assert [Selection(lines).decide(path) for path in asked] == expected


def test_the_decision_names_the_rule_and_its_origin() -> None:
    decision = Selection([Rule("/etc", Action.INCLUDE, "profile base")]).decide("etc/x")
    assert decision.rule is not None
    assert decision.rule.origin == "profile base"


def test_roots_are_the_outermost_included_folders() -> None:
    assert Selection(rules("+ /etc", "+ /etc/ssh", "+ /var/lib", "+ /home", "- /home/x")).roots() == (
        "etc",
        "home",
        "var/lib",
    )


MOUNT = Rule("/opt", Action.INCLUDE, "mounted ext4 file system", Voice.MOUNT)
PROFILE = Rule("/opt", Action.INCLUDE, "profile base", Voice.PROFILE)
SITE = Rule("/opt", Action.INCLUDE, "/etc/backup-data.d/a.include:1")


@pytest.mark.parametrize(
    ("rules", "action"),
    [
        ([PROFILE, MOUNT, Rule("/opt", Action.EXCLUDE, "a list")], Action.EXCLUDE),
        ([SITE, Rule("/opt", Action.EXCLUDE, "a list")], Action.INCLUDE),
        ([MOUNT, Rule("/opt", Action.EXCLUDE, "profile x", Voice.PROFILE)], Action.EXCLUDE),
        ([PROFILE, Rule("/opt", Action.EXCLUDE, "profile x", Voice.PROFILE)], Action.INCLUDE),
        ([SITE, Rule("/opt", Action.PROTECT, "profile x", Voice.PROFILE)], Action.PROTECT),
    ],
)
def test_of_one_path_the_site_is_heard_before_profiles_and_those_before_mounts(
    rules: list[Rule], action: Action
) -> None:
    selection = Selection(rules)
    assert selection.decide("opt").action is action
    assert selection.decide("opt/x").action is action
    assert selection.roots() == (("opt",) if action is Action.INCLUDE else ())


def test_a_rule_names_a_path_that_it_begins_with() -> None:
    selection = Selection(rules("- /srv", "- /mnt/*", "+ /home"))
    assert selection.names("srv")
    assert selection.names("mnt/disk")
    assert not selection.names("srv/disk")
    assert not selection.names("mnt")
    assert not selection.names("unknown")
