"""A MASTER's MariaDB server on the SLAVE as a replica: how it is started, how far it is, how it ends.

It runs on the data directory that production will use. What makes it a replica are arguments of its command line, and
files there whose names only those arguments give: the production unit finds nothing of it.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from hotsync.backends.waiting_servers import WaitingServer
from hotsync.errors import CommandFailed, RestoreFailed
from hotsync.sources.documents import MariadbInstance
from hotsync.sources.mariadb import forward as mariadb_forward
from hotsync.sources.mariadb import waiting as mariadb_waiting
from hotsync.sources.mariadb.client import ask, client, detail
from hotsync.sources.mariadb.databases import make_durable
from hotsync.sources.mariadb.find import NAME
from hotsync.sources.mariadb.guard import ACCOUNT
from hotsync.sources.mariadb.login import StreamLogin
from hotsync.sources.mariadb.positions import Position, covers, parse_gtids, parse_position
from hotsync.sources.source import Dataset
from hotsync.sources.spool import open_plain
from hotsync.system import files
from hotsync.system.command import run
from hotsync.system.paths import Paths

OWNER = "mysql"
"""Whose servers can follow, and who alone gets to the socket that leads to the MASTER."""
SOCKET = "mysqld.sock"
MARK = "hotsync-standby"
"""A file in the data directory: what lies there is HotSync's copy of its MASTER's server, made from the dump that it
names the position of."""
_MARK = b"HotSync's copy of its MASTER's server\n"
_OURS = ("hotsync-*", "multi-hotsync-*")
"""The second: the server's list of named connections, whose name it makes from --master-info-file."""
_PID, _UNCLEAN, _RELAY = "hotsync-standby.pid", "hotsync-unclean", "hotsync-relay"
_PROMOTE_SECONDS = 600
_STANDING_SECONDS = 10.0
_LOST = 1236
_THREADS = 4
_MOVING = """
SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_TYPE = 'BASE TABLE' AND ENGINE NOT IN ('InnoDB', 'ROCKSDB')
  AND TABLE_SCHEMA NOT IN ('information_schema', 'performance_schema', 'mysql', 'sys');
"""
_STANDING = """
SELECT CONCAT('=', @@gtid_slave_pos);
SELECT COALESCE(UNIX_TIMESTAMP(VARIABLE_VALUE), 0) FROM information_schema.GLOBAL_STATUS
  WHERE VARIABLE_NAME = 'SLAVE_LAST_HEARTBEAT' AND VARIABLE_VALUE <> '';
"""


def upstream_socket(paths: Paths, instance: str) -> Path:
    """Return the socket that leads to the MASTER's server of this name, while that is streamed."""
    return paths.streams / f"{NAME}@{instance}" / SOCKET


@dataclass(frozen=True, slots=True)
class Standby:
    """One server: its name ("default"), the user that owns it, its data directory, the socket that leads to the
    MASTER's, and the folder of the waiting server."""

    instance: str
    user: str
    data: Path
    upstream: Path
    folder: Path

    @property
    def name(self) -> str:
        """Return the dataset's name."""
        return f"{NAME}/{self.instance}"

    @property
    def server(self) -> str:
        """Return the name of its waiting server."""
        return f"{NAME}@{self.instance}"

    @property
    def dataset(self) -> Dataset:
        """Return how to reach the standby itself."""
        return mariadb_waiting.dataset_of(self.instance, self.folder)

    @property
    def offered(self) -> bool:
        """Return whether the MASTER offers to stream it, now."""
        return self.upstream.exists()

    @property
    def is_ours(self) -> bool:
        """Return whether what lies in its place is a copy of the MASTER's that was not promoted."""
        return self._mark()[: len(_MARK)] == _MARK

    @property
    def made_from(self) -> Position | None:
        """Return the position of the dump that the copy was made from, None where there is no copy."""
        return parse_position(self._mark()[len(_MARK) :].decode("ascii", "replace").strip("\n"))

    @property
    def ended_uncleanly(self) -> bool:
        """Return whether it ended in the middle of its work, and was not looked at since."""
        return (self.data / _UNCLEAN).exists()

    def _mark(self) -> bytes:
        try:
            with open_plain(self.data / MARK) as mark:
                return mark.read(4096)
        except OSError:
            return b""

    def mark(self, position: Position) -> None:
        """Say, durably, that what lies here is our copy; raise OSError."""
        owner = self.data.stat()
        files.write_atomic(
            self.data / MARK, _MARK + f"{position}\n".encode(), mode=0o600, owner=(owner.st_uid, owner.st_gid)
        )


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a standby is. `received` and `applied` are places in the MASTER's binary log.

    `connected`: it hears the MASTER now; `heard`: it did since it was started, last at `told_at` (the clock here).
    `behind`: seconds between the last change that is applied and now, None while it is not connected.
    """

    connected: bool
    heard: bool
    applies: bool
    received: str
    applied: str
    behind: int | None
    told_at: float
    receive_error: tuple[int, str] = (0, "")
    apply_error: str = ""

    @property
    def has_all_received(self) -> bool:
        """Return whether everything that came is applied."""
        return covers(self.applied, self.received)

    @property
    def lost(self) -> bool:
        """Return whether the MASTER does not have any more what is missing here."""
        return self.receive_error[0] == _LOST

    def as_of(self, now: float, clock_difference: float = 0.0) -> float:
        """Given the time here and how far the MASTER's clock is ahead, return the moment that the standby shows, by the
        MASTER's clock; 0 where it is not known."""
        if self.heard and self.has_all_received:
            return min(self.told_at, now) + clock_difference
        return now + clock_difference - self.behind if self.behind is not None else 0.0


def parse_status(text: str) -> dict[str, str]:
    """Given what `SHOW SLAVE STATUS\\G` prints, return its fields; an error's further lines are no fields."""
    found: dict[str, str] = {}
    for match in re.finditer(r"^ *([A-Z][A-Za-z_]+): ?(.*)$", text, re.MULTILINE):
        found.setdefault(match[1], match[2])
    return found


def parse_standing(status: dict[str, str], applied: str, told_at: float) -> Standing:
    """Given those fields, and what else was asked, return how far the standby is; raise ValueError."""
    if not status:
        raise ValueError("it follows nobody")
    behind = status.get("Seconds_Behind_Master", "NULL")
    for place in (status.get("Gtid_IO_Pos", ""), applied):
        parse_gtids(place)
    return Standing(
        status.get("Slave_IO_Running") == "Yes",
        bool(status.get("Master_Log_File")),
        status.get("Slave_SQL_Running") == "Yes",
        status.get("Gtid_IO_Pos", ""),
        applied,
        int(behind) if behind.isdigit() else None,
        told_at,
        (int(status.get("Last_IO_Errno", "0") or 0), status.get("Last_IO_Error", "")),
        status.get("Last_SQL_Error", "") if status.get("Last_SQL_Errno", "0") != "0" else "",
    )


def read_standing(standby: Standby) -> Standing:
    """Return how far a running standby is; raise CommandFailed or ValueError if it does not say."""
    status = _status(standby)
    # an empty answer would be no line
    applied, *beats = (row[0] for row in ask(standby.dataset, _STANDING, timeout=_STANDING_SECONDS))
    return parse_standing(status, applied[1:], max([*map(float, beats), *_arrivals(standby)], default=0.0))


def _status(standby: Standby) -> dict[str, str]:
    words = [word for word in client(standby.dataset, loading=False) if word != "--skip-column-names"]
    return parse_status(run(words, input=b"SHOW SLAVE STATUS\\G\n", timeout=_STANDING_SECONDS).text)


def _arrivals(standby: Standby) -> list[float]:
    """Return when something was written down last that came from the MASTER."""
    found: list[float] = []
    for path in standby.data.glob(f"{_RELAY}.[0-9]*"):
        with suppress(FileNotFoundError):
            found.append(path.stat().st_mtime)
    return found


def server_of(standby: Standby, document: MariadbInstance) -> WaitingServer:
    """Given a standby and what is told of the MASTER's server, return the server that waits; raise RestoreFailed."""
    plain = mariadb_waiting.server_of(document, standby.instance, standby.data, standby.user, standby.folder)
    position = parse_position(document.position)
    kept = [word for word in plain.argv if not word.startswith(("--pid-file=", "--innodb-flush-log-at-trx-commit="))]
    argv = (
        sys.executable, "-I", "-S", str(Path(mariadb_forward.__file__)), str(standby.upstream),
        str(_port_file(standby)), "--", *kept,
        # its own file, which is gone after an end in good order
        f"--pid-file={standby.data / _PID}",
        f"--server-id={(position.server_id if position else 0) % (2**32 - 1) + 1}",
        f"--relay-log={_RELAY}", "--master-info-file=hotsync-master.info",
        "--relay-log-info-file=hotsync-relay-log.info", "--relay-log-recovery=ON", "--read-only",
        "--slave-net-timeout=10", "--slave-max-allowed-packet=1G", f"--slave-parallel-threads={_THREADS}",
        # the accounts are those of the last generation
        "--replicate-wild-ignore-table=mysql.%", "--replicate-wild-ignore-table=sys.%",
        "--innodb-flush-log-at-trx-commit=2",
    )  # fmt: skip
    return WaitingServer(plain.name, plain.user, argv, plain.writes, {}, in_background=False, needs_loopback=True)


def _port_file(standby: Standby) -> Path:
    return standby.folder / "socket/port"


def note_unclean_end(standby: Standby) -> None:
    """Before a standby is started: if it ended in the middle of its work, remember it; raise OSError."""
    if (standby.data / _PID).exists():
        files.write_atomic(standby.data / _UNCLEAN, b"", mode=0o600)


def check_clean(standby: Standby) -> None:
    """Raise RestoreFailed if a standby that runs ended uncleanly before, and has tables that may not be whole now."""
    if not standby.ended_uncleanly:
        return
    if ask(standby.dataset, _MOVING) != [["0"]]:
        raise RestoreFailed(dataset=standby.name, reason="it ended in the middle, with tables without transactions")
    (standby.data / _UNCLEAN).unlink()


def begin_at(standby: Standby, position: Position) -> None:
    """Given a server that runs and holds exactly a dump, make it a copy that goes on from there.

    Raise CommandFailed or OSError.
    """
    parse_gtids(position.gtids)
    ask(standby.dataset, f"SET GLOBAL gtid_slave_pos = '{position.gtids}';")
    make_durable(standby.dataset)
    standby.mark(position)


def follow(standby: Standby, login: StreamLogin) -> None:
    """Make a standby that runs follow the MASTER, from where it is; raise CommandFailed, OSError or ValueError."""
    port = int(_port_file(standby).read_text("ascii"))
    # in a statement, never in arguments
    ask(
        standby.dataset,
        f"STOP SLAVE;\nCHANGE MASTER TO MASTER_HOST = '127.0.0.1', MASTER_PORT = {port}, MASTER_USER = '{ACCOUNT}',"
        f" MASTER_PASSWORD = '{login.password}', MASTER_SSL = 0, MASTER_USE_GTID = slave_pos,"
        " MASTER_HEARTBEAT_PERIOD = 1, MASTER_CONNECT_RETRY = 2;\nSTART SLAVE;\n",
    )


def promote(standby: Standby, events: Iterable[tuple[str, str, str]], seconds: int = _PROMOTE_SECONDS) -> None:
    """Make a running standby a server of its own, all that it received applied; done already is fine.

    `events` are those that were not enabled on the MASTER: database, name and state. Once it has been stopped cleanly,
    the production unit can start on its directory. Raise RestoreFailed.
    """
    try:
        _apply_the_rest(standby, seconds)
        ask(standby.dataset, "STOP SLAVE;\nRESET SLAVE ALL;\nSET GLOBAL gtid_slave_pos = '';\n" + event_states(events))
        make_durable(standby.dataset)
        _remove(standby, keep_running=True)
    except CommandFailed as error:
        raise RestoreFailed(dataset=standby.name, reason=detail(error)) from error
    except OSError as error:
        raise RestoreFailed(dataset=standby.name, reason=str(error)) from error


def _apply_the_rest(standby: Standby, seconds: int) -> None:
    status = _status(standby)
    if not status:
        return
    ask(standby.dataset, "STOP SLAVE IO_THREAD;")
    received = _status(standby).get("Gtid_IO_Pos", "")
    parse_gtids(received)
    if status.get("Slave_SQL_Running") != "Yes" or not received:
        return  # it was started by a promotion that was cut: it holds what it held before
    waited = ask(standby.dataset, f"SELECT MASTER_GTID_WAIT('{received}', {int(seconds)});", timeout=seconds + 60.0)
    if waited != [["0"]]:
        reason = _status(standby).get("Last_SQL_Error") or f"it is still applying changes after {seconds} seconds"
        raise RestoreFailed(dataset=standby.name, reason=reason)


def event_states(events: Iterable[tuple[str, str, str]]) -> str:
    """Given the events that were not enabled on the MASTER, return what gives each here its state there.

    A replica holds back whatever the MASTER made or changed meanwhile, whatever its state was.
    """
    known = tuple(events)
    disabled = _any_of((base, name) for base, name, state in known if state == "DISABLED")
    theirs = _any_of((base, name) for base, name, state in known if state == "SLAVESIDE_DISABLED")
    # not ALTER EVENT: that makes us its definer
    return (
        f"UPDATE mysql.event SET status = IF({disabled}, 'DISABLED', 'ENABLED')\n"  # noqa: S608 - names as hex
        f"  WHERE status = 'SLAVESIDE_DISABLED' AND NOT ({theirs});\n"
    )


def _any_of(names: Iterable[tuple[str, str]]) -> str:
    return " OR ".join(f"(db = {_text(base)} AND name = {_text(name)})" for base, name in names) or "FALSE"


def _text(name: str) -> str:
    return f"CONVERT(X'{name.encode('utf-8', 'surrogateescape').hex()}' USING utf8)"


def give_up(standby: Standby) -> None:
    """Take away what makes a data directory a copy of ours, whose server does not run; raise OSError."""
    _remove(standby, keep_running=False)


def _remove(standby: Standby, *, keep_running: bool) -> None:
    """Remove our files, the mark last: as long as it is there, what was cut begins again."""
    for path in sorted(path for pattern in _OURS for path in standby.data.glob(pattern) if path.name != MARK):
        if not (keep_running and path.name == _PID):
            path.unlink(missing_ok=True)
    (standby.data / MARK).unlink(missing_ok=True)
    files.sync_directory(standby.data)


def databases_in(standby: Standby) -> frozenset[str]:
    """Return the databases of a standby that runs, besides the server's own; raise CommandFailed."""
    return frozenset(row[0] for row in ask(standby.dataset, "SHOW DATABASES;")) - mariadb_waiting.SYSTEM


def is_server(standby: Standby) -> bool:
    """Return whether a server's data directory lies in its place."""
    return os.path.isdir(standby.data) and mariadb_waiting.is_server(standby.data)
