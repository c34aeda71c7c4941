"""What a server's own schema `mysql` says besides accounts: plugins, functions of libraries, servers, time zones.

All of it is the MASTER's word. A plugin's library is a plain name that this server looks for in its own folder, where
only root of this host may have put it; so nothing of the MASTER's own is ever executed, and nothing that SQL in a dump
could not ask for itself. What is missing here is told, and the load goes on: what needs it says so by itself.
"""

from __future__ import annotations

import logging
import re
import stat
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path

from hotsync.errors import CommandFailed
from hotsync.sources.documents import MariadbFunction, MariadbPlugin, MariadbServer, MariadbSystem
from hotsync.sources.mariadb import zones
from hotsync.sources.mariadb.accounts import quote
from hotsync.sources.mariadb.client import FULL, UNREACHABLE, ask, client, detail
from hotsync.sources.source import Dataset, Loaded
from hotsync.sources.stream import feed

_NAME = re.compile(r"[A-Za-z0-9_$]{1,64}")
_LIBRARY = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]{0,127}")
_RETURNS = {0: "STRING", 1: "REAL", 2: "INTEGER", 4: "DECIMAL"}
_OPTIONS = ("host", "database", "user", "password", "socket", "owner")
TABLES_NEED = frozenset(("STORAGE ENGINE", "DATA TYPE", "INFORMATION SCHEMA", "FUNCTION"))
"""Kinds of plugins without which a table or a view cannot be made. Before a promotion no other is loaded."""
_JUDGES_PASSWORDS = "PASSWORD VALIDATION"
_PLUGINS = """
SELECT PLUGIN_NAME, PLUGIN_LIBRARY, PLUGIN_TYPE, PLUGIN_NAME IN (SELECT name FROM mysql.plugin)
  FROM information_schema.PLUGINS WHERE PLUGIN_LIBRARY IS NOT NULL AND PLUGIN_STATUS = 'ACTIVE' ORDER BY 1, 2;
"""
_INSTALLED = """
SELECT PLUGIN_NAME, PLUGIN_TYPE FROM information_schema.PLUGINS
  WHERE PLUGIN_STATUS = 'ACTIVE' AND PLUGIN_NAME IN (SELECT name FROM mysql.plugin);
"""
_FUNCTIONS = "SELECT name, ret, dl, type FROM mysql.func ORDER BY name;"
_SERVERS = """
SELECT Server_name, Host, Db, Username, Password, Socket, Owner, Port, Wrapper FROM mysql.servers ORDER BY 1;
"""

log = logging.getLogger(__name__)


def read_system(dataset: Dataset) -> MariadbSystem:
    """Given a server that runs, return what of its own schema is carried; raise CommandFailed or ValueError."""
    return MariadbSystem(
        tuple(MariadbPlugin(row[0], row[1], row[2], row[3] == "1") for row in ask(dataset, _PLUGINS)),
        _functions(dataset),
        _servers(dataset),
        zones.has_zones(dataset),
    )


def before_accounts(dataset: Dataset, system: MariadbSystem, loaded: Loaded) -> None:
    """Given what was collected, make what accounts and tables need; raise CommandFailed if the server does not answer.

    Without `loaded.accounts` that is what tables and views need. What judges passwords rests: it would refuse accounts
    that the MASTER has had for longer.
    """
    for name, kind in ask(dataset, _INSTALLED):
        if kind == _JUDGES_PASSWORDS:
            rest = f"UNINSTALL PLUGIN {quote(name)};"
            _try(dataset, f"plugin {name} does not rest", partial(ask, dataset, rest), loaded.tell)
    wanted = [
        plugin
        for plugin in system.plugins
        if plugin.installed and plugin.kind != _JUDGES_PASSWORDS and (loaded.accounts or plugin.kind in TABLES_NEED)
    ]
    _install(dataset, wanted, loaded.tell)
    _make_functions(dataset, system.functions, loaded.tell)
    _make_servers(dataset, system.servers, loaded.tell)
    if system.has_zones:
        _try(dataset, "its time zones are not filled", partial(zones.fill, dataset), loaded.tell)


def after_accounts(dataset: Dataset, system: MariadbSystem, loaded: Loaded) -> None:
    """Load the plugins that judge passwords."""
    if loaded.accounts:
        judges = [plugin for plugin in system.plugins if plugin.installed and plugin.kind == _JUDGES_PASSWORDS]
        _install(dataset, judges, loaded.tell)


def libraries_of(system: MariadbSystem) -> dict[str, bool]:
    """Given what was collected, return the files that it needs of the server's folder of plugins, and of each whether
    accounts, tables or views need it."""
    needed: dict[str, bool] = {}
    for plugin in system.plugins:
        vital = plugin.kind in (*TABLES_NEED, "AUTHENTICATION", "ENCRYPTION")
        needed[plugin.library] = needed.get(plugin.library, False) or vital
    needed.update({function.library: True for function in system.functions})
    return {library: vital for library, vital in needed.items() if _LIBRARY.fullmatch(library)}


def is_library(path: Path) -> bool:
    """Return whether this is a file that only root of this host may have written."""
    try:
        status = path.stat()
    except OSError:
        return False
    return stat.S_ISREG(status.st_mode) and status.st_uid == 0 and not status.st_mode & 0o022


def _functions(dataset: Dataset) -> tuple[MariadbFunction, ...]:
    return tuple(
        MariadbFunction(name, int(returns), library, kind == "aggregate")
        for name, returns, library, kind in ask(dataset, _FUNCTIONS)
    )


def _servers(dataset: Dataset) -> tuple[MariadbServer, ...]:
    return tuple(
        MariadbServer(name, host, database, user, password, socket, owner, int(port), wrapper)
        for name, host, database, user, password, socket, owner, port, wrapper in ask(dataset, _SERVERS)
    )


def _install(dataset: Dataset, plugins: Iterable[MariadbPlugin], tell: Callable[[str], None]) -> None:
    listed = "SELECT PLUGIN_NAME FROM information_schema.PLUGINS WHERE PLUGIN_STATUS = 'ACTIVE';"
    present = {row[0].casefold() for row in ask(dataset, listed)}
    for plugin in plugins:
        if plugin.name.casefold() not in present:
            sql = f"INSTALL PLUGIN {quote(plugin.name)} SONAME '{plugin.library}';"
            _load(dataset, f"plugin {plugin.name}", plugin.name, plugin.library, sql, tell)


def _make_functions(dataset: Dataset, functions: Iterable[MariadbFunction], tell: Callable[[str], None]) -> None:
    present = {function.name.casefold(): function for function in _functions(dataset)}
    for function in functions:
        here = present.get(function.name.casefold())
        if here is not None and replace(here, name=function.name) == function:
            continue
        returns = _RETURNS.get(function.returns)
        if returns is None:
            continue
        drop = f"DROP FUNCTION {quote(function.name)};\n" if here is not None else ""
        kind = "AGGREGATE FUNCTION" if function.is_aggregate else "FUNCTION"
        sql = f"{drop}CREATE {kind} {quote(function.name)} RETURNS {returns} SONAME '{function.library}';"
        _load(dataset, f"function {function.name}", function.name, function.library, sql, tell)


def _load(dataset: Dataset, what: str, name: str, library: str, sql: str, tell: Callable[[str], None]) -> None:
    """Let the server load something of a library, if both have the form that they should."""
    if not _NAME.fullmatch(name) or not _LIBRARY.fullmatch(library):
        _told(f"{dataset.name}: a library or a name in it is odd ({name[:64]!r}, {library[:128]!r})", tell)
        return
    folder = Path(ask(dataset, "SELECT @@plugin_dir;")[0][0])
    if not is_library(folder / library):
        _told(f"{dataset.name}: {what} is not loaded: {folder / library} is missing, or not only root's", tell)
        return
    _try(dataset, f"{what} ({library}) is not loaded", partial(ask, dataset, sql), tell)


def _make_servers(dataset: Dataset, servers: Iterable[MariadbServer], tell: Callable[[str], None]) -> None:
    present = set(_servers(dataset))
    for server in servers:
        if server not in present:
            _try(dataset, f"server {server.name} is not made", partial(_make_server, dataset, server), tell)


def _make_server(dataset: Dataset, server: MariadbServer) -> None:
    values = ((name, getattr(server, name)) for name in _OPTIONS)
    options = [f"{name.upper()} {_text(value)}" for name, value in values if value]
    options += [f"PORT {server.port:d}"] if server.port > 0 else []
    # it must have one: an empty one is the same as none
    listed = ", ".join(options or ["HOST ''"])
    name = quote(server.name)
    made = f"CREATE SERVER {name} FOREIGN DATA WRAPPER {quote(server.wrapper)} OPTIONS ({listed});"
    sql = f"SET sql_mode='';\nDROP SERVER IF EXISTS {name};\n{made}\n"
    # as a load: the values are the MASTER's words, and the client obeys no command in them
    feed(client(dataset, loading=True), [sql.encode("utf-8", "surrogateescape")])


def _text(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "''") + "'"


def _try(dataset: Dataset, what: str, work: Callable[[], object], tell: Callable[[str], None]) -> None:
    """Do something that may fail by itself; raise CommandFailed if the server is gone."""
    try:
        work()
    except CommandFailed as error:
        if UNREACHABLE.search(error.stderr) or FULL.search(error.stderr):
            raise
        _told(f"{dataset.name}: {what}: {detail(error)}", tell)


def _told(sentence: str, tell: Callable[[str], None]) -> None:
    log.warning("%s", sentence)
    tell(sentence)
