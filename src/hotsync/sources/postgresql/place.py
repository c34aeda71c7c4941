"""Where a PostgreSQL server that pg_createcluster did not make may be put, and as what it may run: the MASTER says it.

The same is asked on the MASTER, so that a server that no promotion would put in place is named there.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable

from hotsync.model.nesting import lies_in
from hotsync.model.production import is_own
from hotsync.sources.documents import PostgresqlCluster

_PATH = re.compile(r"(?:/[A-Za-z0-9_.+,@:=~][A-Za-z0-9_.+,@:=~ -]*)+", re.ASCII)
_LONGEST = 1000
_UNIT = re.compile(r"[A-Za-z0-9:_.][A-Za-z0-9:_.@\\-]{0,200}\.service", re.ASCII)
_USER = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,30}\$?", re.ASCII)
_VERSION = re.compile(r"[0-9]{1,2}(?:\.[0-9])?", re.ASCII)
_SHARED = frozenset({
    "/home", "/media", "/mnt", "/opt", "/srv", "/usr/local", "/var", "/var/backups", "/var/cache", "/var/lib",
    "/var/lib/pgsql", "/var/lib/postgresql", "/var/local", "/var/log", "/var/mail", "/var/opt", "/var/spool",
    "/tmp", "/var/tmp",  # noqa: S108 - looked at, not written to
})  # fmt: skip
"""Folders of many owners: none of them is one server's, but what is in them may be."""
_SYSTEM = (
    "/bin", "/boot", "/dev", "/etc", "/lib", "/lib32", "/lib64", "/libx32", "/lost+found", "/proc", "/run", "/sbin",
    "/sys", "/usr", "/var/lib/hotsync", "/var/lib/dpkg", "/var/lib/rpm", "/var/lib/systemd", "/var/run",
)  # fmt: skip
"""Folders in which nothing is a server's; of /usr only what is in /usr/local may be."""
FOLDER = "settings"
"""Where a collection has the files of a server's settings, each under its name in the data directory."""
_NO_SETTINGS = frozenset({
    "PG_VERSION", "backup_label", "base", "global", "pg_clog", "pg_commit_ts", "pg_dynshmem", "pg_logical",
    "pg_multixact", "pg_notify", "pg_replslot", "pg_serial", "pg_snapshots", "pg_stat", "pg_stat_tmp", "pg_subtrans",
    "pg_tblspc", "pg_twophase", "pg_wal", "pg_xact", "pg_xlog", "postmaster.opts", "postmaster.pid", "recovery.conf",
    "recovery.signal", "standby.signal", "tablespace_map",
})  # fmt: skip
_NOT_KEPT = ("/tmp", "/var/tmp", "/dev", "/run", "/proc")  # noqa: S108 - nothing is written there
"""Where anybody may put a program."""


def place_fault(place: str) -> str:
    """Given a data directory, return in words why no server is put there, "" if one may be."""
    if not _PATH.fullmatch(place) or len(place) > _LONGEST or os.path.normpath(place) != place:
        return f"{place[:200]!r} is no path of a data directory that HotSync puts in place"
    below_local = place.startswith("/usr/local/")
    if place in _SHARED or (not below_local and any(lies_in(place, folder) for folder in _SYSTEM)):
        return f"{place} is a folder of the system, and no server's data directory"
    return ""


def told_fault(document: PostgresqlCluster, instance: str) -> str:
    """Given what was collected of such a server, return in words why it is not put in place here, "" if it may be."""
    if fault := place_fault(document.place):
        return fault
    if not _VERSION.fullmatch(major_of(document.version)) or instance.partition("-")[0] != major_of(document.version):
        return f"its name does not begin with its version ({major_of(document.version)})"
    if not is_unit(document.unit):
        return f"{document.unit[:200]!r} is no unit that starts it"
    return user_fault(document.user) or files_fault(document)


def files_fault(document: PostgresqlCluster) -> str:
    """Given what was collected, return in words which of its files is not put into a data directory, "" if all may."""
    names = [record.file.removeprefix(f"{FOLDER}/") for record in document.configuration]
    return settings_fault((*names, *dict(document.links)))


def user_fault(user: str) -> str:
    """Return in words that no server may run as a user, "" if one may."""
    return "" if _USER.fullmatch(user) and user != "root" else f"{user[:200]!r} is no user that it may run as"


def settings_fault(names: Iterable[str]) -> str:
    """Given names in a data directory, return in words which is no file of settings, "" if all may be."""
    wrong = next((name for name in names if name.partition("/")[0] in _NO_SETTINGS or not name.isprintable()), "")
    return f"{wrong[:200]!a} is no file of settings" if wrong else ""


def is_unit(unit: str) -> bool:
    """Return whether a unit may be a server's own."""
    return _UNIT.fullmatch(unit) is not None and not is_own(unit)


def may_hold_programs(folder: str) -> bool:
    """Return whether a folder of the MASTER's may be looked into for the programs of a server."""
    good = _PATH.fullmatch(folder) is not None and os.path.normpath(folder) == folder
    return good and not any(lies_in(folder, each) for each in _NOT_KEPT)


def major_of(version: str) -> str:
    """Given PostgreSQL's number of its version (150018, 90624), return the major version (15, 9.6)."""
    number = int(version)
    return str(number // 10_000) if number >= 100_000 else f"{number // 10_000}.{number // 100 % 100}"
