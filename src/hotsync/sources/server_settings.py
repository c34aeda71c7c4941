"""The settings that decide the form of a database server's files: asked of the MASTER's, given to the one made here.

What comes out of a document is the MASTER's word, and becomes words of a command line: each value has a strict form.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence

from hotsync.errors import RestoreFailed

Settings = tuple[tuple[str, str], ...]

_NUMBER, _CHARSET = r"\d{1,20}", r"[A-Za-z0-9_]{1,64}"
_FILE = r"[A-Za-z0-9_]+:\d{1,20}[KMG]?(?::autoextend)?(?::max:\d{1,20}[KMG]?)?"
_MARIADB = {
    "character_set_server": _CHARSET,
    "collation_server": _CHARSET,
    "innodb_data_file_path": f"{_FILE}(?:;{_FILE})*",
    "innodb_log_file_size": _NUMBER,
    "innodb_page_size": _NUMBER,
    "innodb_undo_tablespaces": _NUMBER,
    "lower_case_table_names": "[012]",
}
_MIB = 1024 * 1024
_SEGMENTS = {str(2**power * _MIB): 2**power for power in range(11)}  # 1 MiB to 1 GiB
_HINT = "Look into the MASTER's configuration of this server; HotSync makes none with such a setting."
_PLACES = ("aria_log_dir_path", "innodb_data_home_dir", "innodb_log_group_home_dir", "innodb_undo_directory")
"""Where a server keeps what it does not find by the name of a database: in its data directory, if nobody says else."""
_NAMES = ", ".join(f"'{name}'" for name in sorted((*_MARIADB, *_PLACES)))
MARIADB_QUESTION = f"SHOW GLOBAL VARIABLES WHERE Variable_name IN ({_NAMES});"
"""Variables that a server does not know are left out of its answer."""

POSTGRESQL_QUESTION = """SELECT coalesce(json_agg(json_build_array(name, CASE name WHEN 'wal_segment_size'
    THEN pg_size_bytes(current_setting(name))::text ELSE setting END) ORDER BY name), '[]')
  FROM pg_settings WHERE name IN ('data_checksums', 'wal_segment_size')"""


def mariadb_places(settings: Iterable[tuple[str, str]], directory: str) -> dict[str, str]:
    """Given a server's settings and its data directory, return which folders besides it hold its files, by setting.

    A server that knows the directory alone would not find the files of such a one, nor that one its files.
    """
    own = os.path.normpath(directory)
    places = {name: os.path.normpath(os.path.join(own, value)) for name, value in settings if name in _PLACES and value}
    return {name: place for name, place in places.items() if place != own}


def mariadb_settings(rows: Iterable[Sequence[str]], directory: str) -> Settings:
    """Given a server's answer to the question and its data directory, return what a document tells of it.

    A place in the data directory is left out: it says nothing, and the same server elsewhere would say it otherwise.
    """
    said = [(row[0], "".join(row[1:])) for row in rows]
    places = mariadb_places(said, directory)
    return tuple(sorted((name, value) for name, value in said if name not in _PLACES or name in places))


def mariadb_arguments(settings: Iterable[tuple[str, str]], dataset: str) -> list[str]:
    """Given a collected server's settings, return the server's arguments for them; raise RestoreFailed.

    Settings that are unknown here are left out.
    """
    arguments: list[str] = []
    for name, value in settings:
        form = _MARIADB.get(name)
        if form is None:
            continue
        if not re.fullmatch(form, value, re.ASCII):
            raise _refused(dataset, name, value)
        arguments.append(f"--{name.replace('_', '-')}={value}")
    return arguments


def postgresql_arguments(settings: Iterable[tuple[str, str]], dataset: str) -> list[str]:
    """Given a collected cluster's settings, return initdb's arguments for them; raise RestoreFailed.

    Settings that are unknown here are left out.
    """
    arguments: list[str] = []
    for name, value in settings:
        if name == "data_checksums":
            if value not in ("on", "off"):
                raise _refused(dataset, name, value)
            arguments += ["--data-checksums"] if value == "on" else []
        elif name == "wal_segment_size":
            if value not in _SEGMENTS:
                raise _refused(dataset, name, value)
            arguments.append(f"--wal-segsize={_SEGMENTS[value]}")
    return arguments


def _refused(dataset: str, name: str, value: str) -> RestoreFailed:
    return RestoreFailed(dataset=dataset, reason=f"{name} of the MASTER's server is {value[:100]!r}", hint=_HINT)
