"""Will an ejabberd that is promoted here have the name that its database knows? Asked hours before, by readiness.

The name is in /etc/ejabberd/ejabberdctl.cfg, and after a promotion that file is the MASTER's, as all of /etc. So the
two differ only where that file says something else than when the database was collected (the name was changed, and the
server has not been able to give a backup since), or where a rule keeps this server's own file, or carries none (then
the usual name holds). A name with a host in it (ejabberd@localhost, ejabberd@mail) is taken as it stands, whatever the
host is called. To one without, Erlang adds the host's name: that is the MASTER's after a promotion, unless this server
keeps its own network, and with it its name.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from contextlib import suppress
from pathlib import Path

from hotsync.engine.replica_tree import read_text
from hotsync.errors import RestoreFailed
from hotsync.model.promotion import DatabaseDump
from hotsync.sources import documents
from hotsync.sources.ejabberd import source as ejabberd
from hotsync.sources.ejabberd.documents import SERVER, EjabberdServer
from hotsync.sources.ejabberd.server import CONTROL_FILE, parse_settings


def control_text(tree: Path, root: Path, kept: Collection[str]) -> str | None:
    """Given the replica's tree, this host's root and what stays its own there, return the control file of an ejabberd
    after a promotion: "" for none, None where a link leads elsewhere (then nothing can be said)."""
    path = Path(CONTROL_FILE)
    ways = [path, *list(path.parents)[:-1]]
    place = root if any(str(way) in kept for way in ways) else tree
    return None if any((place / way).is_symlink() for way in reversed(ways)) else read_text(place, str(path))


def nodes_differing(
    spool: Path, dumps: Iterable[DatabaseDump], text: str | None, master_host: str, host_after: str
) -> tuple[str, ...]:
    """Given the dumps, that control file, and what the MASTER is and this host will be called, return in words which
    server would have another name than its database knows."""
    if text is None:
        return ()
    said: list[str] = []
    for dump in dumps:
        if dump.engine != ejabberd.NAME:
            continue
        with suppress(RestoreFailed):  # a document that cannot be read is told by the check of the dumps
            theirs = documents.load(spool / dump.engine / dump.instance / SERVER, EjabberdServer).node
            ours = parse_settings(text).node
            first = ""
            if theirs == ours and "@" not in theirs and master_host and host_after:
                theirs, ours = (f"{theirs}@{host.partition('.')[0]}" for host in (master_host, host_after))
                first = f" (give this server the name {master_host} first)"
            if theirs != ours:
                said.append(f"{dump.name}: the server here will be {ours}, and the database belongs to {theirs}{first}")
    return tuple(said)
