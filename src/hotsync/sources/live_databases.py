"""Database servers that nobody dumps, and whose files are copied live: kinds that HotSync does not know, and others."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from hotsync.sources.frozen.find import NEVER_DUMPED, OWN, Server
from hotsync.system.processes import PROC, named, sees_our_root

REASON = (
    "its files are copied while they are written, which is no sure copy: have it dumped by a plugin in /etc/hotsync.d"
    " (for example by docker exec ... mariadb-dump)"
)


def read_live_databases(
    root: Path, contained: Iterable[Server], *, pausing: bool, proc: Path | None = None
) -> tuple[str, ...]:
    """Given the servers in containers, return the names of the database servers on the host with this root whose files
    are copied live, each once.

    With `pausing` those in containers are none of them, as far as these are known as such. What runs here is none of a
    root's that is only a folder.
    """
    if proc is None and root != Path("/"):
        return ()
    here = named(NEVER_DUMPED, proc or PROC)
    on_host = {program for folder, program, cgroup in here if OWN not in cgroup and sees_our_root(folder)}
    return tuple(sorted(on_host | {server.name for server in contained if server.apart or not pausing}))
