"""Which processes are database servers: by the kernel's names of their programs, or by what a virtual machine runs."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from hotsync.system.processes import everyone

NEVER_DUMPED = frozenset((
    "mongod", "influxd", "clickhouse-serv", "couchdb", "cockroach", "neo4j", "elasticsearch", "opensearch",
    "rabbitmq", "mysql",
))  # fmt: skip
"""Database servers that HotSync dumps nowhere (15 letters of each)."""
SERVERS = NEVER_DUMPED | {"mariadbd", "mysqld", "postgres", "postmaster", "redis-server", "valkey-server", "slapd"}
"""What is a database server in a container."""
_OWN = "/hotsync-"
"""What stands in the cgroup of a server that is HotSync's own: the SLAVE's, confined."""
_RUN_BY = {
    "beam.smp": (
        (re.compile(rb"\0-progname\0couchdb\0|/couchdb\0"), "couchdb"),
        (re.compile(rb"\0-s\0rabbit\0boot\0"), "rabbitmq"),
    ),
    "java": (
        (re.compile(rb"\0(?:org|com)\.neo4j\.server\."), "neo4j"),
        (re.compile(rb"\borg\.elasticsearch\.bootstrap\."), "elasticsearch"),
        (re.compile(rb"\borg\.opensearch\.bootstrap\."), "opensearch"),
    ),
}
"""What tells in its command line which server a virtual machine runs."""
_MYSQL, _DICTIONARY = "mysql", "/mysql.ibd"
"""MySQL's dictionary (8.0 and newer), which it has open as long as it runs; MariaDB's servers have none, and some are
called mysqld, too."""


def running(proc: Path) -> Iterator[tuple[Path, str, str]]:
    """Return all processes but those of HotSync's own servers: the folder in /proc, the server's name (of others the
    program's), and what its `cgroup` says."""
    for folder, program, cgroup in everyone(proc):
        if _OWN not in cgroup:
            yield folder, _server(folder, program), cgroup


def _server(folder: Path, program: str) -> str:
    if program == "mysqld" and _has_open(folder, _DICTIONARY):
        return _MYSQL
    for told, server in _RUN_BY.get(program, ()):
        try:
            line = b"\0" + (folder / "cmdline").read_bytes()
        except OSError:
            return program  # it has ended meanwhile
        if told.search(line):
            return server
    return program


def _has_open(folder: Path, ending: str) -> bool:
    """Return whether a process has a file open whose path ends like that."""
    with suppress(OSError):
        for number in os.listdir(folder / "fd"):
            with suppress(OSError):
                if os.readlink(folder / "fd" / number).endswith(ending):
                    return True
    return False
