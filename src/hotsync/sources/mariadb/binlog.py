"""The binary log of a MASTER's MariaDB server: can it be streamed from, how much does it keep, and how that is bounded.

Only a log that exists because of HotSync is ever cut or removed; the administrator's own is his.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from hotsync.errors import CommandFailed
from hotsync.sources.mariadb.client import ask
from hotsync.sources.mariadb.guard import ACCOUNT
from hotsync.sources.mariadb.positions import covers, parse_position
from hotsync.sources.postgresql.slot import overrun
from hotsync.sources.source import Dataset
from hotsync.system.clock import SystemClock

LOG_NAME = "hotsync-bin"
"""What the log is called that HotSync has asked for."""

_LOOK = """
SELECT @@log_bin, @@server_id, @@binlog_format, COALESCE(@@log_bin_basename, ''), @@log_slave_updates, VERSION();
"""
_GALERA = "SHOW GLOBAL VARIABLES LIKE 'wsrep_on';"
_SENDERS = f"SELECT ID FROM information_schema.PROCESSLIST WHERE USER = '{ACCOUNT}';"  # noqa: S608 - a constant
_NOT_THERE = "ERROR 1094"
_PLACE = "SELECT CONCAT(@@server_id, ' ', @@gtid_binlog_pos);"
_LOOKS = 10
_LOOK_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Binlog:
    """What a server says of its binary log. `filters`: it leaves databases out. `follows`: it is a replica itself."""

    on: bool
    server_id: int
    format: str
    base: str
    logs_updates: bool
    filters: bool
    follows: bool
    galera: bool

    @property
    def is_ours(self) -> bool:
        """Return whether the log exists because HotSync asked for it."""
        return self.on and Path(self.base).name == LOG_NAME


def look(dataset: Dataset) -> Binlog:
    """Ask a server for its binary log; raise CommandFailed or ValueError."""
    row = ask(dataset, _LOOK)[0]
    filters = any(any(word not in ("", "NULL") for word in row[2:4]) for row in ask(dataset, "SHOW MASTER STATUS;"))
    galera = [row[1] for row in ask(dataset, _GALERA)] == ["ON"]
    follows = bool(ask(dataset, "SHOW ALL SLAVES STATUS;"))
    return Binlog(row[0] == "1", int(row[1]), row[2], row[3], row[4] == "1", filters, follows, galera)


def hindrance(binlog: Binlog) -> str:
    """Return in words why a server cannot be streamed, whatever is restarted; "" if it can."""
    if binlog.galera:
        return "it is a node of a Galera cluster"
    if binlog.follows and not (binlog.on and binlog.logs_updates):
        return "it is a replica itself, and does not log what it applies (log_slave_updates)"
    if not binlog.on:
        return ""
    if binlog.format != "ROW":
        return f"its binary log has the format {binlog.format}, not ROW (binlog_format)"
    if not binlog.server_id:
        return "its server_id is 0"
    return "its binary log leaves databases out (binlog_do_db, binlog_ignore_db)" if binlog.filters else ""


def is_followed(dataset: Dataset) -> bool:
    """Return whether somebody is logged in with our account; raise CommandFailed."""
    return bool(ask(dataset, _SENDERS))


def is_applied(dataset: Dataset, told: Callable[[], Mapping[str, str]]) -> bool:
    """Given what asks the SLAVE how far its replicas are, return whether the one of this server is connected, and has
    applied within some seconds everything that the server had logged when this began.

    What it has applied only the SLAVE knows; that it is connected this server sees. Raise CommandFailed or ValueError.
    """
    here = parse_position(ask(dataset, _PLACE)[0][0])
    for attempt in range(_LOOKS):
        if here is None or not is_followed(dataset):
            return False
        theirs = parse_position(told().get(dataset.name, ""))
        if theirs is None or theirs.server_id != here.server_id:
            return False
        if covers(theirs.gtids, here.gtids):
            return True
        if attempt < _LOOKS - 1:
            SystemClock().sleep(_LOOK_SECONDS)
    return False


def end_streams(dataset: Dataset) -> None:
    """End whatever our account is doing; raise CommandFailed."""
    for (number,) in ask(dataset, _SENDERS):
        try:
            ask(dataset, f"KILL CONNECTION {int(number)};")
        except CommandFailed as error:
            if _NOT_THERE not in error.stderr:
                raise


@dataclass(frozen=True, slots=True)
class Kept:
    """The files of a binary log, oldest first, with their lengths in bytes; the last one is written."""

    files: tuple[tuple[str, int], ...]

    @property
    def total(self) -> int:
        """Return all bytes."""
        return sum(size for _, size in self.files)

    def first_within(self, bound: int) -> str:
        """Return the oldest file that may stay, so that they are not more than `bound` bytes; the last one stays."""
        total, first = 0, self.files[-1][0]
        for name, size in reversed(self.files):
            total += size
            if total > bound:
                break
            first = name
        return first


def kept(dataset: Dataset) -> Kept:
    """Return what a server keeps of its binary log; raise CommandFailed or ValueError."""
    return Kept(tuple((row[0], int(row[1])) for row in ask(dataset, "SHOW BINARY LOGS;")))


def shorten(dataset: Dataset, base: str, keep_mb: int, *, gave_up: bool) -> tuple[str, bool]:
    """Given a server with a log of ours, keep it within its bound; return what is to be said, and whether what a SLAVE
    lacks is gone.

    The oldest files go; if nobody follows, or who follows is so far behind that they are still read, all of them.
    Raise CommandFailed, OSError or ValueError if nobody can tell.
    """
    now = kept(dataset)
    room = os.statvfs(Path(base).parent)
    over = overrun(now.total, keep_mb, room.f_bavail * room.f_frsize)
    followed = is_followed(dataset)
    if over is None or not now.files:
        return "", gave_up and not followed
    if followed:
        purge(dataset, now.first_within(over.bound))
        if kept(dataset).total <= over.bound:
            return "", False
        end_streams(dataset)  # it reads what should go
    ask(dataset, "FLUSH BINARY LOGS;")
    purge(dataset, kept(dataset).files[-1][0])
    if gave_up:
        return "", True
    return (
        f"The stream of {dataset.name} would keep {over.kept >> 20} MB of the binary log for the SLAVE, more than "
        f"{over.bound >> 20} MB: it is given up, and the SLAVE loads its dump anew when it is back",
        True,
    )


def purge(dataset: Dataset, first: str) -> None:
    """Remove all files of the log before this one; raise CommandFailed."""
    quoted = first.replace("\\", "\\\\").replace("'", "''")
    ask(dataset, f"PURGE BINARY LOGS TO '{quoted}';")


def empty(dataset: Dataset) -> None:
    """Begin the log anew: nobody is to follow it any more; raise CommandFailed."""
    end_streams(dataset)
    ask(dataset, "RESET MASTER;")


def remove_leftovers(directory: str) -> None:
    """Remove the files of a log of ours that no server writes any more; raise OSError."""
    for path in Path(directory).glob(f"{LOG_NAME}.*") if directory else ():
        if path.is_file() and not path.is_symlink():
            path.unlink()
