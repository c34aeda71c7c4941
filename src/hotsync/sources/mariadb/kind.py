"""What kind of server answers: MariaDB, which is dumped, or MySQL (Oracle's, Percona's), whose dumps are others.

MySQL's client and dump program are called the same, know other options, and its accounts are written in other words.
From 8.0 on its files are copied in a pause of its service (frozen/). An older one, or what only calls itself MySQL, is
named and refused; its files are never copied as they lie.
"""

from __future__ import annotations

import re
import socket
from contextlib import suppress
from pathlib import Path

from hotsync.errors import CommandFailed, SourceError
from hotsync.sources.mariadb.client import ask, is_mariadb, server_version
from hotsync.sources.source import Dataset
from hotsync.system.paths import Paths

_GREETING = re.compile(rb"...\x00\x0a([\x20-\x7e]{1,60})\x00", re.DOTALL)
"""The first packet of a server: its length, number 0, protocol 10, and the version."""
_SECONDS = 5.0
_DICTIONARY, _ARIA = "mysql.ibd", "aria_log_control"
"""What MySQL makes in a data directory from 8.0 on and MariaDB never, and what MariaDB makes and MySQL never."""
_USUAL = "/var/lib/mysql"
_HINT = (
    "Have it dumped by a plugin in /etc/hotsync.d (mysqldump --single-transaction --routines --events --triggers "
    "--set-gtid-purged=OFF --all-databases), then: config setprop hotsync DumpedByPlugin {name}"
)


def is_mysql(paths: Paths, dataset: Dataset) -> bool:
    """Return whether a server, also one that does not run, is MySQL 8.0 or newer: another room has its files.

    One in whose folder both have worked is asked what it is.
    """
    folders = [Path(folder) for folder in dataset.directories] or [paths.at(_USUAL)]
    return any((folder / _DICTIONARY).is_file() and not (folder / _ARIA).exists() for folder in folders)


def mariadb_version(dataset: Dataset) -> str:
    """Given a server, return its version; raise SourceError if it is not MariaDB, CommandFailed if it does not say."""
    try:
        version = server_version(dataset)
    except CommandFailed:
        # who may not log in still hears what greets him: the login of a MySQL server is nothing to repair for us
        version = greeted_version(dataset)
        if not version or is_mariadb(version):
            raise
        raise _refused(dataset, "MySQL", version) from None
    if not is_mariadb(version):
        raise _refused(dataset, _product(dataset), version)
    return version


def greeted_version(dataset: Dataset) -> str:
    """Return the version with which a server greets whoever connects, "" if none does."""
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(_SECONDS)
        connection.connect(dataset.socket)
        match = _GREETING.match(connection.recv(4096))
        return match[1].decode("ascii") if match else ""
    return ""


def _product(dataset: Dataset) -> str:
    """Return what a server that is not MariaDB calls itself."""
    with suppress(CommandFailed):
        if "percona" in ask(dataset, "SELECT @@version_comment;")[0][0].lower():
            return "Percona Server"
    return "MySQL"


def _refused(dataset: Dataset, product: str, version: str) -> SourceError:
    reason = f"it is {product} {version}, which HotSync cannot carry"
    return SourceError(dataset=dataset.name, reason=reason, hint=_HINT.format(name=dataset.name))
