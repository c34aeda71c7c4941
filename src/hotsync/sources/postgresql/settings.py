"""The settings of a PostgreSQL server that lie in its data directory, where nothing is copied: read for its collection.

Each file is read as the server's own user, which may put a link there: it shows nothing that this user cannot read.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from pydantic import TypeAdapter

from hotsync.errors import CommandFailed, SourceError
from hotsync.sources.documents import record
from hotsync.sources.postgresql.cluster import Login, ask_json
from hotsync.sources.postgresql.place import FOLDER, settings_fault
from hotsync.sources.source import Dataset
from hotsync.sources.spool import Collection
from hotsync.system.command import run

_AUTO = "postgresql.auto.conf"
_LARGEST = 4 * 1024 * 1024
_MOST = 200
_SECONDS = 30.0
_QUESTION = """SELECT json_build_object(
  'place', (SELECT json_agg(setting) FROM pg_settings WHERE name = 'data_directory'),
  'texts', (SELECT json_agg(setting ORDER BY name) FROM pg_settings
    WHERE name IN ('config_file', 'hba_file', 'ident_file') AND setting <> ''),
  'secrets', (SELECT json_agg(setting ORDER BY name) FROM pg_settings
    WHERE name IN ('ssl_cert_file', 'ssl_key_file', 'ssl_ca_file', 'ssl_crl_file', 'ssl_dh_params_file',
      'krb_server_keyfile') AND setting <> ''))"""
_INCLUDE = re.compile(
    r"^[ \t]*(include_if_exists|include_dir|include)\b[ \t]*=?[ \t]*(?:'((?:[^'\n]|'')+)'|\"([^\"\n]+)\"|([^\s'\"#]+))",
    re.MULTILINE | re.IGNORECASE,
)
_LISTS = re.compile(r"@(?:\"([^\"\n]+)\"|([^\s,\"]+))")
"""In pg_hba.conf: a file with names of databases or roles."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What lies in the data directory: files by their names there, and links with where they lead."""

    files: dict[str, bytes] = field(default_factory=dict[str, bytes])
    links: dict[str, str] = field(default_factory=dict[str, str])


def take(collection: Collection, login: Login, dataset: Dataset) -> dict[str, Any]:
    """Given a server that is collected, take over its settings; return the fields that its document has for them.

    Of a cluster of pg_lsclusters they are few, since the others lie in /etc: above all what ALTER SYSTEM has set.
    Raise CommandFailed, SourceError.
    """
    found = read_settings(login, dataset.place, dataset.name)
    if fault := settings_fault((*found.files, *found.links, *found.links.values())):
        raise SourceError(dataset=dataset.name, reason=f"among its settings: {fault}")
    files = {f"{FOLDER}/{name}": content for name, content in found.files.items()}
    told: dict[str, Any] = {
        "place": dataset.place,
        "configuration": tuple(record(name, collection.put(name, files[name])) for name in sorted(files)),
        "links": tuple(sorted(found.links.items())),
    }
    if dataset.place:
        told |= {"unit": dataset.unit, "user": dataset.user, "programs": dataset.programs}
    return told


def read_settings(login: Login, place: str, dataset: str) -> Settings:
    """Given how to reach a server, and its data directory ("": it says that itself), return its settings there; raise
    CommandFailed, SourceError.

    What they name elsewhere travels as any other file does.
    """
    named = TypeAdapter(dict[str, list[str] | None]).validate_python(ask_json(login, _QUESTION))
    (told,) = named["place"] or [""]
    if not (place or told):
        raise SourceError(dataset=dataset, reason="it does not tell its own user where its data lies")
    reader = _Reader(login, place or told, dataset)
    reader.read_texts([*(named["texts"] or []), _AUTO])
    for path in named["secrets"] or []:
        reader.take(path)
    return reader.found


class _Reader:
    """Reads files by the paths that a server knows them by, and notes those in its data directory."""

    def __init__(self, login: Login, place: str, dataset: str) -> None:
        self._login, self._place, self._dataset = login, place, dataset
        self._root = os.path.realpath(place)
        self.found = Settings()

    def read_texts(self, waiting: list[str]) -> None:
        """Take files, and those that they include."""
        seen = set[str]()
        while waiting:
            path = os.path.normpath(os.path.join(self._place, waiting.pop(0)))
            if path not in seen:
                seen.add(path)
                if len(seen) > _MOST:
                    raise SourceError(dataset=self._dataset, reason=f"its settings lie in more than {_MOST} files")
                waiting += named_in(self.take(path).decode("utf-8", "surrogateescape"), os.path.dirname(path))

    def take(self, name: str) -> bytes:
        """Read a file; note it if it lies in the data directory. Return what it holds, nothing if it is not there, or
        is a link to what cannot be read: one to a certificate of long ago, say, that no setting needs any more."""
        path = os.path.normpath(os.path.join(self._place, name))
        if not os.path.lexists(path):
            return b""
        inside = self._inside(os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path)))
        leads_out = os.path.islink(path) and not self._inside(os.path.realpath(path))
        try:
            # neither a device nor a fifo that the server's user put there holds us for long
            words = ["head", f"--bytes={_LARGEST + 1}", "--", path]
            data = run(words, user=self._login.user, cwd="/", timeout=_SECONDS).stdout
        except CommandFailed:
            if inside and not leads_out:
                raise
            data = b""
        if len(data) > _LARGEST:
            reason = f"{path} is larger than {_LARGEST >> 20} MiB, and no file of settings"
            raise SourceError(dataset=self._dataset, reason=reason)
        if inside and leads_out:
            self.found.links[inside] = os.readlink(path)
        elif inside:
            self.found.files[inside] = data
        return data

    def _inside(self, path: str) -> str:
        """Given a path without links, return it as seen from the data directory, "" if it is not in there."""
        inside = os.path.relpath(path, self._root)
        return "" if inside == "." or inside.partition("/")[0] == ".." else inside


def named_in(text: str, folder: str) -> Iterator[str]:
    """Given a file of settings, and its folder, return the files that it includes."""
    for found in _INCLUDE.finditer(text):
        name = str(found[2] or found[3] or found[4]).replace("''", "'")
        path = os.path.join(folder, name)
        if found[1].lower() != "include_dir":
            yield path
            continue
        try:
            names = sorted(os.listdir(path))
        except OSError:
            continue
        yield from (os.path.join(path, each) for each in names if each.endswith(".conf") and not each.startswith("."))
    for quoted, bare in _LISTS.findall("\n".join(_uncommented(text))):
        yield os.path.join(folder, quoted or bare)


def _uncommented(text: str) -> Iterator[str]:
    for line in text.splitlines():
        if re.match(r"[ \t]*(?:local|host)", line):
            yield line.partition("#")[0]
