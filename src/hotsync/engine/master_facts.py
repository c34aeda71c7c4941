"""What the MASTER told about itself in the last generation, as a promotion needs it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from pathlib import Path

from hotsync.engine.replica_tree import read_text
from hotsync.errors import ReplicaError, RestoreFailed
from hotsync.model.facts import NetworkFacts
from hotsync.model.promotion import DatabaseDump
from hotsync.sources import mariadb, postgresql
from hotsync.sources.registry import loadables
from hotsync.state.facts import load_facts
from hotsync.system.paths import Paths

_HOST_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]{0,63}")


@dataclass(frozen=True, slots=True)
class Told:
    """The MASTER as the last generation knows it; what was not told is empty."""

    network: NetworkFacts = field(default_factory=NetworkFacts)
    packages: frozenset[str] = frozenset()
    active_units: tuple[str, ...] = ()
    mounts: tuple[tuple[str, str], ...] = ()
    dumps: tuple[DatabaseDump, ...] = ()


def spool_of_tree(paths: Paths) -> Path:
    """Return where the replica holds the MASTER's spool."""
    return paths.replica / "tree/var/lib/hotsync/spool"


def read_told(paths: Paths) -> Told:
    """Return what the last generation tells of the MASTER; what cannot be read is empty (see `check_told`)."""
    tree = paths.replica / "tree"
    dumps: tuple[DatabaseDump, ...] = ()
    try:
        found = loadables(spool_of_tree(paths))
        dumps = tuple(DatabaseDump(f.engine, f.instance, unit_of(f.engine, f.instance), f.digest) for f in found)
    except RestoreFailed:
        pass
    try:
        facts = load_facts(tree)
    except ReplicaError:
        return Told(NetworkFacts(host_name=_host_name(tree)), dumps=dumps)
    return Told(
        network=replace(facts.network, host_name=_host_name(tree) or facts.network.host_name),
        packages=frozenset(package.name for package in facts.packages),
        active_units=facts.active_units,
        mounts=tuple((mount.point, mount.kind) for mount in facts.mounts),
        dumps=dumps,
    )


def check_told(paths: Paths) -> str:
    """Return why the collected databases or facts cannot be read, "" if they can."""
    try:
        loadables(spool_of_tree(paths))
        load_facts(paths.replica / "tree")
    except (ReplicaError, RestoreFailed) as error:
        return error.sentence
    return ""


def unit_of(engine: str, instance: str) -> str:
    """Given a database server as the spool names it, return the unit that runs it."""
    if engine == postgresql.NAME:
        return f"postgresql@{instance}.service"
    if engine == mariadb.NAME and instance == "default":
        return "mariadb.service"
    return f"mariadb@{instance}.service"


def _host_name(tree: Path) -> str:
    words = read_text(tree, "etc/hostname", 4096).split()
    return words[0] if words and _HOST_NAME.fullmatch(words[0]) else ""
