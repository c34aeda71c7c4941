"""The last whole copy of a folder: what changed is put in place by renaming, all of it or nothing, also after a crash.

/var/lib/hotsync/frozen/HASH/tree          the copy, as a run sees it in the live folder's place
                             staged/       what is being copied
                             publish.json  from here on the copy *will* be the new one
                             known.json    what it is a copy of, of when, and how the live files looked
"""

from __future__ import annotations

import filecmp
import hashlib
import json
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

from pydantic import TypeAdapter

from hotsync.sources.frozen.scan import Look, Seen
from hotsync.sources.frozen.staging import Staged
from hotsync.system.attributes import Attributes, read_attributes, write_attributes
from hotsync.system.files import sync_directory, sync_file, write_atomic
from hotsync.system.trees import folders_below, items_of, opened, remove

SCHEMA = 1


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a copy: the folder (a path of this host), the server's name, when it was taken, and how each
    live file looked then (those that may have changed since unseen are not among them). `shape` is a digest of all but
    the content of files."""

    path: str
    server: str
    taken_at: float
    looks: dict[str, Look]
    shape: str = ""
    schema: int = SCHEMA


@dataclass(frozen=True, slots=True)
class _Dress:
    """Owner, mode, attributes (as hex) and time (-1: as it is) that something in the copy shall have."""

    mode: int
    uid: int
    gid: int
    mtime_ns: int = -1
    attributes: dict[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class _Plan:
    """What the copy will be: its folders, files (those with a name in `staged` are new), links, all by their paths."""

    known: Known
    folders: dict[str, _Dress]
    files: dict[str, _Dress | None]
    staged: dict[str, str]
    links: dict[str, tuple[str, _Dress]]


class FolderCopy:
    """The copy of one folder."""

    def __init__(self, place: Path) -> None:
        self._place = place
        self.tree, self.staging = self._place / "tree", self._place / "staged"
        self._publish = self._place / "publish.json"

    def prepare(self) -> None:
        """Make room for copying; do what a run that was killed had decided, drop what it had not. Raise OSError."""
        self.finish()
        for folder in (self._place.parent, self._place):
            folder.mkdir(mode=0o700, exist_ok=True, parents=True)
        remove(self.staging)
        self.staging.mkdir(mode=0o700)

    def finish(self) -> None:
        """Do what a run that was killed had decided; raise OSError."""
        if not self._publish.exists():
            return
        try:
            plan = TypeAdapter(_Plan).validate_python(json.loads(self._publish.read_bytes()))
        except ValueError:
            self.forget()  # of another version, or damaged: the next copy is made anew
        else:
            self._apply(plan)

    def known(self) -> Known | None:
        """Return what is known of the copy; None if there is none that is whole."""
        return load_known(self._place)

    def publish(self, known: Known, seen: Seen, staged: Mapping[str, Staged], top: int) -> None:
        """Make the copy what was seen in an open folder and staged; raise OSError. Equal files keep theirs."""
        new = {path: one for path, one in staged.items() if not self._is_equal(path, one)}
        for one in new.values():
            sync_file(one.copy)
        folders = {path: _dress_of(status, _attributes(top, path), time=True) for path, status in seen.folders.items()}
        files = dict.fromkeys(seen.files, None) | {
            path: _dress_of(one.status, one.attributes, time=path in new) for path, one in staged.items()
        }
        plan = _Plan(
            known=known,
            folders=folders,
            files=files,
            staged={path: one.copy.name for path, one in new.items()},
            links={path: (target, _dress_of(status, {}, time=True)) for path, (status, target) in seen.links.items()},
        )  # fmt: skip
        write_atomic(self._publish, json.dumps(asdict(plan)).encode("ascii"), mode=0o600)
        self._apply(plan)

    def confirm(self, known: Known) -> None:
        """Note that the copy is what the folder holds at a later moment; raise OSError."""
        write_atomic(self._place / "known.json", json.dumps(asdict(known)).encode("ascii"), mode=0o600)

    def forget(self) -> None:
        """Remove the copy; raise OSError."""
        if self._place.exists():
            (self._place / "known.json").unlink(missing_ok=True)  # from here on nobody takes it for a copy
            remove(self._place)

    def _is_equal(self, path: str, one: Staged) -> bool:
        target = self.tree / path
        with suppress(OSError):
            status = target.lstat()
            return stat.S_ISREG(status.st_mode) and filecmp.cmp(one.copy, target, shallow=False)
        return False

    def _apply(self, plan: _Plan) -> None:
        """Do what is planned; each part of it may have been done already."""
        self.tree.mkdir(mode=0o700, exist_ok=True)
        self._remove_others(plan)
        for path in sorted(plan.folders):
            (self.tree / path).mkdir(mode=0o700, exist_ok=True)
        for path, name in plan.staged.items():
            if (self.staging / name).exists():
                _dress(self.staging / name, plan.files[path])
                os.replace(self.staging / name, self.tree / path)
        for path, dress in plan.files.items():
            _dress(self.tree / path, dress)
        for path, (target, dress) in plan.links.items():
            if not (self.tree / path).is_symlink():
                os.symlink(target, self.tree / path)
            _dress(self.tree / path, dress)
        for path in sorted(plan.folders, reverse=True):
            _dress(self.tree / path, plan.folders[path])
            sync_directory(self.tree / path)
        self.confirm(plan.known)
        self._publish.unlink()
        remove(self.staging)

    def _remove_others(self, plan: _Plan) -> None:
        """Remove what will not be there, or is another kind of thing."""
        for folder in reversed([*folders_below(self.tree)]):
            for found in items_of(folder):
                path = os.path.relpath(found, self.tree)
                if found.is_symlink():
                    stays = path in plan.links and os.readlink(found) == plan.links[path][0]
                else:
                    stays = path in (plan.folders if found.is_dir() else plan.files)
                if not stays:
                    remove(found)


def copy_of(store: Path, path: str) -> FolderCopy:
    """Given a folder of this host, return its copy, whether it was made or not."""
    return FolderCopy(store / hashlib.sha256(os.fsencode(path)).hexdigest())


def finish_all(store: Path) -> None:
    """Do what runs that were killed had decided; a copy of which that cannot be done is none."""
    with suppress(FileNotFoundError):
        for place in store.iterdir():
            with suppress(OSError):
                FolderCopy(place).finish()


def load_copies(store: Path) -> Iterator[Known]:
    """Return what is known of all copies in the store."""
    with suppress(FileNotFoundError):
        for place in sorted(store.iterdir()):
            known = load_known(place)
            if known is not None:
                yield known


def load_known(place: Path) -> Known | None:
    """Return what is known of a copy; None if it is damaged or half replaced, or none was ever whole."""
    if (place / "publish.json").exists():
        return None
    try:
        # pydantic's own reader of JSON refuses names that are not UTF-8, which live on as surrogates
        known = TypeAdapter(Known).validate_python(json.loads((place / "known.json").read_bytes()))
    except (OSError, ValueError):
        return None
    return known if known.schema == SCHEMA and known.path.startswith("/") and (place / "tree").is_dir() else None


def _attributes(top: int, path: str) -> Attributes:
    """Return the attributes of a folder in an open one; none if it is gone by now."""
    with suppress(OSError):
        return read_attributes(path or ".", top)
    return {}


def _dress_of(status: os.stat_result, attributes: Attributes, *, time: bool) -> _Dress:
    mtime = status.st_mtime_ns if time else -1
    hexed = {name: value.hex() for name, value in attributes.items()}
    return _Dress(stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid, mtime, hexed)


def _dress(path: Path, dress: _Dress | None) -> None:
    """Set what differs; what is equal is not touched."""
    if dress is None:
        return
    status = path.lstat()
    is_link = stat.S_ISLNK(status.st_mode)
    if (status.st_uid, status.st_gid) != (dress.uid, dress.gid):
        os.chown(path, dress.uid, dress.gid, follow_symlinks=False)
    if not is_link:
        with opened(path.parent, ".") as folder:
            wanted = {name: bytes.fromhex(value) for name, value in dress.attributes.items()}
            if read_attributes(path.name, folder) != wanted:
                write_attributes(path.name, folder, wanted)
        if stat.S_IMODE(path.lstat().st_mode) != dress.mode:
            path.chmod(dress.mode)
    if dress.mtime_ns not in (-1, path.lstat().st_mtime_ns):
        os.utime(path, ns=(dress.mtime_ns, dress.mtime_ns), follow_symlinks=False)
