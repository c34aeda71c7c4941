"""Makes the data directory of a PostgreSQL server that the MASTER has without pg_createcluster, and puts the settings
of any server into its data directory: also those of a cluster that lie there (ALTER SYSTEM).

What is written is written as the server's own user: nothing that this user has put there leads root astray.
"""

from __future__ import annotations

import errno
import os
import pwd
import re
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from hotsync.errors import CommandFailed, RestoreFailed
from hotsync.sources import documents
from hotsync.sources.documents import PostgresqlCluster
from hotsync.sources.postgresql.cluster import NAME, Login, binaries_of, data_of, detail, fill_directory
from hotsync.sources.postgresql.place import (
    FOLDER,
    files_fault,
    major_of,
    may_hold_programs,
    place_fault,
    told_fault,
)
from hotsync.sources.source import Dataset
from hotsync.sources.spool import open_plain
from hotsync.system.command import ENVIRONMENT, run
from hotsync.system.files import sync_directory, sync_filesystem
from hotsync.system.trees import remove

_NEW = ".hotsync-new"
_BEFORE = ".hotsync-before"
_PART = ".hotsync-part"
_RELEASE = re.compile(r"\(PostgreSQL\) (\d+)(?:\.(\d+))?")


def make_server(folder: Path, document: PostgresqlCluster, instance: str) -> None:
    """Given a collected server that is no cluster, and its folder, make an empty one where it had its own unless there
    is one, and put its settings in place; raise RestoreFailed.

    Nothing in the document becomes a path outside of what `told_fault` allows. The server is not started.
    """
    dataset = f"{NAME}/{instance}"
    place = Path(os.path.realpath(document.place))
    fault = told_fault(document, instance) or here_fault(document)
    if fault:
        hint = "Look what the MASTER's server runs as, and what lies in its place here."
        raise RestoreFailed(dataset=dataset, reason=fault, hint=hint)
    try:
        if not (place / "PG_VERSION").exists():
            _make(folder, document, instance, place)
        _put_settings(folder, document, instance, _Data(place, document.user))
        sync_filesystem(place)
    except (CommandFailed, OSError) as error:
        reason = detail(error) if isinstance(error, CommandFailed) else str(error)
        raise RestoreFailed(dataset=dataset, reason=f"no server can be made: {reason}") from error


def put_settings(folder: Path, document: PostgresqlCluster, instance: str) -> None:
    """Given a collected cluster of pg_lsclusters, and its folder, put its settings into its data directory here, which
    is there; what differs there stays beside, once. Its server is not running. Raise RestoreFailed."""
    version, _, name = instance.partition("-")
    data = data_of(version, name)
    if data is None:
        raise RestoreFailed(dataset=f"{NAME}/{instance}", reason="its data directory is not here")
    if fault := files_fault(document):
        raise RestoreFailed(dataset=f"{NAME}/{instance}", reason=fault)
    try:
        place = Path(os.path.realpath(data))
        user = pwd.getpwuid(place.stat().st_uid).pw_name
        _put_settings(folder, document, instance, _Data(place, user))
        sync_filesystem(place)
    except (CommandFailed, OSError, KeyError) as error:
        reason = detail(error) if isinstance(error, CommandFailed) else str(error)
        raise RestoreFailed(
            dataset=f"{NAME}/{instance}", reason=f"its settings cannot be put in place: {reason}"
        ) from error


def here_fault(document: PostgresqlCluster) -> str:
    """Given what was collected of a server, return in words why this host cannot have it now, "" if it can."""
    place, major = Path(os.path.realpath(document.place)), major_of(document.version)
    if fault := place_fault(os.fspath(place)):
        return f"{document.place} leads elsewhere here: {fault}"
    try:
        account = pwd.getpwnam(document.user)
    except KeyError:
        return f"there is no user {document.user} here"
    if not account.pw_uid:
        return f"{document.user} is root here"
    if not programs_of(major, document.programs, document.user):
        return f"PostgreSQL {major} is not installed here"
    return data_fault(place, major, account.pw_uid)


def data_fault(place: Path, major: str, owner: int) -> str:
    """Return in words why a server of that version cannot use what lies in its place here, "" if it can."""
    with suppress(OSError), open_plain(place / "PG_VERSION") as file:
        here = file.read(100).decode("ascii", "replace").strip()
        if here != major:
            return f"{place} holds the files of PostgreSQL {here} here, not of {major}: move them away"
        if place.stat().st_uid != owner:
            return f"{place} belongs to another user here than the MASTER's server runs as"
        return ""
    if place.is_dir() and not os.listdir(place):
        return ""
    there = os.path.lexists(place)
    return f"{place} holds something here that is no PostgreSQL server's: move it away" if there else ""


def programs_of(major: str, told: str, user: str) -> str:
    """Given a major version, and where the MASTER has its programs, return where they are here, "" if nowhere.

    What the MASTER told is only looked at where no package has them; it is run as `user`.
    """
    for folder in binaries_of(major):
        if (Path(folder) / "initdb").exists():
            return folder
    initdb = shutil.which("initdb", path=ENVIRONMENT["PATH"])
    candidates = [os.path.dirname(initdb)] if initdb else []
    candidates += [told] if may_hold_programs(told) and may_hold_programs(os.path.realpath(told)) else []
    return next((folder for folder in candidates if release_of(f"{folder}/initdb", user) == major), "")


def release_of(program: str, user: str) -> str:
    """Return the major version of one of PostgreSQL's programs, "" if it does not say it."""
    try:
        said = run([program, "--version"], user=user, cwd="/").text
    except CommandFailed:
        return ""
    found = _RELEASE.search(said)
    if found is None:
        return ""
    return found[1] if int(found[1]) >= 10 else f"{found[1]}.{found[2]}"


def mismatch(login: Login) -> str:
    """Return in words that the tools that would dump a server are of another major version, "" if they are its own."""
    tool = login.tool("pg_dump")
    release = release_of(tool, login.user)
    if release == login.version:
        return ""
    return f"{tool} is {f'of PostgreSQL {release}' if release else 'no pg_dump'}, and the server of {login.version}"


def serves(server: Dataset, instance: str, place: str) -> bool:
    """Return whether a server of this host is the one of a dump: a cluster by its name, another by its place."""
    if not place:
        return not server.place and server.is_named(instance)
    return bool(server.place) and os.path.realpath(server.place) == os.path.realpath(place)


def _make(folder: Path, document: PostgresqlCluster, instance: str, place: Path) -> None:
    """Make an empty data directory: old or new, never half (but where the place is a mount of its own)."""
    account = pwd.getpwnam(document.user)
    programs = programs_of(major_of(document.version), document.programs, document.user)
    _make_folders(place.parent)
    mounted = os.path.ismount(place)
    work = place if mounted else place.with_name(f"{place.name}{_NEW}")
    if not mounted:
        remove(work)
        os.mkdir(work, 0o700)
    _give(work, account)
    fill_directory(document, instance, work, document.user, programs)
    _put_settings(folder, document, instance, _Data(work, document.user, keeps=False))
    if not mounted:
        sync_filesystem(work)
        os.rename(work, place)  # over an empty folder, if there is one
        sync_directory(place.parent)


def _give(folder: Path, account: pwd.struct_passwd) -> None:
    """Make an empty folder an account's; whoever owns the one above may have put something else there."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        if os.listdir(descriptor):
            raise OSError(errno.ENOTEMPTY, "it is not empty", os.fspath(folder))
        os.fchown(descriptor, account.pw_uid, account.pw_gid)
    finally:
        os.close(descriptor)


def _make_folders(folder: Path) -> None:
    for missing in reversed([each for each in (folder, *folder.parents) if not each.exists()]):
        os.mkdir(missing, 0o755)


def _put_settings(folder: Path, document: PostgresqlCluster, instance: str, data: _Data) -> None:
    for record in document.configuration:
        content = b"".join(documents.content_of(folder, record, Dataset(NAME, instance)))
        data.put(record.file.removeprefix(f"{FOLDER}/"), content)
    for name, leads_to in document.links:
        data.link(name, leads_to)


@dataclass(frozen=True, slots=True)
class _Data:
    """A data directory while the MASTER's settings are put into it; `keeps`: what differs there stays beside, once."""

    place: Path
    user: str
    keeps: bool = True

    def put(self, name: str, content: bytes) -> None:
        """Make a file; it appears whole."""
        target = self._target(name)
        if os.path.lexists(target) and not os.path.islink(target):
            here = self._run("head", f"--bytes={len(content) + 1}", "--", target)
            if here == content:
                return
        self._set_aside(target)
        part = f"{target}{_PART}"
        self._run("rm", "--force", "--", part)
        self._run("dd", f"of={part}", "conv=fsync", "status=none", content=content)
        self._run("chmod", "600", "--", part)
        self._run("mv", "--no-target-directory", "--", part, target)

    def link(self, name: str, leads_to: str) -> None:
        """Make a link, as the MASTER's server has it."""
        target = self._target(name)
        if not (os.path.islink(target) and os.readlink(target) == leads_to):
            self._set_aside(target)
            self._run("ln", "--symbolic", "--force", "--no-target-directory", "--", leads_to, target)

    def _target(self, name: str) -> str:
        target = os.path.join(self.place, name)
        if not os.path.isdir(os.path.dirname(target)):
            self._run("mkdir", "--parents", "--mode=700", "--", os.path.dirname(target))
        return target

    def _set_aside(self, target: str) -> None:
        if self.keeps and os.path.lexists(target) and not os.path.lexists(f"{target}{_BEFORE}"):
            self._run("mv", "--no-target-directory", "--", target, f"{target}{_BEFORE}")

    def _run(self, *words: str, content: bytes | None = None) -> bytes:
        return run(words, user=self.user, cwd="/", input=content, timeout=60.0).stdout
