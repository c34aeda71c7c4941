"""The MASTER's packages of no repository on the SLAVE: accepted by the SHA-256 of their files, and laid ready."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from hotsync.errors import CommandFailed
from hotsync.model.packages.local import LocalPackage, carried_here, to_accept
from hotsync.model.packages.values import Room, lacks_room
from hotsync.model.ports.package_files import PackageFiles
from hotsync.model.ports.package_manager import PackageManager
from hotsync.state.facts import SPOOL_IN_TREE
from hotsync.state.local_packages import DATASET, add_accepted, load_accepted, load_local
from hotsync.system.paths import Paths
from hotsync.system.trees import opened

_CHUNK = 1024 * 1024
NOT_ACCEPTED = "it is of no repository: hotsync-slave --accept-packages shows its file and asks"
_NOT_THERE = "its file is not in the replica"
_NOT_IT = "its file in the replica is not the one that the MASTER told"
_OTHER = "its file is one of another package"


@dataclass(frozen=True, slots=True)
class LocalOffer:
    """The MASTER's packages of no repository that wait for a person's word, and those whose files did not travel."""

    packages: tuple[LocalPackage, ...] = ()
    lacking: tuple[LocalPackage, ...] = ()


def read_local_offer(paths: Paths, manager: PackageManager) -> LocalOffer:
    """Return what of the MASTER's packages of no repository is to be accepted here; raise ReplicaError."""
    machine, installed = manager.machine(), manager.installed()
    carried = carried_here(load_local(paths.replica / "tree"), machine)
    waiting = to_accept(carried, installed, load_accepted(paths), machine)
    return LocalOffer(waiting, tuple(each for each in carried if each.lack))


def accept_local(paths: Paths, offer: LocalOffer, now: float) -> None:
    """Let these very files be installed from now on."""
    add_accepted(paths, (each.sha256 for each in offer.packages), now)


def lay_ready(
    paths: Paths, files: PackageFiles, packages: Iterable[tuple[str, LocalPackage]]
) -> tuple[dict[str, str], dict[str, str]]:
    """Given packages by what names them here, copy the accepted files out of the replica; return by name the file, or
    why there is none."""
    accepted = load_accepted(paths)
    found: dict[str, str] = {}
    reasons: dict[str, str] = {}
    for name, package in packages:
        if not package.sha256:
            reasons[name] = f"it is of no repository, and {package.reason}"
        elif package.sha256 not in accepted:
            reasons[name] = NOT_ACCEPTED
        else:
            file = paths.package_files / files.file_name(package.name, package.version, package.architecture)
            if reason := _copy(paths, files, package, file):
                reasons[name] = reason
            else:
                found[name] = os.fspath(file)
    return found, reasons


def _copy(paths: Paths, files: PackageFiles, package: LocalPackage, file: Path) -> str:
    """Copy one file; return why it is not there ("": it is). What is named by its SHA-256 alone is read from there."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    part = file.with_name(f".{file.name}.part")
    part.unlink(missing_ok=True)
    try:
        with opened(
            paths.replica / "tree",
            f"{SPOOL_IN_TREE}/{DATASET}/{package.sha256}{files.ending}",
            os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY,
        ) as source:
            status, usage = os.fstat(source), shutil.disk_usage(file.parent)
            if not stat.S_ISREG(status.st_mode):
                return _NOT_THERE
            if reason := lacks_room(status.st_size, Room(usage.total, usage.free)):
                return reason
            if _copied(source, part) != package.sha256:
                return _NOT_IT
        if files.identity(part) != (package.name, package.version, package.architecture):
            return _OTHER
        part.replace(file)
    except OSError as error:
        return f"{_NOT_THERE} ({error.strerror})" if isinstance(error, FileNotFoundError) else str(error)
    except CommandFailed:
        return _NOT_IT
    finally:
        part.unlink(missing_ok=True)
    return ""


def _copied(source: int, part: Path) -> str:
    """Copy an open file; return the SHA-256 of what arrived."""
    digest = hashlib.sha256()
    with open(source, "rb", closefd=False) as read, open(part, "xb") as write:
        while chunk := read.read(_CHUNK):
            digest.update(chunk)
            write.write(chunk)
    part.chmod(0o600)
    return digest.hexdigest()
