"""The watch: what it lists is what is newer than the last generation; nothing is wrong, nothing missing."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hotsync.changes.detect import detect
from hotsync.engine import watch
from hotsync.engine.sync.select import Selected
from hotsync.engine.watch import Watched, look, mail_folders
from hotsync.manifest.changeset_file import read_changes
from hotsync.manifest.store import Manifest
from hotsync.model.generation import DatasetPoint, Generation
from hotsync.model.loss import DatabaseMoment, Fate, LossStatement, Lost
from hotsync.model.selection import Action, Rule, Selection
from hotsync.profiles.catalog import shipped
from hotsync.sources.shadows.index import SQLITE, Known, Looks, save_index
from hotsync.sources.shadows.look import looks_at
from hotsync.sources.shadows.store import ShadowStore
from hotsync.state.sent import save_sent
from hotsync.system.clock import SystemClock
from hotsync.system.paths import Paths
from tests.support.sizes import examples

RULES = Selection(
    [
        Rule("/data", Action.INCLUDE, "test"),
        Rule("/data/skip", Action.EXCLUDE, "test"),
        Rule("/var/lib/hotsync/spool", Action.INCLUDE, "test"),
    ]
)


class Later(SystemClock):
    """The machine's clock, a moment ahead: what was written just now does not look as if it could be written again."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def now_ns(self) -> int:
        return super().now_ns() + round(self.seconds * 1e9)


@dataclass
class Master:
    """A root with a manifest, and what was there when its last generation was made."""

    paths: Paths
    written: int = 0
    before: dict[str, tuple[int, ...]] = field(default_factory=dict)
    content: dict[str, object] = field(default_factory=dict)

    def write(self, name: str) -> None:
        """Write a file whose size no other had: the coarse time of the kernel cannot hide it."""
        self.written += 1
        (self.paths.root / name).write_bytes(b"x" * self.written)

    def commit(self, seconds: float = 1.0) -> None:
        planned = self.paths.state / "planned"
        with Manifest(self.paths.manifest) as manifest:
            found = detect(
                self.paths.root, RULES, manifest, planned, Later(seconds), frozenset(), manifest.digest, table={}
            )
            manifest.apply(read_changes(planned), manifest.generation + 1, found.summary.digest)
        self.before, self.content = self.looks(), self.contents()

    def look(self) -> LossStatement:
        found = look(self.paths, SystemClock(), lambda: Watched(Selected(RULES, frozenset())))
        assert found is not None
        return found

    def fates(self) -> dict[str, str]:
        return {lost.path: lost.fate.value for lost in self.look().paths}

    def carried(self) -> Iterator[tuple[str, Path]]:
        top = self.paths.root / "data"
        for path in (top, *top.rglob("*")):
            name = str(path.relative_to(self.paths.root))
            if name != "data/skip" and not name.startswith("data/skip/"):
                yield name, path

    def looks(self) -> dict[str, tuple[int, ...]]:
        found: dict[str, tuple[int, ...]] = {}
        for name, path in self.carried():
            one = path.lstat()
            found[name] = (
                one.st_mode, one.st_ino, one.st_size if path.is_file() else 0, one.st_mtime_ns, one.st_ctime_ns,
                one.st_uid, one.st_gid, 0 if path.is_dir() else one.st_nlink,
            )  # fmt: skip
        return found

    def contents(self) -> dict[str, object]:
        """Return what a person would miss: kind, mode and content."""
        return {
            name: (path.lstat().st_mode, path.read_bytes() if path.is_file() else b"") for name, path in self.carried()
        }


@contextmanager
def a_master() -> Iterator[Master]:
    with tempfile.TemporaryDirectory() as folder:
        master = Master(Paths(Path(folder)))
        (master.paths.root / "data").mkdir()
        master.paths.state.mkdir(parents=True)
        yield master


@pytest.fixture
def master() -> Iterator[Master]:
    with a_master() as found:
        yield found


def change(master: Master, dice: random.Random) -> None:
    """Do one thing that people and programs do."""
    folders = [path for _, path in master.carried() if path.is_dir()]
    files = [path for _, path in master.carried() if path.is_file()]
    place = dice.choice(folders) / dice.choice(["a", "b", "c", "skip", "d\n"])
    kind = dice.choice("wwwwamrldd")
    if kind in "wm" and place.is_dir():
        place.chmod(dice.choice([0o700, 0o755]))
    elif kind == "w":
        master.write(str(place.relative_to(master.paths.root)))
    elif kind == "m" and not place.exists():
        place.mkdir()
    elif kind == "a" and files:
        dice.choice(files).chmod(dice.choice([0o600, 0o644]))
    elif kind == "r" and files and not place.exists():
        dice.choice(files).rename(place)
    elif kind == "l" and files and not place.exists():
        os.link(dice.choice(files), place)
    elif kind == "d" and place.is_dir():
        shutil.rmtree(place)
    elif kind == "d":
        place.unlink(missing_ok=True)


def mattering(look: tuple[int, ...]) -> tuple[int, ...]:
    """Return of a look what is no inode, no ctime and no number of links."""
    return (look[0], *look[2:4], *look[5:7])


@given(st.integers(0, 2**32), st.sampled_from([0.0, 1.0]))
@settings(max_examples=examples(60), deadline=None)
def test_what_is_listed_is_what_differs_and_what_differs_is_listed(seed: int, later: float) -> None:
    dice = random.Random(seed)
    with a_master() as master:
        for _ in range(dice.randrange(1, 12)):
            change(master, dice)
        master.commit(later)
        for _ in range(dice.randrange(8)):
            change(master, dice)
        said, after, contents = master.look(), master.looks(), master.contents()
        told = {lost.path.replace("\\x0a", "\n"): lost.fate for lost in said.paths}
        missed = {name for name in master.content.keys() | contents if master.content.get(name) != contents.get(name)}
        assert missed <= told.keys()
        before = master.before
        assert {name for name, fate in told.items() if fate is Fate.NEW} == after.keys() - before.keys()
        assert {name for name, fate in told.items() if fate is Fate.DELETED} == before.keys() - after.keys()
        for name, fate in told.items():
            if fate is Fate.CHANGED:
                assert mattering(before[name]) != mattering(after[name])
            if fate is Fate.PERHAPS:
                assert mattering(before[name]) == mattering(after[name])
                assert later == 0.0 or before[name] != after[name]
        files = [lost for lost in said.paths if not lost.folder and lost.fate in (Fate.NEW, Fate.CHANGED)]
        assert (said.files, said.bytes) == (len(files), sum(lost.bytes for lost in files))
        assert said.beyond == 0


def test_where_nothing_changed_nothing_is_lost_and_nothing_is_left_behind(master: Master) -> None:
    master.write("data/a")
    master.commit()
    began = SystemClock().now()
    said = master.look()
    assert (said.generation, said.count, said.paths) == (1, 0, ())
    assert began <= said.known_until <= SystemClock().now()
    assert list((master.paths.state / "watch").iterdir()) == []


def test_before_the_first_generation_there_is_nothing_to_compare_with(master: Master) -> None:
    watched = Watched(Selected(RULES, frozenset()))
    assert look(master.paths, SystemClock(), lambda: watched) is None
    with Manifest(master.paths.manifest):
        pass
    assert look(master.paths, SystemClock(), lambda: watched) is None


def test_what_a_run_committed_meanwhile_makes_the_look_worthless(master: Master) -> None:
    master.write("data/a")
    master.commit()

    def watched() -> Watched:
        master.write("data/b")
        master.commit()
        return Watched(Selected(RULES, frozenset()))

    assert look(master.paths, SystemClock(), watched) is None


def test_what_hotsync_collects_for_itself_is_not_listed(master: Master) -> None:
    master.commit()
    (master.paths.spool / "mariadb").mkdir(parents=True)
    (master.paths.spool / "mariadb/a.sql").write_text("x")
    assert not any(path.startswith("var/lib/hotsync") for path in master.fates())


def test_what_cannot_be_read_may_be_newer(master: Master, monkeypatch: pytest.MonkeyPatch) -> None:
    master.write("data/a")
    master.commit()

    def denied(*words: object, **more: object) -> object:
        def status_of(name: bytes, **where: object) -> os.stat_result:
            if name == b"a":
                raise PermissionError(13, "Permission denied")
            return os.stat(name, **where)  # type: ignore[arg-type]

        return detect(*words, **more, status_of=status_of)  # type: ignore[arg-type]

    monkeypatch.setattr(watch, "detect", denied)
    assert master.fates() == {"data/a": "perhaps"}


def test_of_each_database_server_is_told_of_when_the_generation_has_it(master: Master) -> None:
    master.commit()
    with Manifest(master.paths.manifest) as manifest:
        digest = manifest.digest
    points = (DatasetPoint("mariadb/default/a", 20.0),)
    save_sent(master.paths, Generation(1, digest, 1, 10.0, 11.0, 12.0, datasets=points))
    assert master.look().databases == (DatabaseMoment("mariadb/default", 20.0),)
    save_sent(master.paths, Generation(2, digest, 1, 10.0, 11.0, 12.0, datasets=points))
    assert master.look().databases == ()


def test_mail_lies_where_the_profiles_that_open_mailboxes_carry_it() -> None:
    folders = mail_folders(shipped().values())
    assert "var/vmail" in folders
    assert not any(path.startswith("etc") for path in folders)


# --- files that have a sound copy -------------------------------------------------------------------------------------


def copied(master: Master, name: str, *, trouble: str = "") -> None:
    """Make a generation that has the sound copy of a file, as a run does."""
    live = master.paths.root / name
    folder = os.open(live.parent, os.O_RDONLY)
    try:
        looks: Looks = looks_at(folder, live.name.encode(), SQLITE, live.stat())
    finally:
        os.close(folder)
    store = ShadowStore(master.paths.shadows)
    store.prepare()
    place = store.place(name)
    if not place.exists():
        shutil.copy2(live, place)
    save_index(master.paths.shadows / "index.json", [Known(name, SQLITE, looks, False, 5.0, trouble)])


def carried(master: Master, name: str) -> None:
    """Let the manifest have a file's sound copy in its place."""
    one = ShadowStore(master.paths.shadows).place(name).stat()
    with Manifest(master.paths.manifest) as manifest, manifest.transaction() as database:
        database.execute(
            "UPDATE entry SET size = ?, mtime_ns = ?, ctime_ns = ?, inode = ? WHERE key = ?",
            (one.st_size, one.st_mtime_ns, one.st_ctime_ns, one.st_ino, name.replace("/", "\0").encode()),
        )


@pytest.fixture
def base(master: Master) -> Iterator[sqlite3.Connection]:
    """A database in use, with a log beside it, of which the last generation has a sound copy."""
    database = sqlite3.connect(master.paths.root / "data/a.db", isolation_level=None)
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("CREATE TABLE t (x)")
    master.commit()
    with Manifest(master.paths.manifest) as manifest, manifest.transaction() as rows:
        for side in (b"-wal", b"-shm"):
            rows.execute("DELETE FROM entry WHERE key = ?", (b"data\0a.db" + side,))
    copied(master, "data/a.db")
    carried(master, "data/a.db")
    yield database
    database.close()


@pytest.mark.usefixtures("base")
def test_a_database_that_is_as_it_was_copied_is_not_lost_and_its_parts_are_no_files(master: Master) -> None:
    assert master.fates() == {}


def test_a_database_that_was_written_may_be_newer_than_its_copy(master: Master, base: sqlite3.Connection) -> None:
    base.execute("INSERT INTO t VALUES (1)")
    assert master.fates() == {"data/a.db": "perhaps"}


@pytest.mark.usefixtures("base")
def test_a_copy_that_was_made_and_not_carried_counts_for_nothing(master: Master) -> None:
    place = ShadowStore(master.paths.shadows).place("data/a.db")
    place.write_bytes(b"another copy")
    assert master.fates() == {"data/a.db": "perhaps"}


@pytest.mark.usefixtures("base")
def test_a_copy_that_could_not_be_made_anew_is_older(master: Master) -> None:
    copied(master, "data/a.db", trouble="locked")
    assert master.fates() == {"data/a.db": "perhaps"}


def test_a_new_database_is_listed_without_its_parts(master: Master) -> None:
    master.commit()
    database = sqlite3.connect(master.paths.root / "data/new.db", isolation_level=None)
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("CREATE TABLE t (x)")
    (master.paths.root / "data/other-wal").write_text("no part of a database")
    found = master.look().paths
    database.close()
    assert [(lost.path, lost.fate) for lost in found if not lost.folder] == [
        ("data/new.db", Fate.NEW),
        ("data/other-wal", Fate.NEW),
    ]
    assert Lost("data", Fate.CHANGED, 0, folder=True) in found


def test_a_file_that_got_another_name_or_an_equal_one_in_its_place_is_perhaps_another(master: Master) -> None:
    master.write("data/a")
    master.write("data/b")
    master.commit()
    os.link(master.paths.root / "data/a", master.paths.root / "data/name")
    shutil.copy2(master.paths.root / "data/b", master.paths.root / "data/new")
    os.replace(master.paths.root / "data/new", master.paths.root / "data/b")
    fates = master.fates()
    assert (fates["data/a"], fates["data/b"], fates["data/name"]) == ("perhaps", "perhaps", "new")
