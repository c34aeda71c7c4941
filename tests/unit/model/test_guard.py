from __future__ import annotations

import pytest

from hotsync.model.entry import Kind
from hotsync.model.guard import Damage, GuardRule, Place, reasons_to_hold

FULL = Place(Kind.DIRECTORY, mounted=True, entries=100)
NONE = Damage(1000, 0, 0)


@pytest.mark.parametrize(
    ("before", "now", "word"),
    [
        (FULL, FULL, ""),
        (FULL, None, "not mounted"),
        (Place(Kind.DIRECTORY, entries=2), None, "missing; it held 2 entries"),
        (FULL, Place(Kind.DIRECTORY, mounted=False, entries=100), "not mounted"),
        (FULL, Place(Kind.DIRECTORY, mounted=True, entries=1), "empty"),
        (FULL, Place(Kind.FILE, mounted=True), "was a folder and is a file"),
        (FULL, Place(Kind.FIFO, mounted=True), "is a special file"),
        (FULL, Place(Kind.DIRECTORY, readable=False), ""),
        (FULL, Place(Kind.DIRECTORY, mounted=True, hidden=3), "hides 3 entries"),
        (Place(Kind.DIRECTORY), Place(Kind.DIRECTORY), ""),
        (Place(Kind.DIRECTORY), Place(Kind.DIRECTORY, mounted=True, entries=7), ""),
        (None, Place(Kind.DIRECTORY), ""),
    ],
)
def test_a_place_that_lost_what_it_held_is_a_reason(before: Place | None, now: Place | None, word: str) -> None:
    found = reasons_to_hold({"srv": before} if before else {}, {"srv": now} if now else {}, NONE, GuardRule())
    assert len(found) == bool(word)
    assert word in "".join(found)
    assert all(reason.startswith("/srv ") for reason in found)


@pytest.mark.parametrize(
    ("damage", "held"),
    [
        (Damage(2000, 1000, 0), False),
        (Damage(2000, 1001, 0), True),
        (Damage(2000, 500, 501), True),
        (Damage(1000, 999, 0), False),
        (Damage(0, 0, 0), False),
    ],
)
def test_more_than_the_share_holds_a_run_from_a_number_of_files_on(damage: Damage, held: bool) -> None:
    assert bool(reasons_to_hold({}, {}, damage, GuardRule(50, 1000))) is held


def test_every_reason_is_named_at_once() -> None:
    before = {"a": FULL, "b": FULL}
    assert len(reasons_to_hold(before, {}, Damage(2000, 2000, 0), GuardRule())) == 3


def test_names_of_any_bytes_can_be_shown_and_mailed() -> None:
    (reason,) = reasons_to_hold({"srv/\udcff\x1b[2J\nx": FULL}, {}, NONE, GuardRule())
    assert reason.startswith("/srv/\\xff\\x1b[2J\\x0ax is not mounted")
