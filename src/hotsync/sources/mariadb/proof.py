"""What proves that nothing changed in a MariaDB server: all that a dump of it shows, without reading the rows.

Rows: InnoDB writes each change of a page to its log first, so while the log's end (the LSN) stands still, no row of an
InnoDB table was written. A transaction counts from its commit on, which is in the log a moment before others see it:
so the state is only told while no transaction that writes is open. A server with a table of another engine is not
asked. Everything else (tables' forms, next numbers, views, routines, triggers, events) is cheap to read: a dump
without rows must hold the very statements that the last dump held.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from hotsync.errors import CommandFailed
from hotsync.sources.mariadb.client import ask
from hotsync.sources.mariadb.dump import without_rows
from hotsync.sources.mariadb.sqldump import Definitions
from hotsync.sources.mariadb.sqlpieces import pieces
from hotsync.sources.source import Dataset
from hotsync.sources.stream import output_of

_ASKED = """
SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA NOT IN
  ('information_schema', 'performance_schema', 'sys', 'mysql') AND ENGINE <> 'InnoDB';
SELECT VARIABLE_VALUE FROM information_schema.GLOBAL_STATUS WHERE VARIABLE_NAME = 'INNODB_LSN_CURRENT';
SELECT SLEEP(0.25);
SELECT COUNT(*) FROM information_schema.INNODB_TRX
  WHERE trx_id <> 0 AND trx_mysql_thread_id <> CONNECTION_ID();
SELECT VARIABLE_VALUE FROM information_schema.GLOBAL_STATUS WHERE VARIABLE_NAME = 'INNODB_LSN_CURRENT';
SELECT CONCAT(@@datadir, '|', @@pid_file);
"""
# the list of transactions may be a tenth of a second old: the sleep makes it younger than the first LSN


def read_rows_state(dataset: Dataset) -> str | None:
    """Given a server, return what is another text as soon as a row is another; None if nothing proves that now."""
    try:
        answers = [row[0] for row in ask(dataset, _ASKED)]
    except CommandFailed:
        return None  # a server that does not know these words
    if len(answers) != 6:
        return None
    others, before, _, writing, after, places = answers
    process = _process(places)
    if others != "0" or writing != "0" or before != after or not before.isdigit() or not process:
        return None
    return f"{process} lsn {before}"


def read_definitions(argv: Sequence[str], stall_seconds: float) -> str:
    """Given the command of a dump, return what `Definitions` says of a dump made now; raise CommandFailed."""
    definitions = Definitions()
    if argv[-1] == "--":
        return definitions.hexdigest()  # no databases
    with closing(output_of(without_rows(argv), stall_seconds=stall_seconds)) as chunks:
        for kind, data in pieces(chunks):
            definitions.add(kind, data)
    return definitions.hexdigest()


def _process(places: str) -> str:
    """Return what tells one run of the server from any other: process, its start, and the boot; "" if unknown."""
    directory, _, pid_file = places.partition("|")
    try:
        pid = int((Path(directory) / pid_file).read_text())
        stat = Path(f"/proc/{pid}/stat").read_text()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except (OSError, ValueError):
        return ""
    started = stat.rpartition(")")[2].split()[19]  # field 22: ticks since the boot
    return f"process {pid} started {started} boot {boot}"
