"""What the folders that a promotion leaves in place were like before it: an undo gives them that again."""

from __future__ import annotations

import json
import os
import stat
from base64 import b64decode, b64encode
from contextlib import suppress
from pathlib import Path
from typing import Any

from hotsync.model.changeset import folders_of
from hotsync.model.promotion import SHARED, Promotion
from hotsync.system import attributes, files
from hotsync.system.paths import Paths
from hotsync.system.trees import opened


def document_path(paths: Paths) -> Path:
    """Return where that is kept."""
    return paths.state / "folders-before.json"


def remember(paths: Paths, promotion: Promotion) -> None:
    """Write down, once for a promotion and before it moves anything, what its folders are like here."""
    if _load(paths, promotion) is not None:
        return
    wanted = {*promotion.folders, *(folder for unit in promotion.units for folder in folders_of(unit.path))}
    document = {
        "epoch": promotion.epoch,
        "folders": {path: _read(paths.root, path) for path in sorted(wanted)},
        "names": {path: _names(paths.root, path) for path in promotion.folders if path not in SHARED},
    }
    files.write_atomic(document_path(paths), json.dumps(document).encode("ascii"), mode=0o600)


def restore(paths: Paths, promotion: Promotion) -> None:
    """Give the folders what they had, the deepest first; one that was not there goes, if nothing is in it."""
    folders = _load(paths, promotion) or {}
    for path in sorted(folders, key=lambda path: path.count("/"), reverse=True):
        found = folders[path]
        with suppress(FileNotFoundError, NotADirectoryError):
            if found is None:
                with suppress(OSError):  # there is something in it: somebody's
                    os.rmdir(paths.root / path)
            else:
                _write(paths.root, path, found)


def names(paths: Paths, promotion: Promotion) -> dict[str, list[str]]:
    """Return what lay in each folder that stays in place, but for those that many share; empty if nobody knows."""
    document = _document(paths, promotion)
    found: dict[str, list[str]] = document.get("names", {}) if document is not None else {}
    return found


def forget(paths: Paths) -> None:
    """It is of no use any more."""
    document_path(paths).unlink(missing_ok=True)


def _load(paths: Paths, promotion: Promotion) -> dict[str, Any] | None:
    document = _document(paths, promotion)
    folders: dict[str, Any] | None = document.get("folders") if document is not None else None
    return folders


def _document(paths: Paths, promotion: Promotion) -> dict[str, Any] | None:
    try:
        document: dict[str, Any] = json.loads(document_path(paths).read_bytes())
        return document if document["epoch"] == promotion.epoch else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _names(root: Path, path: str) -> list[str]:
    try:
        with opened(root, path) as folder:
            return sorted(os.listdir(folder))
    except OSError:
        return []


def _read(root: Path, path: str) -> dict[str, Any] | None:
    try:
        with opened(root, path) as folder:
            status = os.fstat(folder)
            kept = attributes.attributes_of(folder)
    except OSError:
        return None
    return {
        "mode": stat.S_IMODE(status.st_mode),
        "uid": status.st_uid,
        "gid": status.st_gid,
        "mtime_ns": status.st_mtime_ns,
        "attributes": {name: b64encode(value).decode() for name, value in sorted(kept.items())},
    }


def _write(root: Path, path: str, wanted: dict[str, Any]) -> None:
    parent, _, name = path.rpartition("/")
    kept = {str(key): b64decode(value) for key, value in wanted["attributes"].items()}
    with opened(root, path) as folder, opened(root, parent) as above:
        os.fchown(folder, wanted["uid"], wanted["gid"])
        attributes.write_attributes(name, above, kept)
        os.fchmod(folder, wanted["mode"])
        os.utime(folder, ns=(os.fstat(folder).st_atime_ns, wanted["mtime_ns"]))
        os.fsync(folder)
