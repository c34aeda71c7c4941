"""The pure rules of this room: verbs, time stamps, notices."""

from __future__ import annotations

import pytest

from hotsync.changes.notes import Notes
from hotsync.changes.scratch import Scratch
from hotsync.changes.verbs import in_range, is_coarse, is_rewritten, verb_for
from hotsync.manifest.store import Stamp
from hotsync.model.entry import Verb


def stamp(
    kind: str = "f", mode: int = 0o644, size: int = 5, mtime: int = 7, ctime: int = 8, inode: int = 9, links: int = 1,
    unsettled: int = 0,
) -> Stamp:  # fmt: skip
    return (b"a", kind, mode, 0, 0, size, mtime, ctime, inode, links, unsettled)


@pytest.mark.parametrize(
    ("old", "new", "verb", "if_proven"),
    [
        (None, stamp(), Verb.CONTENT, Verb.CONTENT),
        (None, stamp("d"), Verb.CONTENT, Verb.CONTENT),
        (stamp("d"), stamp("d", mode=0o700), Verb.META, Verb.META),
        (stamp("f"), stamp("d"), Verb.CONTENT, Verb.CONTENT),
        (stamp("d"), stamp("l"), Verb.CONTENT, Verb.CONTENT),
        (stamp(), stamp(mode=0o600, ctime=9), Verb.CONTENT, Verb.META),
        (stamp(), stamp(size=6, ctime=9), Verb.CONTENT, Verb.CONTENT),
        (stamp(), stamp(mtime=8, ctime=9), Verb.CONTENT, Verb.META),
        (stamp(), stamp(inode=10, ctime=9), Verb.CONTENT, Verb.META),
        (stamp(), stamp(links=2, ctime=9), Verb.CONTENT, Verb.CONTENT),
        (stamp(links=2), stamp(ctime=9), Verb.CONTENT, Verb.CONTENT),
        (stamp(unsettled=1), stamp(), Verb.CONTENT, Verb.META),
        (stamp(inode=0), stamp(inode=0, ctime=9), Verb.CONTENT, Verb.META),
        (stamp("l"), stamp("l", ctime=9), Verb.CONTENT, Verb.CONTENT),
    ],
)
def test_the_verb_of_a_changed_path(old: Stamp | None, new: Stamp, verb: Verb, if_proven: Verb) -> None:
    assert verb_for(old, new) is verb
    assert verb_for(old, new, proven=True) is if_proven


def test_a_file_is_rewritten_when_its_size_or_time_is_another() -> None:
    assert is_rewritten(stamp(), stamp(size=6))
    assert is_rewritten(stamp(), stamp(mtime=6))
    assert not is_rewritten(stamp(), stamp(mode=0, inode=1, ctime=99, links=3))


@pytest.mark.parametrize(
    ("mtime", "ctime", "coarse"),
    [
        (0, 10**18 - 20_000_001, False),
        (0, 10**18 - 19_999_999, True),
        (5, 10**18 - 10**9, False),  # somebody set one of them, or it came so by chance
        (10**18 - 10**9, 10**18 - 10**9 + 1, False),
        (0, 10**18 - 10**9, True),  # whole seconds: nothing finer is kept there
        (0, 10**18 - 2 * 10**9, True),
        (0, 10**18 - 3 * 10**9, False),
        (10**18 - 19_999_999, 0, True),
        (10**18 + 1, 0, True),
        (0, 2 * 10**18, True),
        (-(2**31) * 10**9, 0, False),
        (-(2**31) * 10**9 - 1, 0, True),
    ],
)
def test_a_stamp_is_trusted_when_no_later_change_can_bear_it_and_every_file_system_can_hold_it(
    mtime: int, ctime: int, coarse: bool
) -> None:
    assert is_coarse(mtime, ctime, 10**18) is coarse


def test_a_time_beyond_what_an_entry_holds_becomes_the_nearest() -> None:
    assert [in_range(ns) for ns in (-(2**80), -5, 0, 2**63 - 1, 2**63)] == [
        -(2**63) + 1, -5, 0, 2**63 - 1, 2**63 - 1,
    ]  # fmt: skip


def test_notices_beyond_a_number_are_only_counted() -> None:
    notes = Notes()
    for number in range(1203):
        notes.add("path.vanished", f"x\udcff{number}", "gone")
    notices = notes.notices()
    assert len(notices) == 501
    assert notices[0].sentence == "/x\\xff0: gone"
    assert notices[0].path == "x\udcff0"
    assert notices[-1].sentence == "and 703 more such paths"


def test_moved_files_are_told_from_deleted_ones_in_any_number() -> None:
    with Scratch() as scratch:
        for number in range(12_000):
            scratch.gone(stamp(inode=number))
            if number % 3 == 0:
                scratch.come(stamp(inode=number, mode=0))
            elif number % 3 == 1:
                scratch.come(stamp(inode=number, size=99))
        assert scratch.moved() == 4000
