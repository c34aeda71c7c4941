"""An e-smith database file: read whole, changed under a lock, written whole or not at all, each change in the log."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from hotsync.config import esmith
from hotsync.config.defaults import RECORDS
from hotsync.config.esmith import Record
from hotsync.system import files, lock
from hotsync.system.paths import Paths
from hotsync.system.syslog import SystemLog

Document = dict[str, str | None]
LogLine = Callable[[str], None]
LogLines = Callable[[list[str]], None]


def _silent(_line: str) -> None:
    pass


def _each(log: LogLine) -> LogLines:
    def tell(lines: list[str]) -> None:
        for line in lines:
            log(line)

    return tell


class ConfigDb:
    """One database file; every method reads it anew, every change is one write."""

    def __init__(
        self,
        path: Path,
        *,
        log: LogLine | None = None,
        log_apart: LogLines | None = None,
        computed: Mapping[str, str] | None = None,
        keep_mode: bool = False,
    ) -> None:
        self.path = path
        self._log: LogLine = log or _silent
        self._log_apart: LogLines = log_apart or _each(self._log)
        self._computed = dict(computed or {})
        self._keep_mode = keep_mode

    @property
    def computed(self) -> frozenset[str]:
        """Return the keys that the running system answers, whatever the file says."""
        return frozenset(self._computed)

    def read(self) -> Document:
        """Return key -> stored value; empty if there is no file; raise OSError if it cannot be read."""
        return {**self._stored(), **self._computed}

    def record(self, key: str) -> Record | None:
        """Given a key, return its record, or None if there is none."""
        stored = self.read().get(esmith.trim(key))
        return None if stored is None else esmith.parse_value(stored)

    def props(self, keys: Iterable[str]) -> dict[str, dict[str, str]]:
        """Given keys, return the props of those that exist as they were meant; a prop without a value is empty."""
        document = self.read()
        return {
            key: {name: esmith.plain(value or "") for name, value in esmith.parse_value(stored).props.items()}
            for key in keys
            if (stored := document.get(key)) is not None
        }

    def set_props(self, key: str, props: Mapping[str, str]) -> bool:
        """Given props, set them in one write; return False, having done nothing, if there is no such record."""
        found = False

        def change(document: Document) -> None:
            nonlocal found
            stored = document.get(esmith.trim(key))
            if stored is not None:
                found = True
                document[esmith.trim(key)] = esmith.render_value(esmith.parse_value(stored).with_props(props))

        self.update(change)
        return found

    def update(self, change: Callable[[Document], None]) -> None:
        """Given a function that changes the document in place, let it, alone; write only what differs."""
        with lock.held(self.path.with_name(self.path.name + ".lock"), f"change of {self.path}", wait=True):
            before = self._stored()
            after = dict(before)
            change(after)
            if after != before:
                self._write(after)
                self._tell(before, after)

    def _stored(self) -> Document:
        try:
            return esmith.parse_document(self.path.read_bytes())
        except FileNotFoundError:
            return {}

    def _write(self, document: Document) -> None:
        self._remove_leftovers()
        mode, owner = 0o600, None
        if self._keep_mode:
            with suppress(FileNotFoundError):
                status = self.path.stat()
                mode, owner = status.st_mode & 0o777, (status.st_uid, status.st_gid)
        content = esmith.render_document(document, time.asctime(time.localtime()))
        files.write_atomic(self.path, content, mode=mode, owner=owner)

    def _remove_leftovers(self) -> None:
        """Remove temporaries of writers that were killed; nobody else writes while we hold the lock."""
        temporary = re.compile(re.escape(f".{self.path.name}.") + "[0-9a-f]{12}")
        for name in os.listdir(self.path.parent):
            if temporary.fullmatch(name):
                (self.path.parent / name).unlink(missing_ok=True)

    def _tell(self, before: Document, after: Document) -> None:
        lines: list[str] = []
        secret = False
        for key in sorted({*before, *after}, key=esmith.to_bytes):
            old, new = before.get(key), after.get(key)
            if old == new and (key in before) == (key in after):
                continue
            shown = [None if stored is None else esmith.masked(key, stored) for stored in (old, new)]
            # also where another prop of such a record changed: the secret may be among the words of the command
            secret |= shown != [old, new]
            if key not in after:
                lines.append(f"{self.path}: DELETE {key}={shown[0] or ''}")
            else:
                lines.append(f"{self.path}: OLD {key}={'(undefined)' if shown[0] is None else shown[0]}")
                lines.append(f"{self.path}: NEW {key}={shown[1] or ''}")
        (self._log_apart if secret else _each(self._log))(lines)


def locate(name: str, paths: Paths, *, prefix: str | None = None) -> Path:
    """Given a database's name or absolute path (and what DBPATH says), return its file."""
    if prefix is not None:
        name = f"{prefix}/{name}"
    if name.startswith("/"):
        return Path(name)
    here, old = paths.databases / name, paths.at(f"/home/e-smith/{name}")
    return old if old.exists() and not here.exists() else here


def find_database(name: str, paths: Paths, *, ident: str = "hotsync", prefix: str | None = None) -> ConfigDb:
    """Given a database's name or absolute path, return the database; its changes go to the system log as `ident`."""
    path = locate(name, paths, prefix=prefix)
    theirs = paths.platform().databases
    nethserver = None if theirs is None else paths.at(theirs)
    log = SystemLog(ident, paths.at("/dev/log"))
    return ConfigDb(
        path,
        log=log,
        log_apart=log.apart,
        computed=_computed(paths) if nethserver is not None and path == nethserver / "configuration" else None,
        keep_mode=path.parent == nethserver,
    )


def configuration(paths: Paths, *, ident: str = "hotsync") -> ConfigDb:
    """Return the configuration database of this host."""
    return find_database("configuration", paths, ident=ident)


def ensure_records(paths: Paths) -> None:
    """Create the records that HotSync needs, with empty role; what is there already stays as it is."""

    def change(document: Document) -> None:
        for key, (kind, defaults) in RECORDS.items():
            record = esmith.parse_value(document.get(key) or kind)
            missing = {name: value for name, value in defaults.items() if name not in record.props}
            if missing or document.get(key) is None:
                document[key] = esmith.render_value(record.with_props(missing))

    paths.databases.mkdir(mode=0o700, parents=True, exist_ok=True)
    configuration(paths).update(change)


def _computed(paths: Paths) -> dict[str, str]:
    """On NethServer these three records are what the running system says."""
    system, _, domain = os.uname().nodename.partition(".")
    zone = ""
    with suppress(OSError):
        zone = os.readlink(paths.at("/etc/localtime")).partition("zoneinfo/")[2]
    return {"SystemName": system, "DomainName": domain, "TimeZone": zone}
