"""The time zones that a MariaDB server knows by name, filled from this host's own: where the MASTER has any.

A server whose settings name one (`default_time_zone`) does not start without them. So they are filled before it starts,
by the server's own program in the form in which it fills a new data directory: no socket, no network, no option file.
"""

from __future__ import annotations

import pwd
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from hotsync.errors import CommandFailed, RestoreFailed
from hotsync.sources.documents import MariadbInstance
from hotsync.sources.mariadb.client import ask, client, detail, program
from hotsync.sources.mariadb.find import NAME
from hotsync.sources.server_settings import mariadb_arguments
from hotsync.sources.source import Dataset
from hotsync.sources.stream import feed, output_of

_ZONES = "/usr/share/zoneinfo"
_EMPTY = {"MAD": 8192, "MYD": 0}
"""How large the file of an empty table is, by its ending: of Aria (10.4 and newer) it has one page."""
_SECONDS = 600.0


def has_zones(dataset: Dataset) -> bool:
    """Return whether a server that runs knows time zones by name; raise CommandFailed."""
    return ask(dataset, "SELECT COUNT(*) > 0 FROM mysql.time_zone_name;") == [["1"]]


def fill(dataset: Dataset) -> None:
    """Let a server that runs know this host's time zones, unless it knows some; raise CommandFailed."""
    if not has_zones(dataset):
        feed([*client(dataset, loading=True), "mysql"], _statements(), stall_seconds=_SECONDS)


def fill_at_rest(document: MariadbInstance, instance: str, directory: Path) -> str:
    """Given a collected server and the data directory here of one that does not run, let it know this host's time
    zones, if the MASTER's knows any and this one none. Return in words why that failed, "" if it did not."""
    if not document.system.has_zones or not _are_lacking(directory):
        return ""
    try:
        user = pwd.getpwuid(directory.stat().st_uid).pw_name
        argv = [
            program("mariadbd", "mysqld"), "--no-defaults", "--bootstrap", f"--user={user}", f"--datadir={directory}",
            *mariadb_arguments(document.settings, f"{NAME}/{instance}"),
        ]  # fmt: skip
        feed(argv, chain([b"USE mysql;\n"], _statements()), stall_seconds=_SECONDS)
    except CommandFailed as error:
        return detail(error)
    except RestoreFailed as error:
        return str(error.facts["reason"])
    except (OSError, KeyError) as error:
        return str(error)
    return ""


def _are_lacking(directory: Path) -> bool:
    """Return whether a data directory plainly knows no time zones."""
    for ending, size in _EMPTY.items():
        path = directory / f"mysql/time_zone_name.{ending}"
        if path.is_file() and path.stat().st_size <= size:
            return True
    return False


def _statements() -> Iterator[bytes]:
    return output_of([program("mariadb-tzinfo-to-sql", "mysql_tzinfo_to_sql"), _ZONES], stall_seconds=_SECONDS)
