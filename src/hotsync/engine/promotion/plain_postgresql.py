"""What PostgreSQL servers of the last generation that are no clusters of pg_lsclusters need of this host: a promotion
puts them in place as the MASTER tells, so what it tells is looked at before."""

from __future__ import annotations

import os
import pwd
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from hotsync.engine.replica_tree import names_in, read_plain, read_text
from hotsync.errors import RestoreFailed
from hotsync.model.promotion import DatabaseDump
from hotsync.model.unit_names import template_of
from hotsync.sources import documents
from hotsync.sources.documents import CLUSTER, PostgresqlCluster
from hotsync.sources.postgresql import source as postgresql
from hotsync.sources.postgresql.make import data_fault, programs_of
from hotsync.sources.postgresql.place import major_of, may_hold_programs, place_fault, told_fault
from hotsync.sources.unit_files import units_here
from hotsync.system.paths import Paths

_ANYBODY = "nobody"
_OF_ALL_CLUSTERS = "postgresql.service"
_EXTENSIONS = ("share/extension", "share/postgresql/extension", "share/pgsql/extension")


def plain_lacking(paths: Paths, tree: Path, spool: Path, dumps: Iterable[DatabaseDump]) -> tuple[str, ...]:
    """Given the dumps, return in words which of these servers cannot be put in place on this host, and why."""
    found = ((dump, _fault(paths, tree, document, dump.instance)) for dump, document in _plain(spool, dumps))
    return tuple(f"{dump.name}: {fault}" for dump, fault in found if fault)


def plain_extensions_lacking(spool: Path, dumps: Iterable[DatabaseDump]) -> tuple[str, ...]:
    """Given the dumps, return in words which extensions of these servers' databases are not installed here.

    Where the programs come with the data itself nothing is said.
    """
    said: list[str] = []
    for dump, document in _plain(spool, dumps):
        major = major_of(document.version)
        programs = Path(programs_of(major, "", _ANYBODY) or "/nonexistent/bin")
        folders = [f"/usr/share/postgresql/{major}/extension"] if programs.parts[:4] == _DEBIANS else []
        folders += [os.fspath(programs.parent / each) for each in _EXTENSIONS]
        here = {file.stem for folder in folders for file in Path(folder).glob("*.control")}
        for database in document.databases if here else ():
            said += [f"{name} ({dump.name}/{database.name})" for name in database.extensions if name not in here]
    return tuple(said)


_DEBIANS = ("/", "usr", "lib", "postgresql")


def _plain(spool: Path, dumps: Iterable[DatabaseDump]) -> Iterator[tuple[DatabaseDump, PostgresqlCluster]]:
    for dump in dumps:
        if dump.engine == postgresql.NAME and dump.directory:
            with suppress(RestoreFailed):  # told by the check of the dumps
                yield dump, documents.load(spool / dump.engine / dump.instance / CLUSTER, PostgresqlCluster)


def _fault(paths: Paths, tree: Path, document: PostgresqlCluster, instance: str) -> str:
    if fault := told_fault(document, instance):
        return fault
    major, place = major_of(document.version), Path(os.path.realpath(paths.at(document.place)))
    if paths.root == Path("/") and (fault := place_fault(os.fspath(place))):
        return f"{document.place} leads elsewhere here: {fault}"
    if unit_fault := _unit_fault(paths, tree, document.unit):
        return unit_fault
    if not programs_of(major, document.programs, _ANYBODY) and not _brings_programs(tree, document):
        return f"PostgreSQL {major} is not installed here"
    try:
        owner = pwd.getpwnam(document.user).pw_uid
    except KeyError:
        brought = re.search(
            rf"^{re.escape(document.user)}:[^:]*:([0-9]+):", read_text(tree, "etc/passwd"), re.MULTILINE
        )
        return "" if brought and int(brought[1]) else f"there is no user {document.user} here"
    return data_fault(place, major, owner) if owner else f"{document.user} is root here"


def _unit_fault(paths: Paths, tree: Path, unit: str) -> str:
    """Return in words why a unit will start no such server here, "" if it will."""
    names = {unit, template_of(unit)}
    if names & set(names_in(tree, "etc/systemd/system")):
        return ""
    scripts = {*names_in(tree, "etc/init.d"), *names_in(tree, "etc/rc.d/init.d")}
    if unit == _OF_ALL_CLUSTERS and paths.at("/usr/bin/pg_lsclusters").exists():
        return f"{unit} starts the clusters of pg_createcluster here, and no such server"
    if units_here(paths, names) or unit.removesuffix(".service") in scripts:
        return ""
    return f"{unit} is not here, and the MASTER's /etc does not bring it"


def _brings_programs(tree: Path, document: PostgresqlCluster) -> bool:
    """Return whether the MASTER's own programs travel as files (/opt)."""
    folder = document.programs.strip("/")
    return may_hold_programs(document.programs) and read_plain(tree, f"{folder}/initdb") is not None
