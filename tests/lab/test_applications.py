"""Applications that Debian packages, many at once: used on the MASTER, silent on the SLAVE, used after a promotion."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest

from tests.lab.applications.entries import Application, applications, groups
from tests.lab.applications.round import play
from tests.lab.conftest import own_name

pytestmark = [pytest.mark.lab, pytest.mark.timeout(3600)]


def faults(chosen: Sequence[Application]) -> dict[str, list[str]]:
    """Given applications, try them together and return what was wrong with each."""
    return {one.application.profile: one.faults for one in play(own_name("apps"), chosen) if one.faults}


@pytest.mark.full
def test_some_applications_wait_silently_and_serve_after_a_promotion(dice: random.Random) -> None:
    every = list(applications())
    dice.shuffle(every)
    assert faults(groups(every, 8)[0]) == {}


@pytest.mark.full
def test_more_than_twenty_on_one_master_wait_silently_and_serve_after_a_promotion() -> None:
    together = groups(applications(), 99)[0]
    assert len(together) > 20
    assert faults(together) == {}
