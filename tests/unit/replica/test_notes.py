from __future__ import annotations

from hotsync.replica.staged import Notes


def test_however_much_is_wrong_only_the_first_of_it_is_kept_in_words_and_the_number_of_all() -> None:
    notes = Notes()
    for number in range(100_000):
        notes.add(f"/var/{number} (missing)")
    assert (notes.count, len(notes.first)) == (100_000, 100)
    assert notes.summary(2) == "/var/0 (missing); /var/1 (missing) and 99998 more"
    assert notes.lines()[-1] == "and 99900 more like these"
    assert len(notes.lines()) == 101


def test_what_is_little_is_said_whole() -> None:
    notes = Notes()
    assert (notes.summary(), notes.lines()) == ("", ())
    notes.add("/a (kind)")
    assert (notes.summary(), notes.lines()) == ("/a (kind)", ("/a (kind)",))
