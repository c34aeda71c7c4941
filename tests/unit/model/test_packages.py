"""Which of the MASTER's packages the SLAVE gets, and which transactions must not run."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hotsync.model.facts import PackageFact
from hotsync.model.packages import (
    Package,
    Transaction,
    Wanted,
    choose,
    compare_versions,
    missing_packages,
    objections,
    resolve,
)
from tests.support.sizes import examples

HERE = frozenset(("amd64", "all"))


def fact(name: str, version: str = "1.0", architecture: str = "amd64", *, manual: bool = True) -> PackageFact:
    return PackageFact(name, version, architecture, manual)


def test_what_the_slave_has_is_not_wanted_whatever_its_version() -> None:
    wanted, left = missing_packages([fact("postfix", "3.7")], {"postfix": Package("postfix", "3.5", "amd64")}, HERE)
    assert (wanted, left) == ((), ())


def test_this_hosts_own_packages_are_never_carried_and_the_reason_is_told() -> None:
    names = ["linux-image-6.1.0-18-amd64", "grub-efi-amd64", "hotsync", "qemu-guest-agent", "firmware-linux-free"]
    wanted, left = missing_packages([fact(name) for name in names], {}, HERE)
    assert wanted == ()
    assert {each.name for each in left} == set(names)
    assert all("this host's own" in each.reason for each in left)


@pytest.mark.parametrize("name", ["-o", "--force-yes", "a b", "x=1", "../x", "A", "", "a\n", "postfix/stable", "x*"])
def test_a_name_that_is_no_package_name_never_reaches_a_command_line(name: str) -> None:
    wanted, left = missing_packages([fact(name)], {}, HERE)
    assert wanted == ()
    assert len(left) == 1


@pytest.mark.parametrize("version", ["", "-1", "1 2", "1;x", "$(x)", "1\n"])
def test_a_version_that_is_none_is_refused_with_its_package(version: str) -> None:
    assert missing_packages([fact("good", version)], {}, HERE)[0] == ()


def test_a_package_of_another_architecture_is_left_out_but_not_its_namesake_of_ours() -> None:
    told = [fact("libc6", architecture="i386"), fact("libc6"), fact("wine32", architecture="i386")]
    wanted, left = missing_packages(told, {}, HERE)
    assert [each.name for each in wanted] == ["libc6"]
    assert [each.name for each in left] == ["wine32"]


def test_the_masters_version_is_taken_where_it_can_be_had_else_the_candidate() -> None:
    wanted = [Wanted("a", "1", True), Wanted("b", "1", True), Wanted("c", "1", True)]
    choice = choose(wanted, {"a": ["2", "1"], "b": ["3", "2"]})
    assert choice.words == ("a=1", "b=3")
    assert choice.other_version == {"b": "3"}
    assert choice.unavailable == ("c",)


def test_a_transaction_that_removes_or_puts_back_or_touches_our_own_is_refused() -> None:
    here = {
        "grub-pc": Package("grub-pc", "2", "amd64"),
        "libc6": Package("libc6", "2.36-9+deb12u10", "amd64"),
        "held": Package("held", "1", "amd64", held=True),
    }
    bad = Transaction(
        (("grub-efi-amd64", "2"), ("fine", "1")),
        (("libc6", "2.36-9+deb12u10", "2.36-9+deb12u4"), ("held", "1", "2"), ("lvm2", "1", "2")),
        ("grub-pc",),
    )
    said = objections(bad, here)
    assert len(said) == 5
    assert any("remove grub-pc" in line for line in said)
    assert any("put libc6 back" in line for line in said)
    assert objections(Transaction((("fine", "1"),), (("libc6", "2.36-9+deb12u4", "2.36-9+deb12u10"),), ()), here) == ()


@given(bad=st.frozensets(st.integers(0, 40)), count=st.integers(0, 40))
@settings(max_examples=examples(100), deadline=None)
def test_one_package_that_cannot_be_had_does_not_block_the_others(bad: frozenset[int], count: int) -> None:
    def ask(words: Sequence[str]) -> Sequence[str]:
        return [f"{word} is bad" for word in words if int(word.partition("=")[0]) in bad]

    accepted, refused = resolve([f"{number}=1" for number in range(count)], ask)
    assert sorted(int(word.partition("=")[0]) for word in accepted) == sorted(set(range(count)) - bad)
    assert {int(name) for name in refused} == bad & set(range(count))


def test_packages_that_exclude_each_other_leave_the_first_in() -> None:
    def ask(words: Sequence[str]) -> Sequence[str]:
        return ["a and b exclude each other"] if {"a=1", "b=1"} <= set(words) else []

    accepted, refused = resolve(["a=1", "b=1", "c=1"], ask)
    assert set(accepted) == {"a=1", "c=1"}
    assert refused == {"b": "a and b exclude each other"}


@pytest.mark.parametrize(
    ("left", "right", "order"),
    [
        ("1.0", "1.0", 0),
        ("1.0", "1.1", -1),
        ("1.0~rc1", "1.0", -1),
        ("1.0-1", "1.0-1+b1", -1),
        ("1:0.1", "9", 1),
        ("2.36-9+deb12u10", "2.36-9+deb12u4", 1),
        ("10.11.6-0+deb12u1", "10.11.14-0+deb12u2", -1),
        ("1.0a", "1.0+", -1),
        ("0:1", "1", 0),
        ("1.00", "1.0", 0),
    ],
)
def test_versions_are_ordered_as_debian_orders_them(left: str, right: str, order: int) -> None:
    assert compare_versions(left, right) == order
    assert compare_versions(right, left) == -order
