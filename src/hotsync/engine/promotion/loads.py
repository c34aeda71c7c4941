"""What the databases of the last generation need of this host: room, a server that is not older, locales."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from hotsync.backends import locales
from hotsync.engine.replica_tree import names_in, read_text
from hotsync.errors import CommandFailed, RestoreFailed
from hotsync.model.locale_names import lacking, parse_locale_gen
from hotsync.model.promotion import DatabaseDump
from hotsync.sources import documents
from hotsync.sources.documents import CLUSTER, INSTANCE, MariadbInstance, PostgresqlCluster
from hotsync.sources.ejabberd import server as ejabberd_server
from hotsync.sources.ejabberd import source as ejabberd
from hotsync.sources.mariadb import source as mariadb
from hotsync.sources.mariadb.client import is_mariadb, program
from hotsync.sources.mariadb.system_tables import is_library, libraries_of
from hotsync.sources.openldap import server as openldap_server
from hotsync.sources.openldap import source as openldap
from hotsync.sources.postgresql import source as postgresql
from hotsync.sources.postgresql.cluster import extensions_here, has_server
from hotsync.sources.postgresql.place import FOLDER as SETTINGS
from hotsync.sources.redis import load as redis_load
from hotsync.sources.redis import source as redis
from hotsync.sources.versions import series
from hotsync.system import command
from hotsync.system.paths import Paths

GROWTH = 1.5
"""How much larger than its dump a loaded database is at least (indexes, free space in pages, the log of the load).

Many indexes make it several times as large (seen: 2.5 with MariaDB, 5 with PostgreSQL, most of it its log); but to
refuse a promotion that would have fitted is worse than one that stops at a database and goes on when there is room.
"""
_MOST_LOCALES = 40
_MARIADB_FOLDERS = ("etc/mysql", "etc/mysql/conf.d", "etc/mysql/mariadb.conf.d", "etc/my.cnf.d")
_LC = re.compile(r"^\s*lc_[a-z]+\s*=\s*'?([^'\s#]+)", re.MULTILINE)


def loads(tree: Path, dumps: Iterable[DatabaseDump], left: Callable[[DatabaseDump], int]) -> list[tuple[str, int]]:
    """Given the dumps, and what tells how many bytes of each are to be loaded, return for each the folder that it is
    loaded into (relative), and the bytes that it takes."""
    return [(data_folder(tree, dump), int(left(dump) * GROWTH)) for dump in dumps]


def data_folder(tree: Path, dump: DatabaseDump) -> str:
    """Given a dump, return where its server keeps its data by the MASTER's configuration (relative); another place
    than the usual one counts."""
    if dump.at_rest:
        return _clean(dump.directory)
    if dump.engine == postgresql.NAME and not dump.directory:
        version, _, name = dump.served_by.partition("-")
        # a newer server has the usual place, whatever the MASTER's configuration says
        text = read_text(tree, f"etc/postgresql/{version}/{name}/postgresql.conf") if not _newer(dump) else ""
        return _setting(text, "data_directory") or f"var/lib/postgresql/{version}/{name}"
    if dump.directory.startswith("/") and ".." not in dump.directory.split("/"):
        return dump.directory.strip("/")
    files = [f"{folder}/{name}" for folder in _MARIADB_FOLDERS for name in names_in(tree, folder)]
    texts = (read_text(tree, file) for file in ("etc/my.cnf", *files) if file.endswith(".cnf"))
    return next((found for text in texts if (found := _setting(text, "datadir"))), "var/lib/mysql")


def _setting(text: str, name: str) -> str:
    found = re.findall(rf"^\s*{name}\s*=\s*['\"]?(/[^'\"\s#]*)", text, re.MULTILINE)
    return _clean(found[-1]) if found else ""


def _clean(path: str) -> str:
    return "" if ".." in path.split("/") else path.strip("/")


def servers_lacking(dumps: Iterable[DatabaseDump]) -> tuple[str, ...]:
    """Given the dumps, return in words what this host has no server for, or only an older one."""
    return tuple(said for dump in dumps if (said := _lacking(dump)))


def servers_newer(dumps: Iterable[DatabaseDump]) -> tuple[str, ...]:
    """Given the dumps, return in words which will be loaded into a server of another major version."""
    return tuple(
        f"{dump.name}: PostgreSQL {dump.instance.partition('-')[0]} is not installed here; the databases will be "
        f"loaded into PostgreSQL {dump.served_by.partition('-')[0]}"
        for dump in dumps
        if _newer(dump)
    )


def _newer(dump: DatabaseDump) -> bool:
    return dump.engine == postgresql.NAME and dump.served_by != dump.instance


def _lacking(dump: DatabaseDump) -> str:
    if dump.engine == postgresql.NAME:
        version = dump.served_by.partition("-")[0]
        if dump.directory:
            return ""  # told by plain_postgresql.py
        return "" if has_server(version) else f"{dump.name}: PostgreSQL {version} is not installed here"
    if dump.engine == openldap.NAME:
        return _openldap_lacking(dump)
    if dump.engine == ejabberd.NAME:
        here = ejabberd_server.installed_version()
        return not_older(dump, here) if here else f"{dump.name}: no ejabberd is installed here"
    if dump.engine == redis.NAME:
        here = redis_load.server_version()
        return not_older(dump, here) if here else f"{dump.name}: no Redis server is installed here"
    if dump.engine != mariadb.NAME:
        return ""
    try:
        text = command.run([program("mariadbd", "mysqld"), "--version"]).text
    except CommandFailed:
        return f"{dump.name}: no MariaDB server is installed here"
    return older(dump, text)


def _openldap_lacking(dump: DatabaseDump) -> str:
    try:
        here = openldap_server.tools_version()
    except CommandFailed:
        return f"{dump.name}: no OpenLDAP server is installed here"
    return not_older(dump, here)


def not_older(dump: DatabaseDump, here: str) -> str:
    """Given the version of the server here, return in words that it is too old for the dump, "" if it is not."""
    if series(here) >= series(dump.version):
        return ""
    return f"{dump.name}: the server here is {here}, the MASTER's {dump.version}"


def older(dump: DatabaseDump, text: str) -> str:
    """Given what `mariadbd --version` prints, return in words that it is too old for the dump, "" if it is not."""
    found = re.search(r"Ver (\d+\.\d+\S*)", text)
    if found is not None and dump.version and is_mariadb(text) != is_mariadb(dump.version):
        return f"{dump.name}: the server here is {_flavour(text)} {found[1]}, the MASTER's is {_flavour(dump.version)}"
    return not_older(dump, found[1]) if found is not None else ""


def _flavour(version: str) -> str:
    return "MariaDB" if is_mariadb(version) else "MySQL"


def extensions_lacking(spool: Path, dumps: Iterable[DatabaseDump], without: Sequence[str] = ()) -> tuple[str, ...]:
    """Given the dumps, and what is left out of them, return in words which extensions of PostgreSQL's databases are not
    installed here."""
    said: list[str] = []
    for dump in dumps:
        version = dump.served_by.partition("-")[0]
        if dump.engine != postgresql.NAME or dump.directory or not has_server(version):
            continue  # a missing server is said by itself
        with suppress(RestoreFailed):
            document = documents.load(spool / dump.engine / dump.instance / CLUSTER, PostgresqlCluster)
            here = extensions_here(version)
            for database in document.databases:
                full = f"{dump.name}/{database.name}"
                said += [f"{name} ({full})" for name in database.extensions if name not in here and full not in without]
    return tuple(said)


def libraries_lacking(paths: Paths, spool: Path, dumps: Iterable[DatabaseDump]) -> tuple[list[str], list[str]]:
    """Given the dumps, return in words which files of plugins MariaDB's servers had, and neither this host nor what it
    will put in place has: those without which accounts or tables cannot be made, and others."""
    vital: list[str] = []
    others: list[str] = []
    for dump in dumps:
        needed: dict[str, bool] = {}
        if dump.engine == mariadb.NAME:
            with suppress(RestoreFailed):
                document = documents.load(spool / dump.engine / dump.instance / INSTANCE, MariadbInstance)
                needed = libraries_of(document.system)
        folder = _plugin_folder() if needed else None
        if folder is None:
            continue  # a missing server is said by itself
        for name, is_vital in sorted(needed.items()):
            places = (paths.at(folder) / name, paths.replica / "tree" / folder.strip("/") / name)
            if not any(map(is_library, places)):
                (vital if is_vital else others).append(f"{folder.rstrip('/')}/{name} ({dump.name})")
    return vital, others


def _plugin_folder() -> str | None:
    """Return where the MariaDB server that is installed here looks for plugins, None if it does not say."""
    try:
        text = command.run([program("mariadbd", "mysqld"), "--no-defaults", "--verbose", "--help"]).text
    except CommandFailed:
        return None
    found = re.search(r"^plugin-dir\s+(/\S+)", text, re.MULTILINE)
    return found[1] if found else None


def names_of(spool: Path, dumps: Iterable[DatabaseDump]) -> Iterator[str]:
    """Given the dumps, return the name of each server, and of each database of it that can be left out by itself."""
    for dump in dumps:
        yield dump.name
        folder = spool / dump.engine / dump.instance
        with suppress(RestoreFailed):
            if dump.engine == postgresql.NAME:
                clusters = documents.load(folder / CLUSTER, PostgresqlCluster)
                yield from (f"{dump.name}/{database.name}" for database in clusters.databases)
            if dump.engine == mariadb.NAME:
                server = documents.load(folder / INSTANCE, MariadbInstance)
                yield from (f"{dump.name}/{database.name}" for database in server.databases)


def locales_of_databases(tree: Path, spool: Path, dumps: Iterable[DatabaseDump]) -> frozenset[str]:
    """Given the dumps, return the locales without which a server does not start, or a database cannot be made."""
    wanted: set[str] = set()
    for dump in dumps:
        if dump.engine == postgresql.NAME:
            wanted |= set(_locales_of(spool / dump.engine / dump.instance))
            version, _, name = dump.instance.partition("-")
            wanted |= set(_LC.findall(read_text(tree, f"etc/postgresql/{version}/{name}/postgresql.conf")))
            # what lies in its data directory was collected
            folder = f"{dump.engine}/{dump.instance}/{SETTINGS}"
            for file in ("postgresql.conf", "postgresql.auto.conf"):
                wanted |= set(_LC.findall(read_text(spool, f"{folder}/{file}")))
    return frozenset(wanted)


def _locales_of(folder: Path) -> Iterator[str]:
    try:
        document = documents.load(folder / CLUSTER, PostgresqlCluster)
    except RestoreFailed:
        return  # told by the check of the dumps
    for database in document.databases:
        yield from (database.collate, database.ctype)


def locales_lacking(paths: Paths, wanted: Iterable[str], *, listed: bool = False) -> tuple[str, ...]:
    """Given locales, return those that this host lacks; `listed`: also those that the MASTER's locale.gen makes."""
    names = set(wanted)
    if listed:
        told = parse_locale_gen(read_text(paths.replica / "tree", "etc/locale.gen"))
        names |= set(_first(sorted(told)))
    return lacking(names, locales.installed()) if names else ()


def _first(names: Sequence[str]) -> Sequence[str]:
    # a MASTER that makes all there are has them as a package; making some hundred here would take an hour
    return names if len(names) <= _MOST_LOCALES else ()
