"""The comparison that other tests conclude from sees every kind of difference."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.busy_tree import BusyTree
from tests.support.comparison import differences, never_carried

pytestmark = pytest.mark.contract

DIFFERENCES: dict[str, Callable[[Path], object]] = {
    "a file is missing": lambda r: (r / "one").unlink(),
    "a file is too much": lambda r: (r / "more").write_text(""),
    "content of the same size and time": lambda r: in_disguise(r / "one"),
    "mode": lambda r: (r / "one").chmod(0o711),
    "owner": lambda r: os.chown(r / "link", 1, 1, follow_symlinks=False),
    "a nanosecond": lambda r: os.utime(r / "one", ns=(0, (r / "one").stat().st_mtime_ns + 1)),
    "time of a folder": lambda r: os.utime(r / "folder", ns=(0, 1)),
    "an attribute": lambda r: os.setxattr(r / "one", "security.NTACL", b"x"),
    "the kind": lambda r: anew(r / "link", lambda p: p.write_text("one")),
    "the target": lambda r: anew(r / "link", lambda p: p.symlink_to("two")),
    "two files that are one": lambda r: anew(r / "two", lambda p: os.link(r / "one", p)),
    "one file that is two": lambda r: anew(r / "pair", lambda p: shutil.copy2(r / "folder/pair", p)),
}  # fmt: skip


def anew(path: Path, make: Callable[[Path], object]) -> None:
    path.unlink()
    make(path)


def in_disguise(path: Path) -> None:
    status = path.stat()
    path.write_bytes(b"?" * status.st_size)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


@pytest.fixture
def places(tmp_path: Path) -> tuple[Path, Path]:
    """Two equal places with a folder `root`."""
    root = tmp_path / "here/root"
    (root / "folder").mkdir(parents=True)
    for name in ("one", "two", "folder/pair"):
        (root / name).write_text("alike")
        os.utime(root / name, ns=(5, 10**18))
    os.link(root / "folder/pair", root / "pair")
    (root / "link").symlink_to("one")
    (tmp_path / "there").mkdir()
    shutil.copytree(root, tmp_path / "there/root", symlinks=True)
    (tmp_path / "there/root/pair").unlink()
    os.link(tmp_path / "there/root/folder/pair", tmp_path / "there/root/pair")
    for name in ("folder", "."):
        os.utime(root / name, ns=(5, 10**18))
        os.utime(tmp_path / "there/root" / name, ns=(5, 10**18))
    return tmp_path / "here", tmp_path / "there"


def test_equal_places_do_not_differ(places: tuple[Path, Path]) -> None:
    assert differences(*places, ["root"]) == []


@pytest.mark.parametrize("make", DIFFERENCES.values(), ids=DIFFERENCES.keys())
def test_a_difference_is_found(places: tuple[Path, Path], make: Callable[[Path], object]) -> None:
    root = places[1] / "root"
    make(root)
    os.utime(root, ns=(5, 10**18))
    assert differences(*places, ["root"]) != []


def test_what_is_never_carried_may_be_missing_and_nothing_else(places: tuple[Path, Path]) -> None:
    (places[1] / "root/one").unlink()
    os.utime(places[1] / "root", ns=(5, 10**18))
    left_out = never_carried(*places, "root")
    assert left_out == ["root/one"]
    assert differences(*places, ["root"], left_out) == []
    (places[1] / "root/two").unlink()
    assert differences(*places, ["root"], left_out) != []


def test_a_busy_tree_changes_in_every_way_and_the_same_dice_make_the_same(tmp_path: Path, dice: random.Random) -> None:
    state, kinds = dice.getstate(), set[tuple[bool, bool, bool]]()
    for name in ("here", "there"):
        dice.setstate(state)
        tree = BusyTree(tmp_path / name, dice)
        tree.fill(200)
        for _ in range(30):  # what came may be gone again at the end
            tree.change(20)
            found = (tmp_path / name).rglob("*")
            kinds |= {(path.is_symlink(), path.is_dir(), path.lstat().st_nlink > 1) for path in found}
    names = [
        sorted(path.relative_to(tmp_path / name) for path in (tmp_path / name).rglob("*")) for name in ("here", "there")
    ]
    assert names[0] == names[1]
    assert {(True, False, False), (False, True, True), (False, False, True), (False, False, False)} <= kinds
