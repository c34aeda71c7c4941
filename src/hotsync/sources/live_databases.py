"""Database servers that nobody dumps, and whose files are copied live: kinds that HotSync does not know, and others."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from hotsync.sources.frozen.find import read_servers
from hotsync.system.processes import sees_our_root

_OTHERS = frozenset(("mongod", "influxd", "clickhouse-serv", "couchdb", "cockroach", "neo4j"))
_OWN = "hotsync-"

REASON = (
    "its files are copied while they are written, which is no sure copy: have it dumped by a plugin in /etc/hotsync.d"
    " (for example by docker exec ... mariadb-dump)"
)


def read_live_databases(root: Path, *, pausing: bool, proc: Path | None = None) -> tuple[str, ...]:
    """Return the names of the database servers on the host with this root whose files are copied live, each once.

    With `pausing` those in containers are none of them, as far as these are known as such. What runs here is none of a
    root's that is only a folder.
    """
    if proc is None and root != Path("/"):
        return ()
    inside = (server.name for server in read_servers(root, proc) if server.apart or not pausing)
    return tuple(sorted({*_on_host(proc or Path("/proc")), *inside}))


def _on_host(proc: Path) -> Iterator[str]:
    for folder in proc.iterdir():
        if not folder.name.isdigit():
            continue
        try:
            program = (folder / "comm").read_text("utf-8", "replace").rstrip("\n")
            cgroup = (folder / "cgroup").read_text("utf-8", "surrogateescape") if program in _OTHERS else ""
        except OSError:
            continue  # it has ended meanwhile
        if program in _OTHERS and f"/{_OWN}" not in cgroup and sees_our_root(folder):
            yield program
