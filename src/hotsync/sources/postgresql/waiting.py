"""A PostgreSQL server that waits on a SLAVE: what it is started with, and how it is reached. Nothing here starts it."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from pydantic import TypeAdapter

from hotsync.backends.waiting_servers import WaitingServer, client_words
from hotsync.sources.documents import PostgresqlCluster
from hotsync.sources.postgresql.cluster import NAME, Login, ask_json, login_of
from hotsync.sources.source import Dataset

_PORT = 5432
_FIRST_OWN = 16384  # FirstNormalObjectId: databases below it are the cluster's own
_OWN = "SELECT coalesce(json_agg(datname), '[]') FROM pg_database WHERE oid >= 16384"
ALONE = {
    "listen_addresses": "", "ssl": "off", "logging_collector": "off", "log_destination": "stderr",
    "external_pid_file": "", "shared_preload_libraries": "", "session_preload_libraries": "",
    "local_preload_libraries": "", "jit": "off", "archive_mode": "off", "synchronous_standby_names": "",
    "autovacuum": "off", "shared_buffers": "128MB", "huge_pages": "try", "lc_messages": "C",
}  # fmt: skip
"""What keeps a server to itself, and lets it start on any host, whatever its data directory says (ALTER SYSTEM)."""
_LOADS = {
    **ALONE,
    "port": str(_PORT), "unix_socket_permissions": "0700", "fsync": "on",
    # what it holds is known only after it was stopped in good order
    "synchronous_commit": "off", "full_page_writes": "off", "wal_level": "minimal", "max_wal_senders": "0",
    "max_connections": "100", "max_wal_size": "4GB", "checkpoint_timeout": "30min",
}  # fmt: skip
_SUMMARIZES = 17
"""Since this version a server can be told to keep a summary of its log, which it cannot of a minimal one."""


def server_of(instance: str, directory: Path, user: str, folder: Path) -> WaitingServer:
    """Given a cluster's name, its data directory here, and the folder for its socket, return the server that waits."""
    settings = {
        **_LOADS,
        "config_file": str(folder / "postgresql.conf"),
        "hba_file": str(folder / "pg_hba.conf"),
        "ident_file": str(folder / "pg_ident.conf"),
        "unix_socket_directories": str(folder / "socket"),
        "maintenance_work_mem": f"{_work_memory()}MB",
    }
    version = instance.partition("-")[0]
    if version.isascii() and version.isdigit() and int(version) >= _SUMMARIZES:
        settings["summarize_wal"] = "off"
    files = {
        # only an argument comes before what ALTER SYSTEM has left in the data directory
        "postgresql.conf": "# all settings are arguments of the command line\n",
        "pg_hba.conf": "local all all peer\n",
        "pg_ident.conf": "",
    }
    arguments = (word for name, value in settings.items() for word in ("-c", f"{name}={value}"))
    argv = (Login(user, "", 0, version).tool("postgres"), "-D", str(directory), *arguments)
    # SIGTERM would wait for clients that are on their way out
    return WaitingServer(f"{NAME}@{instance}", user, argv, (directory,), files, stop_signal="SIGINT")


def dataset_of(instance: str, user: str, folder: Path, dumps: Path) -> Dataset:
    """Return how the waiting cluster is reached, and its dumps are read: by programs that are confined as it is."""
    version = instance.partition("-")[0]
    plain = Dataset(NAME, instance, socket=str(folder / "socket"), port=_PORT, user=user, version=version)
    words = client_words(f"{NAME}@{instance}", user, dumps, login_of(plain).session)
    return replace(plain, confined=words)


def own_databases(dataset: Dataset, document: PostgresqlCluster) -> tuple[str, ...]:
    """Given a cluster that runs, return the databases that are this SLAVE's own; raise CommandFailed."""
    found = TypeAdapter(list[str]).validate_python(ask_json(login_of(dataset), _OWN))
    return tuple(sorted(set(found) - {database.name for database in document.databases}))


def is_server(directory: Path) -> bool:
    """Return whether a folder is a cluster's data directory."""
    return (directory / "PG_VERSION").is_file()


def is_fresh(directory: Path) -> bool:
    """Return whether a data directory holds no databases of anybody."""
    with os.scandir(directory / "base") as found:
        return all(not item.name.isdigit() or int(item.name) < _FIRST_OWN for item in found)


def _work_memory() -> int:
    """Return how many megabytes the making of an index may take: a sixteenth of this host's, at most 1 GiB."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 1024**2
    return max(64, min(memory // 16, 1024))
