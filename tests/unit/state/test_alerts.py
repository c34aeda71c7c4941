from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from hotsync.model.alerts import Alert
from hotsync.state.alerts import AlertBook
from hotsync.system import files
from hotsync.system.paths import Paths

ALERT = Alert(5.0, 6.0, (("a", 5.0), ("b", 6.0)), recovered_at=1.0)


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths(tmp_path)


def block(place: Path) -> None:
    """Make a folder one that nothing can be written into."""
    place.parent.mkdir(parents=True, exist_ok=True)
    if place.is_dir():
        place.rename(place.with_name("before"))
    place.write_text("")


def test_what_was_told_survives_a_boot(paths: Paths) -> None:
    AlertBook(paths).set("sync", ALERT)
    (paths.run / "alerts.json").unlink()
    assert AlertBook(paths).get("sync") == ALERT
    assert AlertBook(paths).get("other") is None


def test_what_is_over_is_forgotten_and_the_rest_is_not(paths: Paths) -> None:
    AlertBook(paths).set("sync", ALERT)
    AlertBook(paths).set("other", ALERT)
    AlertBook(paths).set("sync", None)
    assert (AlertBook(paths).get("sync"), AlertBook(paths).get("other")) == (None, ALERT)


def test_a_full_state_folder_loses_nothing_until_the_next_boot(paths: Paths) -> None:
    AlertBook(paths).set("sync", ALERT)
    block(paths.state)
    AlertBook(paths).set("sync", replace(ALERT, mailed_at=9.0))
    assert AlertBook(paths).get("sync") == replace(ALERT, mailed_at=9.0)


def test_a_note_that_could_not_be_renewed_is_not_believed(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    AlertBook(paths).set("sync", ALERT)
    later = replace(ALERT, mailed_at=9.0)
    write = files.write_atomic

    def refuse(path: Path, data: bytes, *, mode: int) -> None:
        if path.parent == paths.run:
            raise OSError(28, "No space left on device")
        write(path, data, mode=mode)

    monkeypatch.setattr(files, "write_atomic", refuse)
    AlertBook(paths).set("sync", later)
    assert AlertBook(paths).get("sync") == later


def test_where_no_place_takes_a_note_the_process_remembers(paths: Paths) -> None:
    block(paths.state)
    block(paths.run)
    book = AlertBook(paths)
    book.set("sync", ALERT)
    assert book.get("sync") == ALERT
    book.set("sync", None)
    assert book.get("sync") is None


def test_a_damaged_note_counts_as_none(paths: Paths) -> None:
    AlertBook(paths).set("sync", ALERT)
    for place in (paths.run, paths.state):
        (place / "alerts.json").write_text('{"schema": 1, "alerts": {"sync": 7}}')
    assert AlertBook(paths).get("sync") is None
