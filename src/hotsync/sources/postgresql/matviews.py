"""Materialized views: what a dump does not hold but has computed anew (REFRESH), once everything else is loaded.

pg_restore would compute them without any search_path, so that one whose query calls a function that names its tables
bare fails, and with it the load of the whole database. So they are left out of it, and filled one by one as the server
does it for everybody: with the search_path of the database. One that cannot be filled costs no row of the MASTER's: it
is told.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from pydantic import TypeAdapter

from hotsync.errors import CommandFailed
from hotsync.sources.documents import TOC, PostgresqlDatabase
from hotsync.sources.postgresql import toc as pgtoc
from hotsync.sources.postgresql.cluster import LONGEST, Login, ask, ask_json, detail, literal
from hotsync.sources.postgresql.toc import Entry
from hotsync.sources.spool import open_plain

_log = logging.getLogger(__name__)

USE_LIST = "--use-list=/proc/self/fd/0"
_KIND = b"MATERIALIZED VIEW DATA"
_UTF8 = "UTF8"
_EMPTY = (
    "SELECT coalesce(json_agg(json_build_array(schemaname, matviewname)), '[]') FROM pg_matviews WHERE NOT ispopulated"
)
_REFRESH = "SELECT format('REFRESH MATERIALIZED VIEW %I.%I', {schema}, {view}) \\gexec\n"
_REFUSED = 3
"""psql's status where the server refused a statement."""

View = tuple[str, str]
_EMPTY_VIEWS = TypeAdapter(list[View])


def list_without(folder: Path, database: PostgresqlDatabase) -> bytes:
    """Given the folder of a collected cluster, return the list of what pg_restore is to load of a database (for its
    stdin): all but what fills materialized views. b"": it loads everything, since there are none."""
    entries = _entries(folder, database)
    if not any(_is_to_fill(entry, database) for entry in entries):
        return b""
    return b"".join(b"%d;\n" % entry.number for entry in entries if not _is_to_fill(entry, database))


def fill(login: Login, dataset: str, folder: Path, database: PostgresqlDatabase, tell: Callable[[str], None]) -> None:
    """Fill the materialized views of a database that its dump has filled and that hold nothing here; `tell` takes a
    sentence of each one that cannot be. Raise CommandFailed if the server does not answer."""
    views = [_view(entry) for entry in _entries(folder, database) if _is_to_fill(entry, database)]
    if not views:
        return
    empty = set(_EMPTY_VIEWS.validate_python(ask_json(login, _EMPTY, database.name)))
    waiting = {view: "" for view in views if view in empty}  # in the order in which one may read another
    tried = len(waiting) + 1
    while waiting and len(waiting) < tried:  # what a function reads is not known to that order
        tried = len(waiting)
        waiting = {view: said for view in waiting if (said := _refresh(login, database.name, view))}
    for (schema, view), said in waiting.items():
        _log.warning("%s: materialized view %s.%s of %s is not filled: %s", dataset, schema, view, database.name, said)
        tell(
            f"The materialized view {schema}.{view} of the database {database.name} ({dataset}) holds nothing, since "
            f"it could not be computed: {said}. Remove the cause, then: REFRESH MATERIALIZED VIEW."
        )


def _refresh(login: Login, database: str, view: View) -> str:
    """Fill one; return what the server says if it cannot, "" if it is filled."""
    try:
        ask(login, _REFRESH.format(schema=literal(view[0]), view=literal(view[1])), database, LONGEST)
    except CommandFailed as error:
        if error.returncode != _REFUSED:
            raise
        return detail(error)
    return ""


def _entries(folder: Path, database: PostgresqlDatabase) -> tuple[Entry, ...]:
    """Return what a dump holds, in its order; nothing if that is in a form that is not known."""
    try:
        with open_plain(folder / database.folder / TOC) as file:
            return pgtoc.entries(file.read()) or ()
    except OSError:
        return ()


def _is_to_fill(entry: Entry, database: PostgresqlDatabase) -> bool:
    """Return whether an entry fills a materialized view that can be named to the server."""
    nameable = database.encoding == _UTF8 or (entry.schema + entry.name).isascii()
    return entry.kind == _KIND and nameable


def _view(entry: Entry) -> View:
    return entry.schema.decode("utf-8", "surrogateescape"), entry.name.decode("utf-8", "surrogateescape")
