"""Sub-ids of the SLAVE make room for the MASTER's, range by range."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from hotsync.model.accounts.sub_ids import (
    SubMove,
    SubPlan,
    SubRange,
    each_number,
    parse_sub_ids,
    plan_sub_ids,
    render_sub_ids,
)
from tests.support.sizes import examples

FIRST, SIZE = 100000, 65536


def plan(master: str, own: str, foreign: tuple[range, ...] = ()) -> SubPlan:
    return plan_sub_ids(parse_sub_ids(master), parse_sub_ids(own), foreign)


def test_the_first_person_of_either_server_has_the_same_range_and_the_slaves_moves() -> None:
    found = plan("anna:100000:65536\nbob:165536:65536\n", "max:100000:65536\nodd\n", (range(231072, 240000),))
    assert found == SubPlan((SubMove("max", FIRST, 240000, SIZE),))
    assert render_sub_ids("max:100000:65536\nodd\n", found.moves) == "max:240000:65536\nodd\n"
    assert plan("anna:100000:65536\n", "anna:100000:65536\nmax:165536:65536\n") == SubPlan()


def test_a_person_whom_both_have_gets_the_masters_range_also_in_exchange() -> None:
    own = "a:100000:65536\nb:165536:65536\n"
    found = plan("a:165536:65536\nb:100000:65536\n", own)
    assert found.moves == (SubMove("a", FIRST, FIRST + SIZE, SIZE), SubMove("b", FIRST + SIZE, FIRST, SIZE))
    text = render_sub_ids(own, found.moves)
    assert text == "a:165536:65536\nb:100000:65536\n"
    assert render_sub_ids(text, found.moves) == text


def test_what_cannot_move_is_told_with_whoever_waits_for_it() -> None:
    twice = plan("anna:100000:65536\n", "max:100000:65536\ntom:100000:9\n")
    assert twice.moves == ()
    assert twice.refused[0] == "sub-ids 100000-165535 of max are another account's here, too"
    full = plan("anna:100000:9\n", "max:100000:9\n", (range(1, 2**32),))
    assert full.refused == ("sub-ids 100000-100008 of max are the MASTER's, and no others are free",)
    waits = plan("a:200000:9\n", "a:300000:9\nx:200000:9\ny:200000:9\n")
    assert waits.refused[-1] == "sub-ids 300000-300008 of a cannot move to the MASTER's: these are taken here"


def test_a_range_of_containers_of_the_masters_root_makes_the_slaves_people_move() -> None:
    """LXD and Incus ask for a thousand million; it was taken for no range, and nobody moved out of its way."""
    root = "root:1000000:1000000000\n"
    assert plan(root, "max:1000000:65536\n").moves == (SubMove("max", 1000000, FIRST, SIZE),)
    assert plan(root + "anna:100000:65536\n", root + "anna:100000:65536\n") == SubPlan()
    long = plan("anna:1000000:65536\n", root)
    assert long.moves == ()
    assert long.refused == (
        "sub-ids 1000000-1000999999 of root are in the way of the MASTER's, and too many to be moved",
    )
    assert plan("root:2000000:1000000000\n", root).refused == long.refused, "nor to those of its namesake"
    assert plan("anna:100000:65536\n", root) == SubPlan()


def test_lines_that_make_no_sense_are_nobodys() -> None:
    assert parse_sub_ids("a:0:5\nb:5:0\nc:x:5\nd:4294967290:9\ne:1:0\n:7:7\nf:7:7:7\n") == ()
    assert list(each_number([SubMove("a", 5, 9, 2)])) == [("a", 5, 9), ("a", 6, 10)]


subs = st.lists(
    st.builds(
        lambda name, start, count: SubRange(name, range(FIRST + start, FIRST + start + count)),
        st.sampled_from("abcd"), st.integers(0, 40), st.integers(1, 9),
    ),
    max_size=5,
)  # fmt: skip


@given(subs, subs)
@settings(max_examples=examples(300), deadline=None)
def test_afterwards_only_the_namesake_has_a_number_of_the_masters_or_it_is_told(
    master: list[SubRange], own: list[SubRange]
) -> None:
    found = plan_sub_ids(master, own, ())
    text = "".join(f"{each.name}:{each.numbers.start}:{len(each.numbers)}\n" for each in own)
    after = parse_sub_ids(render_sub_ids(text, found.moves))
    assert len(after) == len(own)
    owners = {number: name for name, _, number in each_number(found.moves)}
    assert len(owners) == sum(move.count for move in found.moves), "no two go to one number"
    if not found.refused:
        theirs = {(each.name, number) for each in master for number in each.numbers}
        numbers = {number for _, number in theirs}
        for each in after:
            assert each in master or all((each.name, n) in theirs or n not in numbers for n in each.numbers)
        assert plan_sub_ids(master, after, ()).moves == ()
