"""Loads a collected directory server into the files of one that does not run: old or new, never half.

Each database is loaded beside the old one (`.hotsync-new` in its folder), read back and compared with what was
collected, entry for entry; only then does it take the old one's place, by one rename. The configuration likewise: a
folder of its own beside the old one, exchanged in one move. What a load that died left is dropped by the next.
"""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from hotsync.errors import CommandFailed, RestoreFailed
from hotsync.sources import documents
from hotsync.sources.at_rest import BESIDE, check_place, check_version, put
from hotsync.sources.documents import FileRecord, content_of
from hotsync.sources.openldap import ldif, slapd_conf
from hotsync.sources.openldap.documents import SERVER, OpenldapDatabase, OpenldapServer
from hotsync.sources.openldap.ldif import EntrySum, counted
from hotsync.sources.openldap.server import PROGRAM, Reading, config_of, detail, output, tools_version
from hotsync.sources.processes import running
from hotsync.sources.source import Dataset
from hotsync.sources.stream import feed
from hotsync.system import trees
from hotsync.system.files import sync_directory, sync_filesystem

_DATA, _LOCK = "data.mdb", "lock.mdb"
_OF_A_CONFIGURATION = frozenset(("cn=config", "cn=config.ldif"))
_ACCOUNTS = ("openldap", "ldap")


def restore(folder: Path, dataset: Dataset) -> str:
    """Given a collected server, make its files here what they were there; return the digest of what was loaded.

    The server must not run. Raise OlderServer or RestoreFailed; then the old databases are as they were.
    """
    document = loadable(folder, dataset)
    load = _Load(folder, dataset, document)
    try:
        load.run()
    except CommandFailed as error:
        raise RestoreFailed(dataset=dataset.name, reason=detail(error)) from error
    except (OSError, LookupError, ValueError) as error:
        raise RestoreFailed(dataset=dataset.name, reason=str(error)) from error
    return document.digest


def loadable(folder: Path, dataset: Dataset) -> OpenldapServer:
    """Given a collected server, return its document; raise OlderServer if the programs here are older than that one.

    Raise RestoreFailed if the document cannot be read, names odd places, or the server runs.
    """
    document = documents.load(folder / SERVER, OpenldapServer)
    try:
        ours = tools_version()
    except CommandFailed as error:
        raise RestoreFailed(dataset=dataset.name, reason="no OpenLDAP server is installed here") from error
    check_version(dataset, document.version, ours)
    for place in (document.config, *(database.directory for database in document.databases)):
        check_place(dataset, place, "a directory server")
    for process in running((PROGRAM,)):
        if config_of(process.words) in ("", document.config):
            raise RestoreFailed(dataset=dataset.name, reason=f"slapd runs (process {process.pid})", hint=_STOP)
    return document


_STOP = "Stop it (systemctl stop slapd), then run the same command again."


@dataclass(slots=True)
class _Load:
    """One load while it is done."""

    folder: Path
    dataset: Dataset
    document: OpenldapServer

    def run(self) -> None:
        """Make everything that is new first; what can fail has been done when the first of the old gives way."""
        account, record = self._account(), self.document.configuration
        beside = [Path(database.directory, BESIDE) for database in self.document.databases]
        self._check_configuration()
        try:
            for folder in beside:
                _make_folder(folder.parent, account)
                _make_anew(folder, account)
            if beside:
                self._load_databases(account)
            new = None if record is None else self._make_configuration(record, account, beside)
            for folder in beside:
                _put(folder)
            if new is not None:
                self._put_configuration(new)
        finally:
            for folder in beside:
                trees.remove(folder)

    def _check_configuration(self) -> None:
        place = Path(self.document.config)
        if self.document.configuration is None or not place.exists():
            return
        if not _OF_A_CONFIGURATION.issuperset(os.listdir(place)):
            reason = f"{place} holds more than the configuration of a directory server"
            raise RestoreFailed(dataset=self.dataset.name, reason=reason, hint=f"Move what else lies in {place} away.")

    def _load_databases(self, account: pwd.struct_passwd) -> None:
        databases = self.document.databases
        reading = self._staged({each.number: f"{each.directory}/{BESIDE}" for each in databases}, account)
        for database in databases:
            self._load(reading, database)

    def _staged(self, places: Mapping[int, str], account: pwd.struct_passwd) -> Reading:
        """Return the server's configuration with other places for its databases, for the tools only."""
        record, beside = self.document.configuration, Path(self.document.databases[0].directory, BESIDE)
        user = account.pw_name if account.pw_uid else None
        if record is None:
            file = beside / "slapd.conf"
            lines = list(slapd_conf.read_lines(Path(self.document.config)))
            file.write_text(slapd_conf.with_directories(lines, places), "utf-8", "surrogateescape")
            os.chown(file, account.pw_uid, account.pw_gid)
            return Reading(str(file), user)
        folder = beside / "slapd.d"
        _make_anew(folder, account)
        reading = Reading(str(folder), user)
        _slapadd(reading, 0, iter([ldif.with_directories(b"".join(self._content(record)), places)]))
        return reading

    def _load(self, reading: Reading, database: OpenldapDatabase) -> None:
        """Load one database and read it back."""
        name = f"database {database.number} ({database.suffix})"
        collected, loaded = EntrySum(), EntrySum()
        _slapadd(reading, database.number, counted(self._content(database.content), collected))
        with closing(output(reading, database.number)) as chunks:
            for _ in counted(chunks, loaded):
                pass
        if loaded.count != database.entries:
            reason = f"{name} has {loaded.count} entries after the load, and had {database.entries}"
            raise RestoreFailed(dataset=self.dataset.name, reason=reason)
        if loaded.sum != collected.sum:
            reason = f"{name} reads back with other entries than were collected"
            raise RestoreFailed(dataset=self.dataset.name, reason=reason)

    def _make_configuration(self, record: FileRecord, account: pwd.struct_passwd, beside: list[Path]) -> Path:
        """Return the new configuration, beside the old one."""
        place = Path(self.document.config)
        place.parent.mkdir(parents=True, exist_ok=True)
        new = place.with_name(f"{BESIDE}-{place.name}")
        trees.remove(new)
        # where the tools may write in any case: of /etc they may be allowed their own folder only (AppArmor)
        made = beside[0] / "new.d" if beside else new
        _make_anew(made, account)
        reading = Reading(str(made), account.pw_name if account.pw_uid else None)
        _slapadd(reading, 0, self._content(record))
        with closing(output(reading, 0)) as chunks:
            # attributes that were modified come last until the configuration is made anew: their order says nothing
            if sorted(b"".join(chunks).splitlines()) != sorted(b"".join(self._content(record)).splitlines()):
                raise RestoreFailed(dataset=self.dataset.name, reason="the configuration reads back otherwise")
        if made != new:
            trees.copy_exactly(made, new)
        sync_filesystem(new)
        return new

    def _put_configuration(self, new: Path) -> None:
        place = Path(self.document.config)
        if place.exists():
            new.chmod(place.stat().st_mode & 0o7777)
        put(new, place)
        sync_directory(place.parent)
        trees.remove(new)

    def _account(self) -> pwd.struct_passwd:
        """Return the account that the files belong to: whose they are here, else the one that the package makes."""
        places = (self.document.config, *(database.directory for database in self.document.databases))
        for place in places:
            with suppress(FileNotFoundError):
                if number := os.stat(place).st_uid:
                    return pwd.getpwuid(number)
        for name in _ACCOUNTS:
            with suppress(KeyError):
                return pwd.getpwnam(name)
        return pwd.getpwuid(0)

    def _content(self, record: FileRecord) -> Iterator[bytes]:
        return content_of(self.folder, record, self.dataset)


def _slapadd(reading: Reading, number: int, content: Iterator[bytes]) -> None:
    # -q: nobody else is there, and a load that fails is thrown away; -s: what the server took it takes again
    argv = ["slapadd", *reading.words, "-n", str(number), "-g", "-q", "-s"]
    feed(argv, content, user=reading.user)


def _put(beside: Path) -> None:
    """Let what was loaded beside a database take its place."""
    place = beside.parent
    sync_filesystem(place)
    (place / _LOCK).unlink(missing_ok=True)  # of the old file: whoever opens the new one makes it anew
    os.replace(beside / _DATA, place / _DATA)
    sync_directory(place)


def _make_anew(folder: Path, account: pwd.struct_passwd) -> None:
    """Make an empty folder that is the account's, whatever lay there."""
    trees.remove(folder)
    folder.mkdir(mode=0o700)
    os.chown(folder, account.pw_uid, account.pw_gid)


def _make_folder(folder: Path, account: pwd.struct_passwd) -> None:
    """Make a folder that is the account's, unless it is there."""
    if not folder.is_dir():
        folder.mkdir(parents=True, mode=0o755)
        os.chown(folder, account.pw_uid, account.pw_gid)
