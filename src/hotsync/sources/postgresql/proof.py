"""What proves that nothing changed in a PostgreSQL cluster since it was dumped.

Whatever a dump shows is changed by a transaction, and the commit of each goes into the write-ahead log, also where its
rows do not (unlogged tables). So while the log stands still nothing was committed. Three things need care:
* A commit is in the log a moment before others see it: so the state is only told while no transaction that writes is
  open, and the open ones are asked for after the log's position. (`pg_current_snapshot` does not show all of them.)
* Sequences go on for 32 numbers before they write to the log again: their values are part of the state.
* A hot standby has no log of its own, and its sequences are ahead of those of its primary: nothing is proven of it.
* Checkpoints write to the log although nothing changed: records between two positions are looked at (`pg_waldump`).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hotsync.errors import CommandFailed
from hotsync.sources.postgresql.cluster import Login, ask
from hotsync.system.command import run

_ASKED = """
SELECT json_build_array(
  (SELECT system_identifier FROM pg_control_system())::text, (SELECT timeline_id FROM pg_control_checkpoint())::text,
  extract(epoch FROM pg_postmaster_start_time())::text, current_setting('data_directory'));
SELECT pg_current_wal_insert_lsn();
SELECT (SELECT count(*) FROM pg_stat_activity WHERE backend_xid IS NOT NULL) + (SELECT count(*) FROM pg_prepared_xacts);
"""
_SEQUENCES = """SELECT coalesce(json_agg(json_build_array(schemaname, sequencename, last_value)
  ORDER BY schemaname, sequencename), '[]') FROM pg_sequences"""
_UNLOGGED = "SELECT count(*) FROM pg_class WHERE relkind = 'S' AND relpersistence = 'u'"
_FLUSHED = "SELECT pg_wal_lsn_diff(pg_current_wal_flush_lsn(), '{}') >= 0"
_END = """SELECT system_identifier || ' ' || CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn()
  ELSE pg_current_wal_insert_lsn() END FROM pg_control_system()"""
_RECORD = re.compile(r"^rmgr: (\w+) .*? lsn: [0-9A-F/]+, .*?desc: (\w+)")
_HARMLESS = frozenset(
    {
        ("XLOG", "CHECKPOINT_ONLINE"), ("XLOG", "CHECKPOINT_REDO"), ("XLOG", "SWITCH"), ("XLOG", "NOOP"),
        ("XLOG", "FPI_FOR_HINT"), ("Standby", "RUNNING_XACTS"),
    }
)  # fmt: skip
_PAGE, _HEADERS = 8192, (24, 40)
"""The size of a page of the log, as PostgreSQL is built, and of a page's head: a short one, and the first of a file."""
_MOST = 4 * 1024 * 1024
"""So many bytes of the log are looked at; more than that were no checkpoints."""


@dataclass(frozen=True, slots=True)
class Position:
    """A cluster's run (its identity, and when its server was started), and where its log ends."""

    run: str
    directory: str
    lsn: str


def read_position(login: Login) -> Position | None:
    """Return where the log of a cluster ends, None while a transaction is open, or where that cannot be told, as on a
    hot standby."""
    try:
        lines = ask(login, _ASKED).splitlines()
        identity = json.loads(lines[0])
    except (CommandFailed, ValueError, IndexError):
        return None
    if len(lines) != 3 or lines[2] != "0":
        return None
    return Position(" ".join(identity[:3]), identity[3], lines[1])


def read_end(login: Login) -> str:
    """Return a cluster's identity and where its log ends now, in one word each: of a hot standby, up to where it has
    applied that of its primary. Raise CommandFailed or ValueError."""
    identifier, _, lsn = ask(login, _END).partition(" ")
    return f"{identifier} {without_header(lsn)}"


def without_header(lsn: str) -> str:
    """Given where the next record would go, return where the last one ended, as a standby tells it that has applied it.

    They differ where a page is full (or a segment was switched): the next record goes behind the next page's header.
    Raise ValueError.
    """
    number = number_of(lsn)
    number -= number % _PAGE if number % _PAGE in _HEADERS else 0
    return f"{number >> 32:X}/{number & 0xFFFFFFFF:X}"


def read_sequences(login: Login, databases: Sequence[str]) -> str | None:
    """Return a hash over all sequences of these databases, None if some are written down nowhere."""
    hashed = hashlib.sha256()
    try:
        for database in databases:
            if ask(login, _UNLOGGED, database) != "0":
                return None
            hashed.update(json.dumps((database, ask(login, _SEQUENCES, database))).encode())
    except CommandFailed:
        return None
    return hashed.hexdigest()


def state_of(position: Position, sequences: str) -> str:
    """Return the state of a cluster as it is kept."""
    return json.dumps({"run": position.run, "lsn": position.lsn, "sequences": sequences}, sort_keys=True)


def is_unchanged(login: Login, known: str, now: Position, databases: Sequence[str]) -> bool:
    """Given the state that is kept and the position now, return whether nothing was committed in between."""
    try:
        before = json.loads(known)
        same_run, start, sequences = before["run"] == now.run, str(before["lsn"]), before["sequences"]
    except (ValueError, KeyError, TypeError):
        return False
    if not same_run or (start != now.lsn and not _only_checkpoints(login, start, now)):
        return False
    return bool(read_sequences(login, databases) == sequences)


def _only_checkpoints(login: Login, start: str, now: Position) -> bool:
    try:
        if not 0 < number_of(now.lsn) - number_of(start) <= _MOST or not _is_flushed(login, now.lsn):
            return False
        argv = [login.tool("pg_waldump"), f"--path={Path(now.directory) / 'pg_wal'}", f"--start={start}"]
        listed = run([*argv, f"--end={now.lsn}"], user=login.user, env=login.environment, cwd="/").text
    except (CommandFailed, ValueError):
        return False
    return are_harmless(listed)


def _is_flushed(login: Login, lsn: str) -> bool:
    """Return whether the log lies on the disk up to a position; its writer gets there within a fraction of a second."""
    for _ in range(5):
        if ask(login, _FLUSHED.format(lsn)) == "t":
            return True
        ask(login, "SELECT pg_sleep(0.3)")
    return False


def are_harmless(listed: str) -> bool:
    """Given the lines of pg_waldump, return whether all records are of kinds that change nothing that a dump shows."""
    lines = [line for line in listed.splitlines() if line.strip()]
    found = [_RECORD.match(line) for line in lines]
    return bool(lines) and all(match is not None and (match[1], match[2]) in _HARMLESS for match in found)


def number_of(lsn: str) -> int:
    """Given a position as PostgreSQL writes it ("16/B374D848"), return it as a number; raise ValueError."""
    high, _, low = lsn.partition("/")
    return (int(high, 16) << 32) + int(low, 16)
