"""What the MASTER told about itself in the last generation, as a promotion needs it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import unquote

from hotsync.engine.replica_tree import read_text
from hotsync.errors import ReplicaError, RestoreFailed
from hotsync.model.facts import NetworkFacts, QuotaFact
from hotsync.model.handmade import handmade_of
from hotsync.model.production import is_own
from hotsync.model.promotion import DatabaseDump
from hotsync.model.selection import Rule
from hotsync.sources.mariadb import source as mariadb
from hotsync.sources.postgresql import newer as postgresql_newer
from hotsync.sources.postgresql import source as postgresql
from hotsync.sources.registry import LOADED_AT_REST, Loadable, loadables
from hotsync.state.facts import load_facts
from hotsync.state.rules import load_rules
from hotsync.system.paths import Paths

_SERVICE = re.compile(r"[A-Za-z0-9:_.][A-Za-z0-9:_.@\\-]{0,200}\.service")
_HOST_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]{0,63}")
_UNIT_STEM = re.compile(r"[A-Za-z0-9][A-Za-z0-9:_.\\@-]{0,200}")


@dataclass(frozen=True, slots=True)
class Told:
    """The MASTER as the last generation knows it; what was not told is empty."""

    network: NetworkFacts = field(default_factory=NetworkFacts)
    packages: frozenset[str] = frozenset()
    active_units: tuple[str, ...] = ()
    handmade: frozenset[str] = frozenset()
    mounts: tuple[tuple[str, str], ...] = ()
    rules: tuple[Rule, ...] = ()
    dumps: tuple[DatabaseDump, ...] = ()
    quotas: tuple[QuotaFact, ...] = ()


def spool_of_tree(paths: Paths) -> Path:
    """Return where the replica holds the MASTER's spool."""
    return paths.replica / "tree/var/lib/hotsync/spool"


def read_told(paths: Paths) -> Told:
    """Return what the last generation tells of the MASTER; what cannot be read is empty (see below for why)."""
    tree = paths.replica / "tree"
    dumps: tuple[DatabaseDump, ...] = ()
    with suppress(RestoreFailed):
        dumps = tuple(_dumps(loadables(spool_of_tree(paths))))
    rules: tuple[Rule, ...] = ()
    with suppress(ReplicaError):
        rules = load_rules(tree)
    try:
        facts = load_facts(tree)
    except ReplicaError:
        return Told(NetworkFacts(host_name=_host_name(tree)), rules=rules, dumps=dumps)
    return Told(
        network=replace(facts.network, host_name=_host_name(tree) or facts.network.host_name),
        packages=frozenset(package.name for package in facts.packages),
        active_units=tuple(dict.fromkeys(units_here(facts.active_units, dumps))),
        handmade=handmade_of(facts.units),
        mounts=tuple((mount.point, mount.kind) for mount in facts.mounts),
        rules=rules,
        dumps=dumps,
        quotas=facts.quotas,
    )


def _dumps(found: Sequence[Loadable]) -> Iterator[DatabaseDump]:
    # another server has its settings in its data directory, which only its own version reads
    clusters = [each.instance for each in found if each.engine == postgresql.NAME and not each.directory]
    serving = postgresql_newer.serving(clusters, postgresql_newer.installed_versions())
    for each in found:
        server = serving.get(each.instance, each.instance) if each.engine == postgresql.NAME else each.instance
        yield DatabaseDump(
            each.engine,
            each.instance,
            unit_of(each.engine, server, each.unit),
            each.digest,
            each.size,
            each.version,
            each.directory,
            each.engine in LOADED_AT_REST,
            server,
        )


def units_here(units: Iterable[str], dumps: Sequence[DatabaseDump]) -> Iterator[str]:
    """Given the MASTER's units, return those that do their work here: a newer cluster has a unit of its own."""
    other = {unit_of(dump.engine, dump.instance): dump.unit for dump in dumps if dump.server not in ("", dump.instance)}
    return (other.get(unit, unit) for unit in units)


def check_spool(paths: Paths) -> None:
    """Raise RestoreFailed or ReplicaError if the collected databases or the MASTER's rules cannot be read."""
    loadables(spool_of_tree(paths))
    load_rules(paths.replica / "tree")


def dumps_fault(paths: Paths) -> str:
    """Return why the collected databases cannot be read, "" if they can."""
    try:
        loadables(spool_of_tree(paths))
    except RestoreFailed as error:
        return error.sentence
    return ""


def rules_fault(paths: Paths) -> str:
    """Return why the MASTER's rules cannot be read, "" if they can or it told none."""
    try:
        load_rules(paths.replica / "tree")
    except ReplicaError as error:
        return error.sentence
    return ""


def facts_fault(paths: Paths) -> str:
    """Return why it is not known what the MASTER was, "" if it told."""
    try:
        told = load_facts(paths.replica / "tree")
    except ReplicaError as error:
        return error.sentence
    return "" if told.active_units else "the last generation does not say which packages and units the MASTER had"


def unit_of(engine: str, instance: str, told: str = "") -> str:
    """Given a database server as the spool names it, return the unit that runs it; `told` is what the MASTER says.

    Those that are loaded at rest have their unit's name; it comes from the MASTER, and nothing else is made of it.
    """
    if _SERVICE.fullmatch(told) and not is_own(told):
        return told
    if engine in LOADED_AT_REST:
        stem = unquote(instance)
        return f"{stem if _UNIT_STEM.fullmatch(stem) else engine}.service"
    if engine == postgresql.NAME:
        return f"postgresql@{instance}.service"
    if engine == mariadb.NAME and instance == "default":
        return "mariadb.service"
    return f"mariadb@{instance}.service"


def _host_name(tree: Path) -> str:
    words = read_text(tree, "etc/hostname", 4096).split()
    return words[0] if words and _HOST_NAME.fullmatch(words[0]) else ""
