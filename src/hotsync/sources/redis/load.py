"""Puts a collected save where a Redis server that does not run finds it: old or new, never half.

The save is copied beside the old one, compared with what was collected and looked through by the server's own checker,
as the server's account; only then does it take the old one's place, by one rename. Where the server keeps a log of its
writes, a log that begins with this save takes the place of the old log in the same way: the server would else start
with the log and not look at the save.
"""

from __future__ import annotations

import grp
import os
import pwd
import re
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from hotsync.errors import CommandFailed, RestoreFailed
from hotsync.sources import documents
from hotsync.sources.at_rest import BESIDE, check_place, check_version, copy_collected, put
from hotsync.sources.processes import running
from hotsync.sources.redis.documents import SERVER, RedisServer
from hotsync.sources.redis.find import PROGRAMS
from hotsync.sources.source import OTHER_DUMPS, Dataset
from hotsync.sources.versions import series
from hotsync.system import trees
from hotsync.system.command import ENVIRONMENT, run
from hotsync.system.files import sync_directory, sync_filesystem

_CHECKERS = ("redis-check-rdb", "valkey-check-rdb")
_FOLDER_OF_LOGS_SINCE = (7, 0)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,100}")
_VERSION = re.compile(r"\bv=(\d+\.\d+[0-9.]*)")
_STOP = "Stop it (systemctl stop UNIT), then run the same command again."


def restore(folder: Path, dataset: Dataset) -> str:
    """Given a collected server, make its files here what was collected; return the digest of what was loaded.

    The server must not run. Raise OlderServer or RestoreFailed; then its files are as they were.
    """
    document = loadable(folder, dataset)
    place = Path(document.folder)
    try:
        _Load(folder, dataset, document, place, place / BESIDE).run()
    except CommandFailed as error:
        raise RestoreFailed(dataset=dataset.name, reason=str(error.facts["detail"])) from error
    except (OSError, LookupError) as error:
        raise RestoreFailed(dataset=dataset.name, reason=str(error)) from error
    return document.digest


def loadable(folder: Path, dataset: Dataset) -> RedisServer:
    """Given a collected server, return its document; raise OlderServer if the server here is older than that one.

    Raise RestoreFailed if the document cannot be read, names odd places, or the server runs.
    """
    document = documents.load(folder / SERVER, RedisServer)
    ours = server_version()
    if not ours:
        raise RestoreFailed(dataset=dataset.name, reason="no Redis server is installed here")
    check_version(dataset, document.version, ours)
    place = document.folder
    check_place(dataset, place, "a Redis server")
    for name in (document.dump, document.append_folder, document.append_name):
        if not _NAME.fullmatch(name):
            raise RestoreFailed(dataset=dataset.name, reason=f"{name!r} is no name for a file of a Redis server")
    for process in running(PROGRAMS):
        with suppress(OSError):
            if os.path.samefile(f"/proc/{process.pid}/cwd", place):
                reason = f"a server runs in {place} (process {process.pid})"
                raise RestoreFailed(dataset=dataset.name, reason=reason, hint=_STOP)
    return document


def server_version() -> str:
    """Return the version of the server that is installed here, "" if there is none."""
    for program in PROGRAMS:
        with suppress(CommandFailed):
            found = _VERSION.search(run([program, "--version"]).text)
            return found[1] if found else ""
    return ""


@dataclass(slots=True)
class _Load:
    """One load while it is done; all that is new lies in `beside` until it is whole."""

    folder: Path
    dataset: Dataset
    document: RedisServer
    place: Path
    beside: Path

    def run(self) -> None:
        document, owner = self.document, self._owner()
        if not self.place.is_dir():
            self.place.mkdir(parents=True, mode=0o750)
            os.chown(self.place, *owner)
        trees.remove(self.beside)
        self.beside.mkdir(mode=0o700)
        try:
            os.chown(self.beside, *owner)
            new = self.beside / document.dump
            copy_collected(self.folder, document.content, self.dataset, new, mode=0o640, owner=owner)
            self._check(new, owner[0])
            log = self._make_log(new, owner) if document.append_only else None
            sync_filesystem(self.beside)
            os.replace(new, self.place / document.dump)
            if log is not None:
                put(log, self.place / log.name)
            sync_directory(self.place)
        finally:
            trees.remove(self.beside)

    def _owner(self) -> tuple[int, int]:
        """Return whose the files are, by name: numbers may differ between two servers."""
        with suppress(FileNotFoundError):
            status = self.place.stat()
            if status.st_uid:
                return status.st_uid, status.st_gid
        return pwd.getpwnam(self.document.owner).pw_uid, grp.getgrnam(self.document.group).gr_gid

    def _check(self, new: Path, owner: int) -> None:
        """Let the server's own checker look through the save; raise RestoreFailed if it finds it damaged."""
        checker = next((name for name in _CHECKERS if shutil.which(name, path=ENVIRONMENT["PATH"])), "")
        if not checker:
            return
        user = pwd.getpwuid(owner).pw_name if owner else None
        try:
            run([checker, str(new)], user=user, cwd="/", timeout=24 * 3600)
        except CommandFailed as error:
            reason = f"{checker} finds the save damaged: {error.facts['detail']}"
            raise RestoreFailed(dataset=self.dataset.name, reason=reason, hint=OTHER_DUMPS) from error

    def _make_log(self, new: Path, owner: tuple[int, int]) -> Path:
        """Return a log of writes that begins with the save and holds nothing besides; the save is one file with it.

        Both only ever get a successor, neither is written to. Before 7.0 the log was one file.
        """
        document = self.document
        if series(server_version()) < _FOLDER_OF_LOGS_SINCE:
            log = self.beside / document.append_name
            shutil.copyfile(new, log)
            made = [log]
        else:
            log = self.beside / document.append_folder
            log.mkdir(mode=0o750)
            base, manifest = log / f"{document.append_name}.1.base.rdb", log / f"{document.append_name}.manifest"
            os.link(new, base)
            manifest.write_text(f"file {base.name} seq 1 type b\n", "ascii")
            made = [log, manifest]
        for path in made:
            path.chmod(0o750 if path.is_dir() else 0o640)
            os.chown(path, *owner)
        return log
