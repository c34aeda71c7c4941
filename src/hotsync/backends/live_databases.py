"""Database servers that nobody dumps: those in containers, and on this host the kinds that HotSync does not know."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from hotsync.system.processes import sees_our_root

_KNOWN = frozenset(("mariadbd", "mysqld", "postgres", "postmaster", "redis-server", "valkey-server", "slapd"))
_OTHERS = frozenset(("mongod", "influxd", "clickhouse-serv", "couchdb", "cockroach", "neo4j"))
_NUMBER = re.compile(r"[0-9a-f]{64}")
_OWN = "hotsync-"


@dataclass(frozen=True, slots=True, order=True)
class LiveDatabase:
    """A database server whose files are copied while it writes them; `container` is "" for one of this host."""

    program: str
    container: str = ""

    @property
    def where(self) -> str:
        """Return which one it is, in a person's words."""
        return f"{self.program} in container {self.container}" if self.container else self.program


REASON = (
    "its files are copied while they are written, which is no sure copy: have it dumped by a plugin in /etc/hotsync.d"
    " (for example by docker exec ... mariadb-dump)"
)


def read_live_databases(root: Path, proc: Path | None = None) -> tuple[LiveDatabase, ...]:
    """Return the database servers that run on the host with this root and that nobody dumps, each once.

    Whatever runs in containers here is none of a root's that is only a folder.
    """
    if proc is None and root != Path("/"):
        return ()
    return tuple(sorted(set(_found(root, proc or Path("/proc")))))


def _found(root: Path, proc: Path) -> Iterator[LiveDatabase]:
    for folder in proc.iterdir():
        if not folder.name.isdigit():
            continue
        try:
            program = (folder / "comm").read_text("utf-8", "replace").rstrip("\n")
            if program not in _KNOWN and program not in _OTHERS:
                continue
            cgroup = (folder / "cgroup").read_text("utf-8", "surrogateescape")
        except OSError:
            continue  # it has ended meanwhile
        if f"/{_OWN}" in cgroup:
            continue  # the SLAVE's own, confined
        if not sees_our_root(folder):
            yield LiveDatabase(program, _container(root, cgroup))
        elif program in _OTHERS:
            yield LiveDatabase(program)


def _container(root: Path, cgroup: str) -> str:
    """Given the cgroup of a process in a container, return the container's name, or its number where none is kept."""
    number = _NUMBER.search(cgroup)
    if number is None:
        return "of a name that is not known"
    config = root / "var/lib/docker/containers" / number[0] / "config.v2.json"
    with suppress(OSError, ValueError, KeyError, TypeError):
        return str(json.loads(config.read_bytes())["Name"]).lstrip("/")
    return number[0][:12]
