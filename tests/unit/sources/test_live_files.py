"""A file of a database in a container is what its last copy has, or newer, perhaps: only the server could tell."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from hotsync.changes.folders import Reach, entry_at
from hotsync.engine.watch import fate_of
from hotsync.model.entry import Change, Entry, Kind, Verb, sort_key
from hotsync.model.loss import Fate
from hotsync.sources.frozen.scan import look_of
from hotsync.sources.frozen.store import Known, copy_of
from hotsync.sources.shadows.watch import LiveFiles
from hotsync.system.paths import Paths

FOLDER = "srv/shop-db"


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    """A host whose last run copied one file of a database and carried it."""
    paths = Paths(tmp_path)
    live, copy = tmp_path / FOLDER, copy_of(paths.frozen, f"/{FOLDER}")
    live.mkdir(parents=True)
    (live / "ibdata1").write_text("pages")
    copy.tree.mkdir(parents=True)
    (copy.tree / "ibdata1").write_text("pages")
    looks = {"ibdata1": look_of((live / "ibdata1").stat())}
    copy.confirm(Known(f"/{FOLDER}", "mariadbd in container shop-db", 1.0, looks))
    return paths


@pytest.fixture
def live(paths: Paths) -> Iterator[LiveFiles]:
    with Reach(paths.root) as reach:
        yield LiveFiles(paths, reach)


def entry(folder: Path, name: str, path: str) -> Entry:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        status = (folder / name).stat()
        kind = Kind.DIRECTORY if (folder / name).is_dir() else Kind.FILE
        return entry_at(descriptor, sort_key(path), kind, status)
    finally:
        os.close(descriptor)


def carried(paths: Paths) -> Entry:
    return entry(copy_of(paths.frozen, f"/{FOLDER}").tree, "ibdata1", f"{FOLDER}/ibdata1")


def changed(paths: Paths, name: str) -> Change:
    return Change(Verb.CONTENT, f"{FOLDER}/{name}", entry(paths.root / FOLDER, name, f"{FOLDER}/{name}"))


def test_what_looks_as_it_did_when_it_was_copied_is_nothing_new(paths: Paths, live: LiveFiles) -> None:
    assert fate_of(live, changed(paths, "ibdata1"), carried(paths)) is None
    (paths.root / FOLDER / "shop").mkdir()
    assert fate_of(live, changed(paths, "shop"), None) is None


def test_what_was_written_since_is_newer_perhaps(paths: Paths, live: LiveFiles) -> None:
    (paths.root / FOLDER / "ibdata1").write_text("pages and more")
    assert fate_of(live, changed(paths, "ibdata1"), carried(paths)) is Fate.PERHAPS
    (paths.root / FOLDER / "ib_logfile0").write_text("log")
    assert fate_of(live, changed(paths, "ib_logfile0"), None) is Fate.PERHAPS
    assert fate_of(live, Change(Verb.DELETE, f"{FOLDER}/ibdata1"), carried(paths)) is Fate.PERHAPS


def test_a_copy_that_was_not_carried_says_nothing(paths: Paths, live: LiveFiles) -> None:
    other = entry(paths.root / FOLDER, "ibdata1", f"{FOLDER}/ibdata1")
    assert fate_of(live, changed(paths, "ibdata1"), other) is Fate.PERHAPS


def test_a_folder_of_a_like_name_is_not_covered(paths: Paths, live: LiveFiles) -> None:
    assert live.is_covered(FOLDER)
    assert not live.is_covered(f"{FOLDER}-2/ibdata1")
