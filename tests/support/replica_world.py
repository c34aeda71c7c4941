"""A MASTER in a folder, a SLAVE in another, and an oracle that remembers what each generation was.

The oracle is its own code: it looks at files with plain system calls and never asks the replica what it thinks.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hotsync.manifest.changeset_file import ChangesetWriter
from hotsync.manifest.store import Manifest
from hotsync.model.entry import KIND_OF_MODE, Change, Entry, Kind, Verb, sort_key
from hotsync.model.generation import Generation, Retention
from hotsync.replica.effects import Effects
from hotsync.replica.store import Replica
from hotsync.system.attributes import hash_attributes, read_attributes

NAMES = ("a", "b", "c", "a!", "a-", "Ü", "new\nline", "\udcff", " x", "-n", "z" * 40)


class Died(BaseException):
    """The process is dead from here on."""


class Mortal(Effects):
    """Dies right before or right after the n-th change of the disk; counts them."""

    def __init__(self, dies_at: int | None = None) -> None:
        self.dies_at = dies_at
        self.ticks = 0
        self.trail: list[str] = []

    def before(self, what: str) -> None:
        self.trail.append(what)
        self._tick()

    def after(self) -> None:
        self._tick()

    def _tick(self) -> None:
        if self.ticks == self.dies_at:
            raise Died(f"at {self.ticks}: {self.trail[-1]}")
        self.ticks += 1


@dataclass
class TestClock:
    """A clock that moves when it is told to."""

    __test__ = False
    time: float = 1_800_000_000.0

    def now(self) -> float:
        return self.time

    def now_ns(self) -> int:
        return int(self.time * 1e9)

    def monotonic(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.time += seconds


@dataclass(frozen=True)
class Item:
    """What the oracle knows of one path; `group` is equal for the names of one file."""

    kind: str
    mode: int
    uid: int
    gid: int
    mtime_ns: int
    content: bytes
    attributes: tuple[tuple[str, bytes], ...]
    group: object = None


Snapshot = dict[str, Item]


def look(root: Path, stamp: object = "") -> Snapshot:
    """Return everything below a folder."""
    found: Snapshot = {}
    for path, name, folder in _all(os.fsencode(root)):
        status = os.lstat(os.path.join(folder, name))
        kind = KIND_OF_MODE.get(stat.S_IFMT(status.st_mode))
        if kind is None:
            continue
        full = os.path.join(folder, name)
        content = b""
        if kind is Kind.FILE:
            with open(full, "rb") as file:
                content = file.read()
        elif kind is Kind.SYMLINK:
            content = os.readlink(full)
        elif kind in (Kind.BLOCK, Kind.CHARACTER):
            content = str(status.st_rdev).encode()
        names = [] if kind in (Kind.FIFO,) else os.listxattr(full, follow_symlinks=False)
        found[os.fsdecode(path)] = Item(
            kind.value,
            0 if kind is Kind.SYMLINK else stat.S_IMODE(status.st_mode),
            status.st_uid,
            status.st_gid,
            status.st_mtime_ns,
            content,
            tuple(sorted((n, os.getxattr(full, n, follow_symlinks=False)) for n in names)),
            None if kind is Kind.DIRECTORY else (stamp, status.st_ino),
        )
    return found


def _all(root: bytes) -> Iterator[tuple[bytes, bytes, bytes]]:
    for folder, folders, files in os.walk(root):
        for name in folders + files:
            yield os.path.relpath(os.path.join(folder, name), root), name, folder


def grouped(snapshot: Snapshot) -> dict[str, tuple[Any, ...]]:
    """Return a snapshot in which the names of one file are compared by who they are."""
    groups: dict[object, list[str]] = {}
    for path, item in snapshot.items():
        if item.group is not None:
            groups.setdefault(item.group, []).append(path)
    return {
        path: (
            item.kind, item.mode, item.uid, item.gid, item.mtime_ns, item.content, item.attributes,
            tuple(sorted(groups[item.group])) if item.group is not None else (),
        )
        for path, item in snapshot.items()
    }  # fmt: skip


def below(snapshot: Snapshot, path: str) -> Snapshot:
    """Return the part of a snapshot that is a path and what it holds."""
    return {name: item for name, item in snapshot.items() if name == path or name.startswith(path + "/")}


def scan(root: Path) -> dict[str, Entry]:
    """Return the entries of a folder, as a MASTER sees them."""
    entries: dict[str, Entry] = {}
    for path, name, folder in _all(os.fsencode(root)):
        status = os.lstat(os.path.join(folder, name))
        kind = KIND_OF_MODE.get(stat.S_IFMT(status.st_mode))
        if kind is None:
            continue
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            attributes = hash_attributes(read_attributes(os.fsdecode(name), descriptor))
        finally:
            os.close(descriptor)
        entries[os.fsdecode(path)] = Entry(
            path=os.fsdecode(path),
            kind=kind,
            mode=stat.S_IMODE(status.st_mode),
            uid=status.st_uid,
            gid=status.st_gid,
            size=status.st_size if kind is Kind.FILE else 0,
            mtime_ns=status.st_mtime_ns,
            ctime_ns=status.st_ctime_ns,
            inode=status.st_ino,
            device=status.st_dev,
            links=1 if kind is Kind.DIRECTORY else status.st_nlink,
            rdev=status.st_rdev if kind in (Kind.BLOCK, Kind.CHARACTER) else 0,
            target=os.fsdecode(os.readlink(os.path.join(folder, name))) if kind is Kind.SYMLINK else "",
            attributes=attributes,
        )
    return entries


def changeset(old: dict[str, Entry], new: dict[str, Entry]) -> list[Change]:
    """Return what a MASTER would send: *meta* for folders, *content* for all else; linked names travel together."""
    changes: list[Change] = []
    changed = {(entry.device, entry.inode) for path, entry in new.items() if entry.links > 1 and entry != old.get(path)}
    for path in sorted(old.keys() | new.keys(), key=sort_key):
        entry, before = new.get(path), old.get(path)
        if entry is None:
            changes.append(Change(Verb.DELETE, path))
        elif entry != before or (entry.device, entry.inode) in changed:
            folder = before is not None and before.kind is entry.kind is Kind.DIRECTORY
            changes.append(Change(Verb.META if folder else Verb.CONTENT, path, entry))
    return changes


def send(master: Path, staging: Path, changes: list[Change]) -> None:
    """Do as rsync does: folders on the way with their attributes, files under another name first, groups together."""
    links: dict[tuple[int, int], Path] = {}
    folders: dict[str, None] = {}
    for change in changes:
        if change.entry is None:
            continue
        parts = change.path.split("/")
        for depth in range(1, len(parts)):
            folders["/".join(parts[:depth])] = None
        if change.entry.kind is Kind.DIRECTORY:
            folders[change.path] = None
    for folder in folders:
        target = staging / folder
        if not target.is_dir():
            target.mkdir()
    for change in changes:
        if change.entry is None or change.entry.kind is Kind.DIRECTORY or change.verb is Verb.META:
            continue
        _send_one(master / change.path, staging / change.path, links)
    for folder in reversed(folders):
        _attributes(master / folder, staging / folder)


def _send_one(source: Path, target: Path, links: dict[tuple[int, int], Path]) -> None:
    status = source.lstat()
    key = (status.st_dev, status.st_ino)
    if os.path.lexists(target):
        same = target.lstat()
        if same.st_mtime_ns == status.st_mtime_ns and same.st_size == status.st_size:
            links.setdefault(key, target)  # rsync's quick check
            return
    temporary = target.with_name(".tmp")
    with suppress(FileNotFoundError):
        temporary.unlink()
    if key in links:
        os.link(links[key], temporary)
    elif stat.S_ISREG(status.st_mode):
        shutil.copyfile(source, temporary)
        _attributes(source, temporary)
    elif stat.S_ISLNK(status.st_mode):
        os.symlink(os.readlink(source), temporary)
        _attributes(source, temporary)
    else:
        os.mknod(temporary, status.st_mode, status.st_rdev)
        _attributes(source, temporary)
    links.setdefault(key, target)
    os.rename(temporary, target)


def _attributes(source: Path, target: Path) -> None:
    status = source.lstat()
    os.chown(target, status.st_uid, status.st_gid, follow_symlinks=False)
    if not stat.S_ISLNK(status.st_mode) and not stat.S_ISFIFO(status.st_mode):
        for name in os.listxattr(target):
            os.removexattr(target, name)
        for name in os.listxattr(source):
            os.setxattr(target, name, os.getxattr(source, name))
    if not stat.S_ISLNK(status.st_mode):
        os.chmod(target, stat.S_IMODE(status.st_mode))
    os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns), follow_symlinks=False)


@dataclass(repr=False)
class World:
    """One pair of servers."""

    base: Path
    dice: random.Random
    retention: Retention = field(default_factory=Retention)
    owners: bool = False
    disk: Path | None = None  # where the SLAVE keeps all that it has, if not beside the MASTER
    transport: Callable[[Path, Path, list[Change]], None] = send
    clock: TestClock = field(default_factory=TestClock)
    known: dict[str, Entry] = field(default_factory=dict)
    current: Snapshot = field(default_factory=dict)
    expected: dict[int, Snapshot] = field(default_factory=dict)
    rebuilt: bool = False  # the manifest was lost once: its entries are not the MASTER's any more
    deaths: int = 0
    ticks: int = 100
    log: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        for folder in (self.base, self.master):
            folder.mkdir(exist_ok=True)

    @property
    def master(self) -> Path:
        return self.base / "master"

    @property
    def root(self) -> Path:
        return (self.disk or self.base) / "replica"

    def replica(self, effects: Effects | None = None) -> Replica:
        return Replica(
            self.root, (self.disk or self.base) / "manifest.db", self.clock, self.retention, self.base / "lock", effects
        )

    # the MASTER's life

    def paths(self, kind: str | None = None) -> list[str]:
        found = look(self.master)
        return [path for path, item in found.items() if kind is None or item.kind == kind]

    def live(self, steps: int) -> None:
        """Let some things happen on the MASTER."""
        acts = [
            self._create, self._create, self._create, self._write, self._write, self._remove, self._move,
            self._link, self._mode, self._attribute, self._retype, self._in_disguise, self._time,
        ]  # fmt: skip
        for _ in range(steps):
            with suppress(OSError):
                self.dice.choice(acts)()

    def _any(self, kind: str | None = None) -> Path:
        paths = self.paths(kind)
        if not paths:
            raise OSError("nothing there")
        return self.master / self.dice.choice(paths)

    def _new(self) -> Path:
        folders = ["", *self.paths("d")]
        folder = self.dice.choice(folders)
        if folder.count("/") > 4:
            folder = ""
        return self.master / folder / self.dice.choice(NAMES)

    def _make(self, path: Path) -> None:
        kind = self.dice.random()
        if kind < 0.5:
            path.write_bytes(self.dice.randbytes(self.dice.choice((0, 1, 10, 5000))))
        elif kind < 0.75:
            path.mkdir()
            for name in self.dice.sample(NAMES, self.dice.randrange(4)):
                self._make(path / name)
        elif kind < 0.9:
            path.symlink_to(self.dice.choice(("/etc/passwd", "..", "a", "../a/b", "\udcfe")))
        else:
            os.mkfifo(path)

    def _create(self) -> None:
        path = self._new()
        if not os.path.lexists(path):
            self.log.append(f"create {path}")
            self._make(path)

    def _write(self) -> None:
        path = self._any("f")
        self.log.append(f"write {path}")
        path.write_bytes(self.dice.randbytes(self.dice.choice((0, 3, 10, 5000))))

    def _in_disguise(self) -> None:
        """Other content of the same size and time."""
        path = self._any("f")
        status = path.stat()
        self.log.append(f"disguise {path}")
        path.write_bytes(self.dice.randbytes(status.st_size))
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))

    def _remove(self) -> None:
        path = self._any()
        self.log.append(f"remove {path}")
        _remove(path)

    def _move(self) -> None:
        source, target = self._any(), self._new()
        self.log.append(f"move {source} {target}")
        os.rename(source, target)

    def _link(self) -> None:
        source, target = self._any(self.dice.choice("fffflp")), self._new()
        self.log.append(f"link {source} {target}")
        if os.path.lexists(target) and not target.is_dir():
            target.unlink()
        os.link(source, target, follow_symlinks=False)

    def _mode(self) -> None:
        path = self._any(self.dice.choice(("f", "d", "p")))
        self.log.append(f"mode {path}")
        path.chmod(self.dice.choice((0o700, 0o755, 0o711, 0o750, 0o2775)))
        if self.owners:
            os.chown(path, self.dice.randrange(5), self.dice.randrange(5))

    def _attribute(self) -> None:
        path = self._any(self.dice.choice(("f", "d")))
        self.log.append(f"attribute {path}")
        name = self.dice.choice(("user.a", "user.b"))
        if name in os.listxattr(path) and self.dice.random() < 0.5:
            os.removexattr(path, name)
        else:
            os.setxattr(path, name, self.dice.randbytes(4))

    def _time(self) -> None:
        path = self._any()
        moment = self.dice.randrange(2 * 10**18)
        self.log.append(f"time {path}")
        os.utime(path, ns=(moment, moment), follow_symlinks=False)

    def _retype(self) -> None:
        path = self._any()
        self.log.append(f"retype {path}")
        _remove(path)
        self._make(path)

    # a run

    def plan(self, omit: float = 0.0) -> list[Change]:
        """Return the changeset of now; some paths may vanish from it, as if they could not be read."""
        changes = [self._perhaps_meta(change) for change in changeset(self.known, scan(self.master))]
        return [change for change in changes if not (omit and self._may_vanish(change) and self.dice.random() < omit)]

    def _perhaps_meta(self, change: Change) -> Change:
        """A file of which only owner and mode changed may travel as *meta*."""
        entry, before = change.entry, self.known.get(change.path)
        if entry is None or before is None or entry.kind is not Kind.FILE or entry.links > 1 or before.links > 1:
            return change
        same = (entry.kind, entry.size, entry.mtime_ns, entry.inode, entry.attributes) == (
            before.kind, before.size, before.mtime_ns, before.inode, before.attributes,
        )  # fmt: skip
        if same and (self.master / change.path).read_bytes() == self.current[change.path].content:
            return Change(Verb.META, change.path, entry)
        return change

    def _may_vanish(self, change: Change) -> bool:
        before = self.known.get(change.path)
        return (
            before is not None
            and before.kind is not Kind.DIRECTORY
            and change.entry is not None
            and change.entry.kind is not Kind.DIRECTORY
        )

    def sync(
        self,
        changes: list[Change],
        effects: Effects | None = None,
        *,
        cut: bool = False,
        hostile: Callable[[Path], None] | None = None,
    ) -> Generation | None:
        """One run, by whatever process the effects belong to; with `cut`, the line is lost in the middle of it."""
        replica = self.replica(effects)
        state = replica.state()
        number = state.generation + 1
        file = self.base / "changes"
        with ChangesetWriter(file, state.digest) as writer:
            for change in changes:
                writer.write(change)
        replica.begin(number, state.digest, file, sum(c.entry.size for c in changes if c.entry))
        sent = changes[: self.dice.randrange(len(changes) + 1)] if cut else changes
        self.transport(self.master, replica.staging_path(number), sent)
        if cut:
            return None
        if hostile is not None:
            hostile(replica.staging_path(number))
        digest = writer.summary().digest
        return replica.commit(number, file, Generation(number, digest, 1, self.clock.now(), 0, 0))

    def generation(self, omit: tuple[str, ...] = ()) -> int:
        """One run that ends well, with some paths left out; the oracle knows it. Return its number."""
        changes = [change for change in self.plan() if change.path not in omit]
        generation = self.sync(changes)
        assert generation is not None
        self.remember(generation.number, changes)
        return generation.number

    def write(self, path: str, content: bytes | str = b"") -> Path:
        """Write a file on the MASTER, with the folders above it."""
        file = self.master / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content.encode() if isinstance(content, str) else content)
        return file

    def remember(self, number: int, changes: list[Change]) -> None:
        """Let the oracle know that a generation exists."""
        now = look(self.master, number)
        after, known = dict(self.current), dict(self.known)
        for change in changes:
            if change.entry is None:
                del after[change.path], known[change.path]
            else:
                after[change.path], known[change.path] = now[change.path], change.entry
        self.current, self.known = after, known
        self.expected[number] = after

    # what must be true

    def check_tree(self) -> None:
        """The tree is exactly the last generation."""
        found = look(self.root / "tree")
        assert grouped(found) == grouped(self.current)
        if not self.rebuilt:
            with Manifest((self.disk or self.base) / "manifest.db") as manifest:
                assert {entry.path: entry for entry in manifest.entries()} == self.known

    def check_generations(self, numbers: list[int] | None = None) -> None:
        """Each generation that is held restores exactly."""
        replica = self.replica()
        held = [generation.number for generation in replica.generations()]
        for number in numbers or held:
            snapshot = self.expected[number]
            out = self.base / "restored"
            for name in sorted({path.split("/")[0] for path in snapshot}, key=os.fsencode):
                report = replica.restore(name, out, number)
                assert report.notices == []
            found = look(out) if out.exists() else {}
            # the links between top level paths are not kept when each is restored by itself
            for name in {path.split("/")[0] for path in snapshot}:
                assert grouped(below(found, name)) == grouped(below(snapshot, name)), f"generation {number}: {name}"
            assert found.keys() == snapshot.keys()
            if out.exists():
                shutil.rmtree(out)

    def check_inodes(self) -> None:
        """No inode is shared between tree, staging and the generations of history."""
        seen: dict[int, str] = {}
        areas = [self.root / "tree", *(self.root / "staging").iterdir(), *(self.root / "history").iterdir()]
        for area in areas:
            for _, name, folder in _all(os.fsencode(area)):
                status = os.lstat(os.path.join(folder, name))
                if not stat.S_ISDIR(status.st_mode):
                    assert seen.setdefault(status.st_ino, str(area)) == str(area), (area, name)

    def check_history(self) -> None:
        """What history keeps is what its records name, and nothing else."""
        for generation in (self.root / "history").iterdir():
            record = generation / "record"
            lines = [json.loads(line) for line in record.read_bytes().splitlines()] if record.exists() else []
            named = {line["path"] for line in lines if line["old"] == "object"}
            files = generation / "files"
            kept = {path for path, item in look(files).items() if item.kind != "d"} if files.exists() else set()
            assert kept == named, generation
            assert [*map(sort_key, (line["path"] for line in lines))] == sorted(
                {sort_key(line["path"]) for line in lines}
            )

    def check_leftovers(self) -> None:
        """Nothing lies about."""
        names = {item.name for item in self.root.iterdir()} - {"ballast"}
        assert names == {"tree", "staging", "history", "work"}
        assert not [*(self.root / "staging").iterdir(), *(self.root / "work").iterdir()]
        held = {str(generation.number) for generation in self.replica().generations()}
        assert {item.name for item in (self.root / "history").iterdir()} <= held


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()
