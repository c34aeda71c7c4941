"""The prepared /etc: built beside the live one, exchanged with it by one rename.

It is the MASTER's selected files with all their metadata, this host's own protected ones, those of packages that the
MASTER lacks, and what is generated: accounts, HotSync's own state, the standby address.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hotsync.backends import selinux
from hotsync.backends.network.files import access_for
from hotsync.errors import ReplicaError
from hotsync.model.accounts.merge import FILES, merge_accounts
from hotsync.model.etc_files import ALWAYS_OWN, OWN_NETWORK, files_that_stay
from hotsync.model.promotion import ETC, Promotion
from hotsync.state import promotion as document
from hotsync.system import files
from hotsync.system.paths import Paths
from hotsync.system.trees import copy_exactly, matching, move_aside, remove

PREPARED = ".hotsync-etc"
PART = ".hotsync-etc.part"
"""What holds it while it is built: a root of its own, in which it has its final name."""

Generate = Callable[[Path, Promotion], Mapping[str, str | None]]
"""Given the folder that will be /etc, return further files of it: path below /etc -> text (None: without it)."""


@dataclass(frozen=True, slots=True)
class OwnEtc:
    """What of this host's /etc is its own: the protect rules' paths (below the root), and the files of its packages.

    `slave_only_files` are absolute paths of packages that the MASTER lacks; `foreign` is what an older generation may
    still have of what belongs to the MASTER's machine (paths below the root).
    """

    kept: frozenset[str]
    slave_only_files: frozenset[str]
    foreign: frozenset[str] = frozenset()


class PreparedEtc:
    """Builds and exchanges the prepared /etc of one host."""

    def __init__(self, paths: Paths, own: Callable[[], OwnEtc], generate: Generate) -> None:
        self._paths = paths
        self._own = own
        self._generate = generate
        self._live = paths.at("/etc")
        self._part = paths.at(f"/{PART}/{ETC}")
        self._ready = paths.at(f"/{PREPARED}")

    def is_exchanged(self, promotion: Promotion) -> bool:
        """Return whether the live /etc is the prepared one, and the old one is set aside."""
        return self._is_live(promotion) and not os.path.lexists(self._ready)

    def prepare(self, promotion: Promotion) -> None:
        """Build it anew; nothing is done once it has been exchanged."""
        if self._is_live(promotion):
            return
        own = self._own()
        root = self._part.parent
        for leftover in (root, self._ready):
            remove(leftover)
        root.mkdir(mode=0o700)
        copy_exactly(self._paths.replica / "tree" / ETC, self._part)
        kept_network = promotion.network.keeps_own_files
        self._keep_own(own, (*ALWAYS_OWN, *OWN_NETWORK) if kept_network else ALWAYS_OWN)
        self._merge_accounts(promotion)
        for path, text in self._generate(self._part, promotion).items():
            if text is None:
                remove(self._part / path)
            else:
                self._write(path, text)
        self._label(root)
        files.sync_filesystem(self._part)
        os.rename(self._part, self._ready)
        root.rmdir()
        files.sync_directory(self._ready.parent)
        document.set_etc_inode(self._paths, os.lstat(self._ready).st_ino)

    def exchange(self, promotion: Promotion, aside: Path) -> None:
        """Exchange it with the live /etc, then set the old one aside; each told by inode whether it was done."""
        if not self._is_live(promotion):
            if not promotion.etc_inode or os.lstat(self._ready).st_ino != promotion.etc_inode:
                raise ReplicaError(reason="the prepared /etc is not the one that was built")
            files.rename_exchange(os.fspath(self._ready), os.fspath(self._live))
            files.sync_directory(self._live.parent)
        if os.path.lexists(self._ready):
            move_aside(self._paths.root, PREPARED, aside, as_name=ETC)

    def _is_live(self, promotion: Promotion) -> bool:
        return bool(promotion.etc_inode) and os.lstat(self._live).st_ino == promotion.etc_inode

    def _keep_own(self, own: OwnEtc, patterns: Sequence[str]) -> None:
        here = _links_below(self._live)
        there = _links_below(self._part)
        for path in (*matching(self._part, patterns), *_in_etc(own.foreign)):
            self._drop(path)
        kept = {*_in_etc(own.kept), *matching(self._live, patterns)}
        kept |= set(files_that_stay(here, there, own.slave_only_files))
        for path in _highest(kept):
            self._take(path)

    def _drop(self, path: str) -> None:
        """Remove something of the MASTER's; what lies behind one of its links is this host's own, and not in here."""
        if not any((self._part / folder).is_symlink() for folder in Path(path).parents):
            remove(self._part / path)

    def _take(self, path: str) -> None:
        """Put this host's own `path` into the prepared folder, in place of whatever is there."""
        source, target = self._live / path, self._part / path
        if not os.path.lexists(source):
            return
        missing = [folder for folder in reversed(Path(path).parents) if folder != Path()]
        for folder in missing:
            place = self._part / folder
            if place.is_symlink() or not place.is_dir():
                remove(place)
                place.mkdir(mode=0o755)
                status = os.lstat(self._live / folder)
                os.chown(place, status.st_uid, status.st_gid)
                os.chmod(place, status.st_mode & 0o7777)
        remove(target)
        copy_exactly(source, target)

    def _label(self, root: Path) -> None:
        """Label it before it is live: with other labels than its policy's a machine with SELinux might not boot."""
        if not selinux.is_enabled(self._paths):
            return
        if fault := selinux.label(self._paths, [os.fspath(self._part)], root):
            document.add_note(self._paths, f"/etc could not be labelled for SELinux: {fault}")

    def _merge_accounts(self, promotion: Promotion) -> None:
        merged = merge_accounts(_texts(self._part), _texts(self._live))
        for name, text in merged.texts.items():
            if text and text != _text(self._part / name):
                self._write(name, text)
        if merged.moved:
            listed = ", ".join(f"{name} -> {number}" for name, number in sorted(merged.moved.items()))
            document.add_note(
                self._paths, f"Accounts of this server whose number the MASTER uses got a new one: {listed}."
            )
        if merged.lost:
            listed = ", ".join(merged.lost)
            document.add_note(
                self._paths, f"Sub-ids of this server that the MASTER gives to others were not taken over: {listed}."
            )

    def _write(self, path: str, text: str) -> None:
        """Write a file of the prepared folder; an existing one keeps owner, mode and attributes."""
        target = self._part / path
        for folder in reversed(target.relative_to(self._part).parents):
            if not (self._part / folder).is_dir():
                files.make_folder(self._part / folder, 0o755)  # networkd, which is not root, reads its drop-ins
        if target.is_symlink():
            target.unlink()
        existed = target.exists()
        with open(target, "wb") as file:
            if not existed:
                mode, group = (0o600, 0) if path.endswith("shadow") else access_for(path, self._part)
                os.fchown(file.fileno(), 0, group)
                os.fchmod(file.fileno(), mode)
            file.write(text.encode("utf-8", "surrogateescape"))


def _in_etc(paths: Iterable[str]) -> set[str]:
    return {path.removeprefix(f"{ETC}/") for path in paths if path.startswith(f"{ETC}/")}


def _texts(folder: Path) -> dict[str, str]:
    return {name: _text(folder / name) for name in FILES}


def _text(path: Path) -> str:
    if path.is_symlink() or not path.is_file():
        return ""
    return path.read_bytes().decode("utf-8", "surrogateescape")


def _links_below(folder: Path) -> dict[str, str]:
    """Return every path below a folder that is no folder itself, with its link target ("" for no link)."""
    found: dict[str, str] = {}
    for parent, folders, names in os.walk(folder):
        for name in (*names, *folders):
            path = os.path.join(parent, name)
            if os.path.islink(path):
                found[os.path.relpath(path, folder)] = os.readlink(path)
            elif name in names:
                found[os.path.relpath(path, folder)] = ""
    return found


def _highest(paths: Iterable[str]) -> list[str]:
    """Return the paths that lie in no other of them."""
    highest: list[str] = []
    for path in sorted(paths, key=lambda path: path.replace("/", "\0")):
        if not highest or not path.startswith(highest[-1] + "/"):
            highest.append(path)
    return highest
