"""What earlier runs collected: when, where each server keeps its files, and what of it lies in the spool."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from hotsync.errors import HotSyncError
from hotsync.sources import documents
from hotsync.sources.documents import CLUSTER, INSTANCE, Document, MariadbInstance, PostgresqlCluster
from hotsync.sources.ejabberd import documents as ejabberd_documents
from hotsync.sources.ejabberd.documents import EjabberdServer
from hotsync.sources.openldap import documents as openldap_documents
from hotsync.sources.openldap.documents import OpenldapServer
from hotsync.sources.proofs import is_whole
from hotsync.sources.redis import documents as redis_documents
from hotsync.sources.redis.documents import RedisServer
from hotsync.sources.source import Dataset
from hotsync.system.paths import Paths

DOCUMENTS: tuple[tuple[str, str, type[Document]], ...] = (
    ("mariadb", INSTANCE, MariadbInstance),
    ("postgresql", CLUSTER, PostgresqlCluster),
    ("openldap", openldap_documents.SERVER, OpenldapServer),
    ("redis", redis_documents.SERVER, RedisServer),
    ("ejabberd", ejabberd_documents.SERVER, EjabberdServer),
)
"""By engine: the name of the document beside what was collected of a server, and its form."""


def load_times(paths: Paths) -> dict[str, float]:
    """Return when each dataset was collected last; a lost file only makes stale datasets look older than they are."""
    try:
        document = TypeAdapter(dict[str, object]).validate_json(paths.collected.read_bytes())
        return TypeAdapter(dict[str, float]).validate_python(document.get("taken_at"))
    except (OSError, ValidationError):
        pass
    times: dict[str, float] = {}
    for engine, name, kind in DOCUMENTS:
        for folder in folders_in(paths.spool / engine):
            try:
                times[f"{engine}/{folder.name}"] = documents.load(folder / name, kind).collected_at
            except HotSyncError:
                continue
    return times


def load_whole(paths: Paths) -> dict[str, float]:
    """Return when the last dump of each server was made, of those in which nothing failed."""
    try:
        document = TypeAdapter(dict[str, object]).validate_json(paths.collected.read_bytes())
        return TypeAdapter(dict[str, float]).validate_python(document["whole"])
    except (OSError, KeyError, ValidationError):
        return {}  # none yet, or none that can be read


def lies_whole(folder: Path, dataset: Dataset) -> bool:
    """Return whether what was collected of a server lies in the spool, with all that its document names."""
    for engine, name, kind in DOCUMENTS:
        if engine == dataset.source:
            document = documents.load_last(folder / dataset.name / name, kind)
            return document is not None and is_whole(folder / dataset.name, document.files)
    return False


def load_directories(paths: Paths) -> dict[str, tuple[str, ...]]:
    """Return where each database server keeps its files, by its name, as the last run knew them."""
    try:
        found = json.loads(paths.collected.read_bytes())["directories"]
        return {name: tuple(str(path) for path in known) for name, known in found.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}  # none yet, or none that can be read


def folders_in(path: Path) -> Iterator[Path]:
    """Return the folders in a folder, in the order of their names."""
    try:
        found = sorted(path.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return
    yield from (folder for folder in found if folder.is_dir() and not folder.is_symlink())
