"""The applications that the lab tries: each stands for a shipped profile, and groups hold what can live together."""

from __future__ import annotations

from itertools import combinations

from hypothesis import given, settings
from hypothesis import strategies as st

from hotsync.profiles.catalog import shipped
from tests.lab.applications.entries import Application, applications, groups, shared
from tests.support.sizes import examples


def test_each_application_is_a_shipped_profile_that_finds_it_on_debian() -> None:
    profiles = shipped()
    strangers = [
        one.profile
        for one in applications()
        if one.profile not in profiles or set(one.packages).isdisjoint(profiles[one.profile].detect.debian)
    ]
    assert strangers == []


def test_more_than_twenty_can_live_together() -> None:
    assert len(groups(applications(), 99)[0]) > 20


def test_what_is_asked_has_a_right_answer_and_who_is_asked_is_known() -> None:
    assert [one.profile for one in applications() if not one.answer.strip() or not one.question.strip()] == []
    assert {one.asked_on for one in applications()} == {"client", "server"}


names = st.lists(st.sampled_from(["21", "53", "80", "445"]), max_size=2, unique=True)


@given(st.lists(names, max_size=12), st.integers(1, 6))
@settings(max_examples=examples(100))
def test_every_application_is_in_one_group_and_no_port_twice_in_any(ports: list[list[str]], size: int) -> None:
    every = [
        Application(profile=str(number), packages=("x",), set_up="", question="q", answer="a", ports=tuple(wanted))
        for number, wanted in enumerate(ports)
    ]
    made = groups(every, size)
    assert sorted(one.profile for group in made for one in group) == sorted(one.profile for one in every)
    assert all(len(group) <= size for group in made)
    assert [1 for group in made for one, other in combinations(group, 2) if shared([one], other)] == []
