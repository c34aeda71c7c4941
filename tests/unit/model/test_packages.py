"""What is asked of the package manager, and which transactions must not run."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from hotsync.model.packages.family import DEBIAN
from hotsync.model.packages.values import Package, Request, Transaction, Wanted, choose, objections, resolve
from tests.support.sizes import examples


def test_the_masters_version_is_taken_where_it_can_be_had_else_the_candidate() -> None:
    wanted = [Wanted("a", "1", True), Wanted("b", "1", True), Wanted("c", "1", True)]
    choice = choose(wanted, {"a": ["2", "1"], "b": ["3", "2"]}, DEBIAN.order)
    assert choice.requests == (Request("a", "1"), Request("b", "3"))
    assert choice.unavailable == ("c",)


def test_a_file_of_the_masters_version_comes_after_a_repository_and_before_another_version() -> None:
    wanted = [Wanted("a", "1", True), Wanted("b", "2", True)]
    choice = choose(wanted, {"a": ["1"], "b": ["1"]}, DEBIAN.order, {"a": "/a.deb", "b": "/b.deb"})
    assert choice.requests == (Request("a", "1"), Request("b", "2", "/b.deb"))


def test_an_update_goes_to_the_masters_version_else_to_a_candidate_that_is_newer_than_what_is_here() -> None:
    wanted = [Wanted("a", "1.5", True, "1"), Wanted("b", "1.5", True, "1"), Wanted("c", "1.5", True, "1")]
    choice = choose(wanted, {"a": ["2", "1.5", "1"], "b": ["2", "1"], "c": ["1"]}, DEBIAN.order)
    assert choice.requests == (Request("a", "1.5"), Request("b", "2"))
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
    said = objections(bad, here, DEBIAN.order)
    assert len(said) == 5
    assert any("remove grub-pc" in line for line in said)
    assert any("put libc6 back" in line for line in said)
    assert (
        objections(
            Transaction((("fine", "1"),), (("libc6", "2.36-9+deb12u4", "2.36-9+deb12u10"),), ()), here, DEBIAN.order
        )
        == ()
    )


@given(bad=st.frozensets(st.integers(0, 40)), count=st.integers(0, 40))
@settings(max_examples=examples(100), deadline=None)
def test_one_package_that_cannot_be_had_does_not_block_the_others(bad: frozenset[int], count: int) -> None:
    def ask(requests: Sequence[Request]) -> Sequence[str]:
        return [f"{each.name} is bad" for each in requests if int(each.name) in bad]

    accepted, refused = resolve([Request(str(number), "1") for number in range(count)], ask)
    assert sorted(int(each.name) for each in accepted) == sorted(set(range(count)) - bad)
    assert {int(name) for name in refused} == bad & set(range(count))


def test_packages_that_exclude_each_other_leave_the_first_in() -> None:
    def ask(requests: Sequence[Request]) -> Sequence[str]:
        return ["a and b exclude each other"] if {"a", "b"} <= {each.name for each in requests} else []

    accepted, refused = resolve([Request(name, "1") for name in "abc"], ask)
    assert {each.name for each in accepted} == {"a", "c"}
    assert refused == {"b": "a and b exclude each other"}
