"""The one rule of what becomes of a database server that does not run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import pytest

from hotsync.errors import CommandFailed
from hotsync.sources.down import because, down, never_collected, standing
from hotsync.sources.source import Dataset

START = "start it, or remove them if it is gone for good"


@dataclass(frozen=True)
class Before:
    """A server that was collected before."""

    unit: str
    is_left: bool


@pytest.mark.parametrize(
    ("state", "is_left", "serving", "fault", "parked"),
    [
        ({"a@x.service": "enabled"}, False, (), "a@x.service is enabled and does not run", False),
        ({"a@x.service": "disabled"}, False, (), "", True),
        ({"a@.service": "static"}, True, (), "", True),
        ({}, True, (), f"it does not run, and no unit would start it; its files are still in /d: {START}", False),
        ({}, False, (), None, False),
        (
            {"a@x.service": "enabled"}, True, ("a@x.service",),
            f"it does not run, and a@x.service does; its files are still in /d: {START}", False,
        ),
        ({"a@x.service": "enabled"}, False, ("a@x.service",), None, False),
    ],
)  # fmt: skip
def test_a_server_that_does_not_run_is_a_fault_parked_or_gone(
    state: Mapping[str, str], is_left: bool, serving: tuple[str, ...], fault: str | None, parked: bool
) -> None:
    starters = ("a@x.service", "a@.service")
    last, say = Before("a@x.service", is_left), partial(because, place="/d")
    now = standing(last, state, serving, unit="a@x.service", starters=starters, say=say)
    assert (now and now.fault) == fault
    assert (now is not None and now.parked) == parked


def test_where_its_files_are_not_told_it_is_to_be_started() -> None:
    assert because("no unit would start it", "") == "it does not run, and no unit would start it; start it"


def test_of_units_that_should_run_those_that_make_others_and_those_that_are_known_do_not_count() -> None:
    units = {"a.service": "enabled", "b.service": "disabled", "c@.service": "enabled", "d@e.service": "enabled-runtime"}
    assert list(never_collected(units, {"a.service"})) == ["d@e.service"]


def test_where_systemd_does_not_answer_all_that_were_collected_are_a_fault() -> None:
    def no_answer() -> dict[str, str]:
        raise CommandFailed(program="systemctl", status="no end after 120 s", detail="it was ended", line="systemctl")

    known = {"x": Before("x.service", True)}
    (found,) = down("redis", known, no_answer, lambda units: ())
    assert (found.name, found.unit, found.parked) == ("redis/x", "x.service", False)
    assert "whether it should cannot be told: systemctl failed (no end after 120 s)" in found.fault
    asked = down("redis", known, lambda: {"u": "s"}, lambda units: [Dataset("redis", unit) for unit in units])
    assert list(asked) == [Dataset("redis", "u")]
