"""The scope of a walk decides as the law does, and says truly where nothing more can change."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hotsync.model.scope import Scope, scope_of
from hotsync.model.selection import Action, Rule, Selection

_names = st.sampled_from(["a", "b", "ab", "a.t", ".c", "n\nl", "é", "x\udcff"])
_pieces = st.sampled_from(["a", "b", "ab", "*", "**", "?", "*.t", "a*", "[ab]", "[!a]", "[^b]*", "a**b", "**.t", "***",
                           "[", "[]", "[!]", "[z-a]", "[a--b]", "x\udcff", "é", "[**]", "b**"])  # fmt: skip
_patterns = st.lists(_pieces, min_size=1, max_size=4).map(lambda names: "/" + "/".join(names))
_rules = st.lists(st.builds(Rule, _patterns, st.sampled_from(Action), st.sampled_from(["one", "two"])), max_size=6)
_paths = st.lists(_names, min_size=1, max_size=5)


def at(scope: Scope, names: list[str]) -> Scope:
    for name in names:
        scope = scope.child(name)
    return scope


@given(_rules, st.lists(_paths, min_size=1, max_size=12))
@example([Rule("/***/a", Action.INCLUDE, "one")], [["a"], ["b", "a"]])
@example([Rule("/**/a/**", Action.INCLUDE, "one"), Rule("/b/*/*/a", Action.EXCLUDE, "")], [["b", "a", "b", "a"]])
def test_a_scope_decides_as_the_law_does(rules: list[Rule], paths: list[list[str]]) -> None:
    selection = Selection(rules)
    root = scope_of(selection)
    for names in paths:
        decision = selection.decide("/".join(names))
        scope = at(root, names)
        assert scope.carried == (decision.action is Action.INCLUDE), (names, decision, scope.rule)
        assert (scope.rule is None) == (decision.rule is None)


@given(_rules, _paths, _paths)
def test_below_a_uniform_scope_the_decision_stays(rules: list[Rule], above: list[str], below: list[str]) -> None:
    selection = Selection(rules)
    scope = at(scope_of(selection), above)
    carried = selection.decide("/".join([*above, *below])).action is Action.INCLUDE
    if scope.uniform:
        assert carried == scope.carried
    if not scope.carried and not scope.may_carry_below:
        assert not carried


@pytest.mark.parametrize(
    ("pattern", "matching", "other"),
    [
        ("/a/[!b]", "a/c", "a/b"),
        ("/a/[^b]", "a/c", "a/b"),
        ("/a/[!b]c", "a/xc", "a/b/c"),
        ("/a/[x/y]", "a/[x/y]", "a/x"),
        ("/a/[]b]", "a/]", "a/c"),
        ("/a/[", "a/[/x", "a/b"),
        ("/a/b**", "a/bc/d", "a/c"),
        ("/a**/b", "ax/y/b", "b"),
        ("/a/**/b", "a/b", "b"),
    ],
)
def test_a_pattern_means_what_people_expect(pattern: str, matching: str, other: str) -> None:
    selection = Selection([Rule(pattern, Action.INCLUDE, "test")])
    assert selection.decide(matching).action is Action.INCLUDE
    assert selection.decide(other).action is Action.EXCLUDE


def test_most_folders_of_a_server_need_no_decision() -> None:
    lines = ["+/etc", "+/home", "-/home/*/.cache", "-/etc/**/*.dpkg-tmp", "+/var/lib", "=/var/lib/dpkg", "+/srv"]
    words = {"+": Action.INCLUDE, "-": Action.EXCLUDE, "=": Action.PROTECT}
    root = scope_of(Selection(Rule(line[1:], words[line[0]], "test") for line in lines))
    home = root.child("home")
    assert not home.uniform
    assert home.child("alice") is home.child("bob")
    assert home.child("alice").child("Maildir").uniform
    assert not home.child("alice").child(".cache").carried
    assert root.child("srv").uniform
    assert root.child("srv").carried
    assert not root.child("etc").child("ssl").uniform
    assert not root.child("usr").may_carry_below
    assert root.child("var").may_carry_below
    assert not root.child("var").carried


def test_a_scope_stays_small_however_many_names_it_meets() -> None:
    root = scope_of(Selection([Rule("/srv/**/*.tmp", Action.EXCLUDE, ""), Rule("/srv", Action.INCLUDE, "")]))
    srv = root.child("srv")
    assert len({id(srv.child(f"folder{number}")) for number in range(1000)}) == 1
    assert len({id(srv.child(f"file{number}.tmp")) for number in range(1000)}) == 1
