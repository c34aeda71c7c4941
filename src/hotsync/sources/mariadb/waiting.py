"""A MariaDB server that waits on a SLAVE: what it is started with, and how it is reached. Nothing here starts it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from hotsync.backends.waiting_servers import WaitingServer
from hotsync.errors import RestoreFailed
from hotsync.sources.documents import MariadbInstance
from hotsync.sources.mariadb.client import ask, program
from hotsync.sources.mariadb.find import NAME
from hotsync.sources.server_settings import MARIADB_QUESTION, mariadb_arguments, mariadb_places, mariadb_settings
from hotsync.sources.source import Dataset

SYSTEM = frozenset(("information_schema", "mysql", "performance_schema", "sys", "test"))
_SOCKET = "socket/mysqld.sock"
_LARGEST_POOL = 2 * 1024**3


def server_of(document: MariadbInstance, instance: str, directory: Path, user: str, folder: Path) -> WaitingServer:
    """Given a collected server, the data directory here, and the folder for its socket, return the server that waits.

    Of the MASTER's settings it has those that decide what its files look like; all others count in production only.
    Raise RestoreFailed if one of them is odd.
    """
    argv = (
        program("mariadbd", "mysqld"), "--no-defaults", f"--datadir={directory}", f"--socket={folder / _SOCKET}",
        f"--pid-file={folder / 'socket/pid'}", "--skip-networking", "--skip-log-bin", "--skip-slave-start",
        "--event-scheduler=OFF", "--local-infile=OFF", "--max-allowed-packet=1G",
        f"--secure-file-priv={folder / 'socket'}", f"--innodb-buffer-pool-size={_pool()}",
        # what it holds is known only after it was stopped in good order, so nothing is written twice before
        "--innodb-flush-log-at-trx-commit=0", *mariadb_arguments(document.settings, f"{NAME}/{instance}"),
    )  # fmt: skip
    return WaitingServer(f"{NAME}@{instance}", user, argv, (directory,), {})


def hindrance(document: MariadbInstance, instance: str) -> str:
    """Given a collected server, return in words why none that waits can make files for it, "" if one can."""
    places = mariadb_places(document.settings, document.directory)
    if places:
        return _elsewhere(places)
    try:
        mariadb_arguments(document.settings, f"{NAME}/{instance}")
    except RestoreFailed as error:
        return str(error.facts["reason"])
    return ""


def elsewhere_now(dataset: Dataset) -> str:
    """Given a server that runs, return in words what it keeps outside of its data directory; raise CommandFailed."""
    directory = ask(dataset, "SELECT @@datadir;")[0][0]
    return _elsewhere(mariadb_places(mariadb_settings(ask(dataset, MARIADB_QUESTION), directory), directory))


def _elsewhere(places: Mapping[str, str]) -> str:
    told = ", ".join(f"{name} is {place[:200]}" for name, place in places.items())
    return f"it keeps files outside of its data directory ({told})" if told else ""


def empty_places(document: MariadbInstance, root: Path) -> list[str]:
    """Given a collected server, return the folders besides its data directory that hold nothing below `root`: a server
    with the MASTER's settings does not start on files that were made without them."""
    places = mariadb_places(document.settings, document.directory).values()
    return sorted({place for place in places if not _holds_anything(root / place.lstrip("/"))})


def _holds_anything(folder: Path) -> bool:
    try:
        return bool(os.listdir(folder))
    except OSError:
        return False


def dataset_of(instance: str, folder: Path) -> Dataset:
    """Return how the waiting server is reached: root by its socket, whatever option files say."""
    return Dataset(NAME, instance, socket=str(folder / _SOCKET), own_login=True)


def own_databases(dataset: Dataset, document: MariadbInstance) -> tuple[str, ...]:
    """Given a server that runs, return the databases that are this SLAVE's own; raise CommandFailed."""
    theirs = SYSTEM | {database.name for database in document.databases}
    return tuple(sorted(row[0] for row in ask(dataset, "SHOW DATABASES;") if row[0] not in theirs))


def is_server(directory: Path) -> bool:
    """Return whether a folder is a server's data directory."""
    return (directory / "mysql").is_dir()


def is_fresh(directory: Path) -> bool:
    """Return whether a data directory holds no databases of anybody."""
    with os.scandir(directory) as found:
        return {item.name for item in found if item.is_dir(follow_symlinks=False)} <= SYSTEM | {"lost+found"}


def _pool() -> int:
    """Return how much memory it may have for its tables: an eighth of this host's, at most 2 GiB."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return max(128 * 1024**2, min(memory // 8, _LARGEST_POOL))
