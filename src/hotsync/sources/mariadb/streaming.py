"""What streaming needs on a MASTER's MariaDB server, made when it is asked for, and taken away again.

An account that can do nothing but replicate, with a password that only the two servers know; and, where the server has
no binary log, an option file of our own, which counts from the server's next restart on. Nothing here restarts it.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from hotsync.errors import CommandFailed
from hotsync.sources.mariadb import binlog as binlogs
from hotsync.sources.mariadb.binlog import LOG_NAME, Binlog
from hotsync.sources.mariadb.client import ask, detail, is_mariadb, server_version
from hotsync.sources.mariadb.find import NAME
from hotsync.sources.mariadb.guard import ACCOUNT
from hotsync.sources.source import Dataset
from hotsync.state.streaming import StreamedServer, load_streaming, note_streaming
from hotsync.system import files
from hotsync.system.paths import Paths

OPTIONS = "zz-hotsync-streaming.cnf"
FOLDERS = ("/etc/mysql/mariadb.conf.d", "/etc/my.cnf.d")
_TEXT = """\
# Written by HotSync, since `config setprop hotsync databases streaming` was asked for. It is removed when that is
# switched off; what it says counts from the server's next restart on. Change nothing here.
[{section}]
log_bin = {log}
server_id = {number}
binlog_format = ROW
sync_binlog = 1
max_binlog_size = 16M
expire_logs_days = 3
"""
_OTHER_UNIT = re.compile(r"mariadb@([A-Za-z0-9_.-]+)\.service")
_DEFAULT_ID = 1
_IS_THERE = f"SELECT 1 FROM mysql.user WHERE User = '{ACCOUNT}' AND Host = 'localhost';"  # noqa: S608 - a constant


def dataset_of(name: str, server: StreamedServer) -> Dataset:
    """Return how a server is reached that streaming was set up for."""
    return Dataset(NAME, name.partition("/")[2], socket=server.socket, unit=server.unit)


def fault_of(dataset: Dataset, others: Sequence[Dataset]) -> str:
    """Return in words why a server that runs cannot be streamed even after a restart, "" if it can.

    `others` are all servers of this host. Raise CommandFailed or ValueError.
    """
    version = server_version(dataset)
    if not is_mariadb(version):
        return f"it is MySQL {version}"
    binlog = binlogs.look(dataset)
    return binlogs.hindrance(binlog) or ("" if binlog.on else _section_fault(dataset, others))


def _section_fault(dataset: Dataset, others: Sequence[Dataset]) -> str:
    """Return why no option file can be written that this server reads, and no other one."""
    if not _OTHER_UNIT.fullmatch(dataset.unit) and dataset.unit != "mariadb.service":
        return f"it has no binary log, and HotSync does not know where {dataset.unit or 'it'} reads its settings"
    if not _OTHER_UNIT.fullmatch(dataset.unit) and len(others) > 1:
        return "it has no binary log, and the other servers of this host would read the settings for one too"
    return ""


def set_up(paths: Paths, dataset: Dataset, others: Sequence[Dataset]) -> str:
    """Make what a server lacks to be streamed; return in words what it still waits for, or why it cannot be.

    "" if it can be streamed now. Doing it again is fine. Raise CommandFailed, OSError or ValueError.
    """
    fault = fault_of(dataset, others)
    if fault:
        take_away(paths, dataset)
        return f"{dataset.name} is not streamed: {fault}. Its dumps go on"
    binlog = binlogs.look(dataset)
    known = load_streaming(paths).get(dataset.name)
    password = known.password if known else ""
    server = replace(
        known or StreamedServer("", ""), socket=dataset.socket, unit=dataset.unit,
        password=password or secrets.token_hex(16),
    )  # fmt: skip
    if not binlog.on or binlog.is_ours:
        folder = next((paths.at(place) for place in FOLDERS if paths.at(place).is_dir()), None)
        if folder is None:
            return f"{dataset.name} is not streamed: there is none of {', '.join(FOLDERS)}. Its dumps go on"
        server = replace(server, options=str(folder / options_name(dataset)), directory=_directory(dataset))
    note_streaming(paths, dataset.name, server)  # before anything is there, so that it can be taken away
    _make_account(dataset, server.password)
    if server.options and not Path(server.options).is_file():
        files.write_atomic(server.options, options_text(dataset, binlog).encode(), mode=0o644)
    return "" if binlog.on else f"{dataset.name} waits for a restart of {dataset.unit}"


def options_name(dataset: Dataset) -> str:
    """Return the name of our option file for a server."""
    other = _OTHER_UNIT.fullmatch(dataset.unit)
    return OPTIONS.replace(".cnf", f"-{other[1]}.cnf") if other else OPTIONS


def options_text(dataset: Dataset, binlog: Binlog) -> str:
    """Return our option file for a server that has no binary log; a server_id of the administrator's stays."""
    other = _OTHER_UNIT.fullmatch(dataset.unit)
    number = binlog.server_id if binlog.server_id > _DEFAULT_ID else secrets.randbelow(2**31) + 2**20
    section = f"mariadbd.{other[1]}" if other else "mariadbd"
    return _TEXT.format(section=section, log=LOG_NAME, number=number)


def _directory(dataset: Dataset) -> str:
    return ask(dataset, "SELECT @@datadir;")[0][0]


def _make_account(dataset: Dataset, password: str) -> None:
    """Make our account, unless it is there as it should be; the password itself is told to nobody, not even here."""
    name = f"'{ACCOUNT}'@'localhost'"
    hashed = native_hash(password)
    rows = ask(dataset, _IS_THERE)
    if rows and any(hashed in row[0] for row in ask(dataset, f"SHOW CREATE USER {name};")):
        return
    ask(
        dataset,
        "SET SESSION sql_log_bin = 0;\n"
        f"CREATE OR REPLACE USER {name} IDENTIFIED VIA mysql_native_password USING '{hashed}';\n"
        f"GRANT REPLICATION SLAVE ON *.* TO {name};\n",
    )


def native_hash(password: str) -> str:
    """Return what a server keeps of a password."""
    inner = hashlib.sha1(password.encode(), usedforsecurity=False).digest()
    return "*" + hashlib.sha1(inner, usedforsecurity=False).hexdigest().upper()


def take_away(paths: Paths, dataset: Dataset) -> str:
    """Take away what streaming has made on a server; return what is to be said, "" if nothing is.

    Doing it again is fine. A log of ours that the server still writes is begun anew, and noted: what is left of it goes
    once the server was started without it. Raise CommandFailed, OSError or ValueError.
    """
    known = load_streaming(paths).get(dataset.name)
    if known is None:
        return ""
    if known.options:
        Path(known.options).unlink(missing_ok=True)
    if not dataset.socket:
        return ""
    binlog = binlogs.look(dataset)
    first = bool(known.password)
    if first:
        binlogs.end_streams(dataset)
        ask(dataset, f"SET SESSION sql_log_bin = 0; DROP USER IF EXISTS '{ACCOUNT}'@'localhost';")
    if binlog.is_ours and known.options:
        binlogs.empty(dataset)
        note_streaming(paths, dataset.name, replace(known, password=""))
        end = f"its binary log ends with the next restart of {dataset.unit or 'the server'}"
        return f"{dataset.name} is not streamed any more; {end}" if first else ""
    if known.options and not binlog.on:
        binlogs.remove_leftovers(known.directory)
    note_streaming(paths, dataset.name, None)
    return f"{dataset.name} is not streamed any more" if first else ""


def tend(paths: Paths, name: str, server: StreamedServer, keep_mb: int) -> str:
    """Keep within its bound what a server keeps for the SLAVE; return what is to be said, "" if nothing is.

    `keep_mb` 0: it is not to be streamed any more. Raise CommandFailed, OSError or ValueError.
    """
    dataset = dataset_of(name, server)
    if not keep_mb:
        return take_away(paths, dataset)
    binlog = binlogs.look(dataset)
    if not binlog.is_ours or not server.options:
        return ""
    said, gave_up = binlogs.shorten(dataset, binlog.base, keep_mb, gave_up=server.gave_up)
    if gave_up != server.gave_up:
        note_streaming(paths, name, replace(server, gave_up=gave_up))
    return said


def tend_all(paths: Paths, keep_mb: int) -> list[str]:
    """Do the same for all servers that streaming was set up for; return what there is to say, also what went wrong."""
    said: list[str] = []
    for name, server in load_streaming(paths).items():
        try:
            said.append(tend(paths, name, server, keep_mb))
        except (CommandFailed, OSError, ValueError) as error:
            reason = detail(error) if isinstance(error, CommandFailed) else str(error)
            said.append(f"What {name} keeps for the SLAVE cannot be looked at: {reason}")
    return [sentence for sentence in said if sentence]


def can_be_streamed(dataset: Dataset) -> bool:
    """Return whether a server that was set up can be streamed now; raise CommandFailed or ValueError."""
    binlog = binlogs.look(dataset)
    return binlog.on and not binlogs.hindrance(binlog)
