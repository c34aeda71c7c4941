"""PostgreSQL servers that run and are no cluster of pg_lsclusters: made by initdb, on Red Hat's family, in /opt, /srv.

They are found by their processes. Nobody dumps them yet: each is a fault with its name, and its files are protected
from being copied while it writes them.
"""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterable, Iterator
from pathlib import Path

from hotsync.sources.instances import told_apart
from hotsync.sources.postgresql.cluster import NAME, with_tablespaces
from hotsync.sources.processes import Process, running
from hotsync.sources.source import Dataset
from hotsync.sources.spool import file_name

_PROGRAMS = ("postgres", "postmaster")
_OWN = "hotsync-"


def uncovered(clusters: Iterable[Dataset], proc: Path = Path("/proc")) -> tuple[Dataset, ...]:
    """Given the clusters that are known, return the other servers that run on this host, each with its fault."""
    known = {os.path.realpath(path) for cluster in clusters for path in cluster.directories}
    found: list[tuple[Dataset, str]] = []
    for process in running(_PROGRAMS, proc):
        if not process.unit.startswith(_OWN):
            for dataset in _server(process, proc):
                directory = dataset.directories[0]
                if os.path.realpath(directory) not in known:
                    found.append((dataset, directory))
    return tuple(with_tablespaces(dataset) for dataset in told_apart(found, ()))


def _server(process: Process, proc: Path) -> Iterator[Dataset]:
    """Return the server that a process is; those that it started for its clients are none."""
    try:
        directory = os.readlink(proc / str(process.pid) / "cwd")
        lines = Path(directory, "postmaster.pid").read_text("utf-8", "surrogateescape").splitlines()
        user = _name(Path(directory).stat().st_uid)
        version = Path(directory, "PG_VERSION").read_text("ascii", "replace").strip()
    except OSError:
        return  # it works from elsewhere, or has ended
    if not lines or lines[0].strip() != str(process.pid):
        return
    port, socket = (lines[number].strip() if len(lines) > number else "" for number in (3, 4))
    stem = process.unit.removesuffix(".service")
    fault = (
        f"the server in {directory} ({process.unit or f'process {process.pid}, no unit'}) was not made by"
        f" pg_createcluster, and HotSync cannot dump such a one yet; a plugin in /etc/hotsync.d can"
    )
    yield Dataset(
        NAME, file_name(stem or directory.strip("/")), socket=socket, port=int(port) if _is_port(port) else 0,
        user=user, version=version, unit=process.unit, fault=fault, directories=(directory,),
    )  # fmt: skip


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 5


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
