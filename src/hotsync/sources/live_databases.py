"""Database servers that nobody dumps and nobody can pause: their files are copied while they are written."""

from __future__ import annotations

from collections.abc import Iterable

from hotsync.sources.frozen.find import Server

_REASON = (
    "its files are copied while they are written, which is no sure copy{why}: have it dumped by a plugin in"
    " /etc/hotsync.d (for example by docker exec ... mariadb-dump)"
)


def live_of(servers: Iterable[Server], *, pausing: bool) -> dict[str, str]:
    """Given the servers of this host, return those whose files are copied live, by name, each with the reason.

    With `pausing` it is those that cannot be paused, else all.
    """
    return {
        server.name: _REASON.format(why=f" ({server.fault})" if server.apart and server.fault else "")
        for server in servers
        if server.apart or not pausing
    }
