"""Which of the MASTER's databases a waiting SLAVE has loaded beforehand, so that a promotion loads only what is newer.

A server of HotSync's own runs on the very data directory that production will use, while it loads and no longer
(warm_load.py). What it then holds is written down together with a fingerprint of the directory; whoever touches it
later makes that void, and the promotion loads everything.
"""

from __future__ import annotations

import logging
import os
import pwd
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from hotsync.backends import waiting_servers
from hotsync.engine.promotion.loads import data_folder
from hotsync.engine.promotion.master_facts import spool_of_tree
from hotsync.engine.standby.standbys import is_standby
from hotsync.engine.standby.warm_room import has_halves, room_lacking
from hotsync.errors import CommandFailed, RestoreFailed
from hotsync.model.promotion import DatabaseDump
from hotsync.model.warm import Budget, WarmLoad, WarmServer
from hotsync.sources import documents
from hotsync.sources.documents import CLUSTER, INSTANCE, MariadbInstance, PostgresqlCluster
from hotsync.sources.mariadb import source as mariadb
from hotsync.sources.mariadb import waiting as mariadb_waiting
from hotsync.sources.postgresql import form as postgresql_form
from hotsync.sources.postgresql import source as postgresql
from hotsync.sources.postgresql import waiting as postgresql_waiting
from hotsync.sources.server_settings import postgresql_arguments
from hotsync.sources.source import NOTHING_LOADED, Dataset, Loaded
from hotsync.state.warm import load_warm, note_warm, untouched
from hotsync.system.paths import Paths

_log = logging.getLogger("hotsync.warm")
Collected = MariadbInstance | PostgresqlCluster
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,100}")


def wanted_loads(paths: Paths, dumps: Iterable[DatabaseDump], budget: Budget) -> tuple[WarmLoad, ...]:
    """Given the dumps of the last generation, return those that are not loaded beforehand as they are now."""
    if not budget.minutes:
        return ()
    found: list[WarmLoad] = []
    for dump in dumps:
        if dump.engine not in (mariadb.NAME, postgresql.NAME):
            continue  # the others are put in place in a moment
        if is_standby(paths, dump):
            continue  # it follows the MASTER by itself
        server = _held(paths, dump)
        if server is not None and server.digest == dump.digest:
            continue
        directory = _directory(paths, dump)
        left = _bytes_left(paths, dump, server)
        hindrance = _hindrance(paths, dump, directory, left, budget)
        found.append(WarmLoad(dump.engine, dump.instance, directory, left, hindrance))
    return tuple(found)


def _directory(paths: Paths, dump: DatabaseDump) -> Path:
    return paths.at(data_folder(paths.replica / "tree", dump))


def _held(paths: Paths, dump: DatabaseDump) -> WarmServer | None:
    """Return what the server of a dump holds already, None if nobody knows."""
    server = load_warm(paths).get(dump.name)
    return server if server is not None and untouched(server, _directory(paths, dump)) else None


def _hindrance(paths: Paths, dump: DatabaseDump, directory: Path, left: int, budget: Budget) -> str:
    """Return in words why a server cannot be loaded beforehand, "" if it can."""
    if dump.engine == postgresql.NAME and dump.directory:
        return "pg_createcluster did not make it; it is dumped only"
    if not _NAME.fullmatch(dump.instance):
        return "its name is no name of a unit"
    if dump.served_by != dump.instance:
        return f"a server of another major version will serve it ({dump.served_by})"
    is_server = mariadb_waiting.is_server if dump.engine == mariadb.NAME else postgresql_waiting.is_server
    if not is_server(directory):
        return f"its data directory {directory} is not here yet"
    if dump.size > budget.largest:
        return f"its dumps are larger than WarmGigabytes ({budget.largest / 2**30:.0f})"
    known = load_warm(paths).get(dump.name)
    lacking = room_lacking(paths, directory, left, known)
    if lacking and not has_halves(known, directory):  # else the load begins with dropping those
        return lacking
    try:
        document = document_of(spool_of_tree(paths) / dump.engine / dump.instance, dump.engine)
    except RestoreFailed as error:
        return error.sentence
    return hindrance_of(paths, document, dump.instance, directory)


def hindrance_of(paths: Paths, document: Collected, instance: str, directory: Path) -> str:
    """Return in words why what was collected of a server cannot be loaded beforehand, "" if it can."""
    if isinstance(document, MariadbInstance):
        said = mariadb_waiting.hindrance(document, instance)
        empty = mariadb_waiting.empty_places(document, paths.root)
        if empty:
            said += f"; {', '.join(empty)} holds nothing here: let MariaDB start here once with the MASTER's settings"
    else:
        said = "it has tablespaces" if document.spaces else ""
    return said or _leads_out(directory)


def _leads_out(directory: Path) -> str:
    """Return in words that a data directory has parts elsewhere: a server that waits cannot write there, and nobody
    would see what becomes of them."""
    for folder in (directory, directory / "pg_tblspc"):
        with suppress(FileNotFoundError), os.scandir(folder) as found:
            links = sorted(item.path for item in found if item.is_symlink())
            if links:
                return f"{links[0]} leads out of the data directory of this server"
    return ""


def other_forms(paths: Paths, dumps: Iterable[DatabaseDump]) -> dict[str, str]:
    """Given the dumps of the last generation, return the clusters here whose files have another form than the MASTER's,
    by name, with what differs; a promotion will use them as they are."""
    found: dict[str, str] = {}
    for dump in dumps:
        if dump.engine != postgresql.NAME or dump.directory or dump.served_by != dump.instance:
            continue
        directory = _directory(paths, dump)
        if is_standby(paths, dump) or not postgresql_waiting.is_server(directory):
            continue
        with suppress(RestoreFailed):  # told by the check of the dumps
            document = documents.load(spool_of_tree(paths) / dump.engine / dump.instance / CLUSTER, PostgresqlCluster)
            if said := other_form(directory, document, dump.instance):
                found[dump.name] = said
    return found


def other_form(directory: Path, document: PostgresqlCluster, instance: str) -> str:
    """Given a cluster's data directory here, return in words what of its form is not as the MASTER's, "" if nothing is,
    or nobody can tell, or none can be made of that form here."""
    try:
        postgresql_arguments(document.settings, f"{postgresql.NAME}/{instance}")
        user = pwd.getpwuid(directory.stat().st_uid).pw_name
        here = postgresql_form.read_form(directory, user, instance.partition("-")[0])
    except (RestoreFailed, CommandFailed, OSError, KeyError, ValueError):
        return ""
    return postgresql_form.difference(here, document.settings)


def bytes_left(paths: Paths, dump: DatabaseDump) -> int:
    """Given a dump, return how many bytes of it a promotion now would load (all of them, if in doubt)."""
    if is_standby(paths, dump):
        return 0
    return _bytes_left(paths, dump, _held(paths, dump))


def _bytes_left(paths: Paths, dump: DatabaseDump, server: WarmServer | None) -> int:
    if server is None:
        return dump.size
    try:
        document = document_of(spool_of_tree(paths) / dump.engine / dump.instance, dump.engine)
    except RestoreFailed:
        return dump.size
    digests = documents.digests(document)
    return sum(
        _size(database)
        for database in document.databases
        if server.databases.get(database.name) != digests[database.name]
    )


def _size(database: documents.MariadbDatabase | documents.PostgresqlDatabase) -> int:
    if isinstance(database, documents.MariadbDatabase):
        return database.content.size
    return sum(file.size for file in database.content)


def document_of(folder: Path, engine: str) -> Collected:
    """Given the folder of a collected server, return what is told of it; raise RestoreFailed."""
    if engine == mariadb.NAME:
        return documents.load(folder / INSTANCE, MariadbInstance)
    return documents.load(folder / CLUSTER, PostgresqlCluster)


def hand_over(paths: Paths, engine: str, instance: str, epoch: int) -> None:
    """Before a promotion starts a server: end the waiting one, and note whether its files are as it left them."""
    name = f"{engine}/{instance}"
    if _NAME.fullmatch(instance):
        waiting_servers.stop(paths, f"{engine}@{instance}")
    server = load_warm(paths).get(name)
    if server is None or server.handed_over == epoch:
        return
    if untouched(server, Path(server.directory)):
        note_warm(paths, name, replace(server, handed_over=epoch))
    else:
        _log.warning("%s was touched since it was loaded beforehand: all of it is loaded again", name)
        note_warm(paths, name, None)


def handed_over(paths: Paths, dataset: Dataset, epoch: int, digests: Mapping[str, str]) -> Loaded:
    """Given a server of production that runs, and the digests of the dumps that are loaded into it, return what it
    holds: from before this promotion started it, and what this promotion has loaded since, which is kept with that."""
    server = load_warm(paths).get(dataset.name)
    if server is None or server.handed_over != epoch:
        if not dataset.directories:
            return NOTHING_LOADED
        fresh = WarmServer(os.path.realpath(dataset.directories[0]), handed_over=epoch)
        return _kept(paths, dataset.name, fresh, digests)
    if server.directory not in {os.path.realpath(place) for place in dataset.directories}:
        _log.warning("%s keeps its files elsewhere than where they were loaded beforehand", dataset.name)
        return NOTHING_LOADED
    if dataset.source == mariadb.NAME and (said := mariadb_waiting.elsewhere_now(dataset)):
        _log.warning("%s does not use what was loaded beforehand: %s", dataset.name, said)
        return NOTHING_LOADED
    _log.info("%s: loaded beforehand: %s", dataset.name, ", ".join(map(repr, sorted(server.databases))))
    return _kept(paths, dataset.name, server, digests)


def _kept(paths: Paths, name: str, server: WarmServer, digests: Mapping[str, str]) -> Loaded:
    """Return what a server holds, with what keeps that up to date: a promotion that is cut, or stopped by one database,
    loads no other again."""
    holds = dict(server.databases)

    def note(database: str, digest: str) -> None:
        if holds.get(database, "") != digest:  # what nobody knew to be whole need not be written down as half
            holds[database] = digest
            note_warm(paths, name, replace(server, databases=dict(holds)))

    return Loaded(dict(holds), lambda database: note(database, ""), lambda database: note(database, digests[database]))
