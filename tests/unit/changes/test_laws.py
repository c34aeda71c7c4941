"""Laws: whatever happens to a tree, the manifest plus what was detected is the tree; whatever cannot be read stays."""

from __future__ import annotations

import dataclasses
import errno
import os
import random
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from unittest import mock

from hypothesis import given, settings
from hypothesis import strategies as st

from hotsync.changes import folders, walk
from hotsync.changes.settle import Settling
from hotsync.changes.walk import Gap, Same, Walk
from hotsync.manifest.changeset_file import read_changes
from hotsync.manifest.store import Manifest
from hotsync.model.changeset import check_order
from hotsync.model.entry import Entry, Kind, parent_of
from hotsync.model.selection import Action, Selection
from tests.support.sizes import examples
from tests.unit.changes.support import Server, selection

NAMES = [b"a", b"b", b"a b", b"a.b", b"\xff", b"\xc3\xa9", b"n\nl", b"skip", b"keep"]
RULES = [
    selection("+ /data"),
    selection("+ /data", "- /data/skip", "+ /data/skip/keep"),
    selection("+ /data", "- /data/**/skip", "- /data/*/a", "= /data/keep"),
    selection("+ /data/a", "+ /data/b/a", "+ /data/*/keep"),
]


@contextmanager
def a_server() -> Iterator[Server]:
    with tempfile.TemporaryDirectory() as folder:
        root, work = Path(folder) / "root", Path(folder) / "work"
        root.mkdir()
        work.mkdir()
        with Manifest(work / "manifest.db") as manifest:
            yield Server(root, work, manifest)


def all_paths(server: Server) -> list[bytes]:
    found = []
    for folder, below, files in os.walk(server.path("data")):
        found += [os.path.join(folder, name) for name in (*below, *files)]
    return found


def somewhere(server: Server, dice: random.Random) -> bytes:
    folders = [path for path in all_paths(server) if os.path.isdir(path) and not os.path.islink(path)]
    return os.path.join(dice.choice([server.path("data"), *folders]), dice.choice(NAMES))


def remove(path: bytes) -> None:
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.unlink(path)


def make(server: Server, dice: random.Random) -> None:
    path = somewhere(server, dice)
    remove(path)
    kind = dice.choice("ffffddllph")
    others = [one for one in all_paths(server) if os.path.isfile(one) and not os.path.islink(one)]
    if kind == "f" or (kind == "h" and not others):
        with open(path, "wb") as file:
            file.write(b"x" * dice.randrange(4))
    elif kind == "h":
        os.link(dice.choice(others), path)
    elif kind == "d":
        os.mkdir(path)
    elif kind == "l":
        os.symlink(dice.choice([b"a", b"\xfe", b"../.."]), path)
    else:
        os.mkfifo(path)


def mutate(server: Server, dice: random.Random) -> None:
    paths = all_paths(server)
    action = dice.randrange(6)
    if not paths or action < 2:
        make(server, dice)
        return
    path = dice.choice(paths)
    if action == 2:
        remove(path)
    elif action == 3:
        target = somewhere(server, dice)
        if not (target + b"/").startswith(path + b"/") and not (path + b"/").startswith(target + b"/"):
            remove(target)
            if os.path.lexists(path):
                os.rename(path, target)
    elif action == 4 and not os.path.islink(path):
        os.chmod(path, dice.choice([0o700, 0o755, 0o711]))
    else:
        os.utime(path, ns=(1, dice.randrange(10**12)), follow_symlinks=False)


def fresh_walk(server: Server) -> list[Entry]:
    """Everything by another way: os.walk and `decide`, path by path."""
    walking = Walk(server.root, server.rules, frozenset(), {}, lambda remark: None)
    entries: list[Entry] = []
    for stamp in walking:
        assert not isinstance(stamp, Gap | Same)
        entries.append(walking.complete(stamp))
    return entries


def expected_paths(server: Server) -> set[str]:
    """Everything by another way: os.walk and `decide`, path by path, with the folders above."""
    carried = set()
    for path in [server.path("data"), *all_paths(server)]:
        relative = os.fsdecode(path[len(os.fsencode(server.root)) + 1 :])
        if server.rules.decide(relative).action is Action.INCLUDE:
            while relative and relative not in carried:
                carried.add(relative)
                relative = parent_of(relative)
    return carried


@settings(max_examples=examples(60))
@given(st.integers(0, 2**32), st.sampled_from(RULES), st.lists(st.integers(1, 12), min_size=1, max_size=4))
def test_the_manifest_plus_what_was_detected_is_the_tree(seed: int, rules: Selection, runs: list[int]) -> None:
    dice = random.Random(seed)
    with a_server() as server:
        server.rules = rules
        os.mkdir(server.path("data"))
        for mutations in runs:
            for _ in range(mutations):
                mutate(server, dice)
            detection = server.commit()
            assert not detection.problems
            assert server.entries() == fresh_walk(server)
            assert {entry.path for entry in server.entries()} == expected_paths(server)
            assert detection.entries == server.manifest.count()
            assert server.detect().empty


def links_travel_together(server: Server) -> None:
    planned = {one.path: one.entry for one in read_changes(server.work / "planned") if one.entry is not None}
    dirty = {entry.inode for entry in planned.values() if entry.links > 1}
    for entry in fresh_walk(server):
        assert entry.inode not in dirty or entry.path in planned


@settings(max_examples=examples(40))
@given(st.integers(0, 2**32), st.integers(1, 12), st.integers(1, 6))
def test_no_name_of_a_changed_file_is_left_behind(seed: int, before: int, after: int) -> None:
    dice = random.Random(seed)
    with a_server() as server:
        os.mkdir(server.path("data"))
        for _ in range(before):
            make(server, dice)
        server.commit()
        with server.manifest.transaction() as db:
            db.execute("UPDATE entry SET unsettled = (random() & 3) = 0")
        for _ in range(after):
            mutate(server, dice)
        server.detect()
        links_travel_together(server)


@contextmanager
def everything_failing_at_times(dice: random.Random, rarely: int) -> Iterator[None]:
    """Let each look at the disk fail now and then: stat, open, list, attributes."""

    def failing(real: Callable[..., object]) -> Callable[..., object]:
        def call(*arguments: object, **more: object) -> object:
            if dice.randrange(rarely + 2) == 0:
                raise OSError(dice.choice([errno.EIO, errno.ENOENT, errno.EACCES, errno.ENOTDIR]), "injected")
            return real(*arguments, **more)

        return call

    with ExitStack() as stack:
        for name in ("open_folder", "entry_at"):
            stack.enter_context(mock.patch.object(walk, name, failing(getattr(walk, name))))
        listing = folders.sorted_names
        first = True

        def sorted_names(descriptor: int, size: int) -> object:
            nonlocal first
            first, top = False, first  # the root itself can always be listed, or there is no run
            return listing(descriptor, size) if top else failing(listing)(descriptor, size)

        stack.enter_context(mock.patch.object(walk, "sorted_names", sorted_names))
        real_init = Walk.__init__

        def init(self: Walk, *arguments: object) -> None:
            real_init(self, *arguments)  # type: ignore[arg-type]
            self._status_of = failing(os.stat)  # type: ignore[assignment]

        stack.enter_context(mock.patch.object(Walk, "__init__", init))
        yield


@settings(max_examples=examples(80))
@given(st.integers(0, 2**32), st.sampled_from(RULES), st.integers(1, 15), st.integers(0, 15), st.integers(0, 40))
def test_whatever_cannot_be_read_keeps_its_previous_version(
    seed: int, rules: Selection, before: int, after: int, failing: int
) -> None:
    dice = random.Random(seed)
    with a_server() as server:
        server.rules = rules
        os.mkdir(server.path("data"))
        for _ in range(before):
            make(server, dice)
        server.commit()
        old = {entry.path: entry for entry in server.entries()}
        for _ in range(after):
            mutate(server, dice)
        now = {entry.path for entry in fresh_walk(server)}
        with everything_failing_at_times(dice, failing):
            changes = server.changes()
        gone = {change.path for change in changes if change.entry is None}
        assert gone <= old.keys() - now
        holders = {"": Kind.DIRECTORY} | {path: entry.kind for path, entry in old.items() if path not in gone}
        holders |= {change.path: change.entry.kind for change in changes if change.entry is not None}
        for change in changes:
            if change.entry is not None:
                assert holders.get(parent_of(change.path)) is Kind.DIRECTORY, change
        # and with everything readable again, nothing was lost on the way
        server.manifest.apply(changes, 2, "2" * 64)
        server.commit()
        assert server.entries() == fresh_walk(server)


@settings(max_examples=examples(60))
@given(st.integers(0, 2**32), st.integers(1, 12), st.integers(0, 8), st.lists(st.integers(0, 6), max_size=3))
def test_whatever_happens_while_it_is_sent_the_final_changeset_fits_the_replica(
    seed: int, before: int, after: int, rounds: list[int]
) -> None:
    """The changeset never puts anything into what is no folder, and the next run makes up for all that was left out."""
    dice = random.Random(seed)
    with a_server() as server:
        os.mkdir(server.path("data"))
        for _ in range(before):
            make(server, dice)
        server.commit()
        for _ in range(after):
            mutate(server, dice)
        detection = server.detect()
        required = dice.choice([[], [os.fsdecode(b"data/a")]])
        settling = Settling(server.root, detection.planned, server.manifest.digest, required)
        for mutations in rounds:
            for _ in range(mutations):
                mutate(server, dice)
            names = [os.fsdecode(name) for name in settling.send_list.read_bytes().split(b"\0")[:-1]]
            lost = dice.sample(names, dice.randrange(len(names) + 1) // 3)
            settling.settle(server.clock.ns, lost[::3], dict.fromkeys(lost[1::3], "Input/output error"), lost[2::3])
        final = settling.finalize(server.work / "final")
        changes = list(check_order(read_changes(server.work / "final")))
        assert final.summary.changes == len(changes)
        tree = {entry.path: entry.kind for entry in server.entries()}
        for change in changes:
            if change.entry is None:
                assert change.path in tree
                del tree[change.path]
            else:
                tree[change.path] = change.entry.kind
        for path in tree:
            assert tree.get(parent_of(path), Kind.DIRECTORY) is Kind.DIRECTORY, path
            assert not parent_of(path) or parent_of(path) in tree, path
        server.manifest.apply(changes, 2, final.summary.digest)
        server.commit()
        settled = [dataclasses.replace(entry, unsettled=False) for entry in server.entries()]
        assert settled == fresh_walk(server)


def test_a_walk_that_is_given_up_leaves_no_handle_open() -> None:
    with a_server() as server:
        for number in range(5):
            server.write("data/" + "d/" * number + "a")
        opened: Callable[[], int] = lambda: len(os.listdir("/proc/self/fd"))  # noqa: E731
        before = opened()
        for steps in range(8):
            walking = iter(Walk(server.root, server.rules, frozenset(), {}, lambda remark: None))
            for _ in range(steps):
                next(walking)
            walking.close()
            assert opened() == before
