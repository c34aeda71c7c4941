"""One set of the network's files in /etc for another: this server's own, or those that a promotion brought.

Path by path, each whole by one rename; doing it again does the rest.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from hotsync.backends.network.files import access_for
from hotsync.model.etc_files import OWN_NETWORK
from hotsync.model.nesting import lies_in
from hotsync.system import files
from hotsync.system.trees import copy_exactly, matching, remove

_NEW = ".hotsync-network"
_WRITTEN_LIVE = frozenset(("resolv.conf", "openvswitch"))


def digests(etc: Path) -> tuple[tuple[str, str], ...]:
    """Given an /etc, return each file and link of its network below it, with a digest of what it says.

    What programs write themselves as they run is left out.
    """
    tops = (top for top in _tops(etc) if top not in _WRITTEN_LIVE)
    return tuple((path, _digest(etc / path)) for top in tops for path in _below(etc, top))


def copy_network(etc: Path, to: Path) -> None:
    """Copy the network's files of an /etc to a folder, which appears whole; one that is there already is kept."""
    if to.exists():
        return
    part = to.with_name(f"{to.name}.part")
    remove(part)
    part.mkdir(mode=0o700, parents=True)
    for path in _tops(etc):
        (part / path).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        copy_exactly(etc / path, part / path)
    files.sync_filesystem(part)
    os.rename(part, to)
    files.sync_directory(to.parent)


def swap(etc: Path, source: Path, texts: Mapping[str, str]) -> None:
    """Give an /etc the network's files of `source`, and with them further texts (path below /etc -> text)."""
    wanted = _tops(source)
    for path in wanted:
        _parents(etc, source, path)
        new = (etc / path).with_name(_NEW)
        remove(new)
        copy_exactly(source / path, new)
        for name, text in texts.items():
            if lies_in(name, path):
                _write(new / os.path.relpath(name, path) if name != path else new, name, text, etc)
        _exchange(new, etc / path)
    for path in _tops(etc):
        if path not in wanted:
            remove(etc / path)
    files.sync_filesystem(etc)


def _exchange(new: Path, target: Path) -> None:
    if not os.path.lexists(target):
        os.rename(new, target)
        return
    files.rename_exchange(os.fspath(new), os.fspath(target))
    remove(new)


def _write(target: Path, name: str, text: str, etc: Path) -> None:
    if not target.parent.is_dir():
        files.make_folder(target.parent, 0o755)  # networkd, which is not root, reads its drop-ins
    if target.is_symlink():
        target.unlink()
    existed = target.exists()
    with open(target, "wb") as file:
        if not existed:
            mode, group = access_for(name, etc)
            os.fchown(file.fileno(), 0, group)
            os.fchmod(file.fileno(), mode)
        file.write(text.encode("utf-8", "surrogateescape"))


def _parents(etc: Path, source: Path, path: str) -> None:
    for folder in reversed(Path(path).parents):
        place = etc / folder
        if place.is_symlink() or not place.is_dir():
            remove(place)
            status = os.lstat(source / folder)
            place.mkdir()
            os.chown(place, status.st_uid, status.st_gid)
            place.chmod(status.st_mode & 0o7777)


def _tops(etc: Path) -> list[str]:
    return sorted(matching(etc, OWN_NETWORK))


def _below(etc: Path, top: str) -> Iterator[str]:
    place = etc / top
    if place.is_symlink() or not place.is_dir():
        yield top
        return
    for name in sorted(os.listdir(place)):
        yield from _below(etc, f"{top}/{name}")


def _digest(path: Path) -> str:
    if path.is_symlink():
        return f"-> {os.readlink(path)}"
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "neither a file nor a link"
