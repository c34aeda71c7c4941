"""Moves of accounts as a whole: any start, any wish of the MASTER, cut anywhere, planned again: it ends at the wish."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from hotsync.model.accounts.moves import Account, Move, NumberPlan, parse_users, plan_numbers, render_files, rounds
from tests.support.sizes import examples

NOGROUP = {"nogroup": Account("nogroup", 65534)}


@dataclass
class Host:
    """A SLAVE: its passwd, files as [whose, number], and the move that is written down."""

    passwd: str
    files: list[list[object]]
    journal: list[object] = field(default_factory=list[object])

    def users(self) -> dict[str, Account]:
        return parse_users(self.passwd)

    def write(self, plan: NumberPlan) -> None:
        self.passwd = render_files({"passwd": self.passwd, "group": "nogroup:x:65534:\n"}, plan)["passwd"]

    def run(self, wish: dict[str, Account]) -> Iterator[None]:
        """Do what a run does, in actions that a power cut may come between."""
        yield from self.finish()
        plan = plan_numbers(wish, NOGROUP, self.users(), NOGROUP)
        if plan.user_moves:
            self.journal = [plan.user_moves, 0]
            yield
            yield from self.finish()
        self.write(NumberPlan(new_users=plan.new_users))
        yield

    def finish(self) -> Iterator[None]:
        if not self.journal:
            return
        moves, begin = self.journal
        assert isinstance(moves, tuple)
        assert isinstance(begin, int)
        self.write(NumberPlan(user_moves=moves))
        yield
        for place, numbers in enumerate(rounds(moves)):
            for file in self.files if place >= begin else ():
                file[1] = numbers.get(file[1], file[1])  # type: ignore[call-overload]
                yield
            self.journal = [moves, max(begin, place + 1)]
            yield
        self.journal = []
        yield


numbers = st.integers(100, 106) | st.integers(999, 1003)
accounts = st.dictionaries(st.sampled_from("abcdefg"), numbers, max_size=6).map(
    lambda found: {
        name: Account(name, number, 65534)
        for name, number in found.items()
        if next(other for other in found if found[other] == number) == name
    }
)


@given(accounts, st.lists(accounts, min_size=1, max_size=3), st.lists(st.integers(0, 40), max_size=4))
@settings(max_examples=examples(300), deadline=None)
def test_wherever_it_is_cut_and_whatever_the_master_has_by_then_it_ends_at_the_wish(
    own: dict[str, Account], wishes: list[dict[str, Account]], cuts: list[int]
) -> None:
    passwd = "".join(f"{each.name}:x:{each.number}:65534::/:/bin/sh\n" for each in own.values())
    host = Host(passwd, [[each.name, each.number] for each in own.values() for _ in range(2)])
    for turn, cut in enumerate([*cuts, 10**9, 10**9]):
        wish = wishes[min(turn, len(wishes) - 1)] if turn < len(cuts) else wishes[-1]
        for place, _ in enumerate(host.run(wish)):
            counted = Counter(each.number for each in host.users().values())
            assert set(counted.values()) <= {1}, "two accounts have one number"
            if place == cut:
                break
    users = host.users()
    assert {name: users[name].number for name in wishes[-1]} == {name: each.number for name, each in wishes[-1].items()}
    assert own.keys() <= users.keys()
    assert [[name, users[str(name)].number] for name, _ in host.files] == host.files
    assert plan_numbers(wishes[-1], NOGROUP, users, NOGROUP).empty


def test_a_cycle_of_three_needs_two_rounds_and_a_chain_of_moves_too() -> None:
    cycle = rounds([Move("a", 1, 2), Move("b", 2, 3), Move("c", 3, 1)])
    chain = rounds([Move("a", 1, 2), Move("b", 2, 3)])
    assert [len(cycle), len(chain)] == [2, 2]
