"""The documents beside collected databases: what each file holds, so that a load knows what it loads."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import Field, asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any, ClassVar, Protocol, TypeVar

from pydantic import AfterValidator, StringConstraints, TypeAdapter, ValidationError

from hotsync.errors import RestoreFailed
from hotsync.model.report import Check, Verdict
from hotsync.sources.source import OTHER_DUMPS, Dataset
from hotsync.sources.spool import CHUNK, Digest, digest_of, open_plain

SCHEMA = 1
INSTANCE = "instance.json"
ACCOUNTS = "accounts.sql"
CLUSTER = "cluster.json"
GLOBALS = "globals.sql"
TOC = "toc.dat"
_LARGEST = 64 * 1024 * 1024


def _inside(name: str) -> str:
    """Return the name of a file in the dataset's folder; raise ValueError for one that leads elsewhere."""
    if not name or "\0" in name or any(part in ("", ".", "..") for part in name.split("/")):
        raise ValueError("it names no file in the folder of the document")
    return name


def _some(files: tuple[FileRecord, ...]) -> tuple[FileRecord, ...]:
    """Return the files of a database; raise ValueError if there are none."""
    if not files:
        raise ValueError("it has no files")
    return files


InFolder = Annotated[str, AfterValidator(_inside)]
Version = Annotated[str, StringConstraints(max_length=200)]
"""A server's version as it says it; numbers are made of parts of it."""
VersionNumber = Annotated[str, StringConstraints(pattern=r"^[0-9]{5,7}$")]
"""PostgreSQL's server_version_num (150018)."""


class Document(Protocol):
    """What the documents of all kinds of servers tell (each is a frozen dataclass)."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    @property
    def version(self) -> str:
        """Return the server's version."""
        ...

    @property
    def digest(self) -> str:
        """Return the one digest of all files."""
        ...

    @property
    def collected_at(self) -> float:
        """Return when this content was first seen (MASTER's clock)."""
        ...

    @property
    def files(self) -> tuple[FileRecord, ...]:
        """Return all files that belong to it."""
        ...


T = TypeVar("T", bound=Document)


@dataclass(frozen=True, slots=True)
class _Head:
    schema: int


@dataclass(frozen=True, slots=True)
class FileRecord:
    """One collected file: its name in the dataset's folder, its length and SHA-256 (hex)."""

    file: InFolder
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class MariadbDatabase:
    """One database of an instance; from byte `views_at` on the file holds what is loaded after all tables.

    `tables` are tables with the rows that the dump holds of each, where they could be counted; `engines` are those of
    another engine than InnoDB, with it.
    """

    name: str
    content: FileRecord
    views_at: int
    tables: tuple[tuple[str, int], ...] = ()
    engines: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class MariadbAccounts:
    """The accounts; from byte `grants_at` on the file holds what is loaded after all databases."""

    content: FileRecord
    grants_at: int
    users: tuple[str, ...]
    roles: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class MariadbPlugin:
    """A plugin that the server has loaded, the file that it is in, and what it is ("STORAGE ENGINE").

    `installed`: by a statement, so that the server itself remembers it; others are named in its settings.
    """

    name: str
    library: str
    kind: str
    installed: bool


@dataclass(frozen=True, slots=True)
class MariadbFunction:
    """A function that a library brings; `returns` is the server's number for a type."""

    name: str
    returns: int
    library: str
    is_aggregate: bool


@dataclass(frozen=True, slots=True)
class MariadbServer:
    """Another server that tables here may lead to (CREATE SERVER), with the login there."""

    name: str
    host: str
    database: str
    user: str
    password: str
    socket: str
    owner: str
    port: int
    wrapper: str


@dataclass(frozen=True, slots=True)
class MariadbSystem:
    """What the server's own schema says besides accounts; `has_zones`: it knows time zones by name."""

    plugins: tuple[MariadbPlugin, ...] = ()
    functions: tuple[MariadbFunction, ...] = ()
    servers: tuple[MariadbServer, ...] = ()
    has_zones: bool = False


@dataclass(frozen=True, slots=True)
class MariadbInstance:
    """One collected MariaDB server. `collected_at` is when this content was first seen (MASTER's clock).

    `not_transactional` are the tables that nothing held still. `unit`, `user` and `directory` are what the server runs
    as there, and where it keeps its files. `settings` are those that decide the form of its files. `position` is where
    in its binary log the dump was taken ("": it is not streamed), `cannot_follow` are tables that no replica can keep,
    and `events` those that are not enabled, with database, name and state. `older` are the databases that could not be
    dumped with the others: what is here of them was dumped before, or there is nothing. `system` is what the server's
    own schema says besides accounts.
    """

    schema: int
    version: Version
    digest: str
    collected_at: float
    databases: tuple[MariadbDatabase, ...]
    accounts: MariadbAccounts
    not_transactional: tuple[str, ...] = ()
    broken_views: tuple[str, ...] = ()
    unit: str = ""
    user: str = ""
    directory: str = ""
    settings: tuple[tuple[str, str], ...] = ()
    position: str = ""
    cannot_follow: tuple[str, ...] = ()
    events: tuple[tuple[str, str, str], ...] = ()
    older: tuple[str, ...] = ()
    system: MariadbSystem = MariadbSystem()

    @property
    def files(self) -> tuple[FileRecord, ...]:
        """Return all files that belong to it."""
        return (*(database.content for database in self.databases), self.accounts.content)


@dataclass(frozen=True, slots=True)
class PostgresqlDatabase:
    """One database of a cluster: a folder in pg_dump's directory format.

    `tables` are tables (schema, name) with the rows that the dump holds of each; `large_objects` is -1 where they were
    not counted.
    """

    name: str
    owner: str
    encoding: str
    collate: str
    ctype: str
    provider: str
    icu_locale: str
    tablespace: str
    is_template: bool
    content: Annotated[tuple[FileRecord, ...], AfterValidator(_some)]
    tables: tuple[tuple[str, str, int], ...] = ()
    large_objects: int = -1
    extensions: tuple[str, ...] = ()

    @property
    def folder(self) -> str:
        """Return the name of its folder."""
        return self.content[0].file.partition("/")[0]


@dataclass(frozen=True, slots=True)
class PostgresqlCluster:
    """One collected PostgreSQL cluster. `collected_at` is when this content was first seen (MASTER's clock).

    `spaces` are its tablespaces with the folder of each. `settings` are those that decide the form of its files.
    `platform` is the MASTER's processor and C library. `position`: a standby that got as far holds all of it.

    What of its settings lies in its data directory is `configuration` (files below `settings/`, named as there) and
    `links` (names there, and where they lead). One with a `place` is no cluster of pg_lsclusters: that is its data
    directory, in which all its settings lie; `unit` and `user` are what it runs as, `programs` the folder of its
    programs.
    """

    schema: int
    version: VersionNumber
    digest: str
    collected_at: float
    databases: tuple[PostgresqlDatabase, ...]
    globals: FileRecord
    roles: tuple[str, ...]
    tablespaces: tuple[str, ...] = ()
    spaces: tuple[tuple[str, str], ...] = ()
    settings: tuple[tuple[str, str], ...] = ()
    platform: str = ""
    position: str = ""
    place: str = ""
    unit: str = ""
    user: str = ""
    programs: str = ""
    configuration: tuple[FileRecord, ...] = ()
    links: tuple[tuple[InFolder, str], ...] = ()

    @property
    def files(self) -> tuple[FileRecord, ...]:
        """Return all files that belong to it."""
        return (*(file for database in self.databases for file in database.content), self.globals, *self.configuration)


def record(file: str, digest: Digest) -> FileRecord:
    """Return a file's record."""
    return FileRecord(file, digest.size, digest.sha256)


def digest_of_files(files: Iterable[FileRecord]) -> str:
    """Given the files of a dataset, return the one digest by which it is known (hex)."""
    lines = sorted(json.dumps((file.file, file.sha256)) for file in files)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def digests(document: MariadbInstance | PostgresqlCluster) -> dict[str, str]:
    """Given a collected server, return of each of its databases the one digest of all that a load makes it from."""
    if isinstance(document, MariadbInstance):
        return {database.name: database.content.sha256 for database in document.databases}
    return {database.name: _digest_of_database(database) for database in document.databases}


def _digest_of_database(database: PostgresqlDatabase) -> str:
    made_with = (
        database.owner, database.encoding, database.collate, database.ctype, database.provider, database.icu_locale,
        database.tablespace, database.is_template,
    )  # fmt: skip
    return hashlib.sha256(json.dumps((digest_of_files(database.content), *made_with)).encode()).hexdigest()


def render(document: Document) -> bytes:
    """Return a document as it lies in the spool."""
    return (json.dumps(asdict(document), indent=1, ensure_ascii=True) + "\n").encode("ascii")


def load(path: Path, kind: type[T]) -> T:
    """Given a document's path, return it; raise RestoreFailed if it is missing, malformed or of a newer HotSync."""
    try:
        with open_plain(path) as file:
            data = file.read(_LARGEST)
        if TypeAdapter(_Head).validate_json(data).schema > SCHEMA:
            raise RestoreFailed(
                dataset=str(path.parent),
                reason=f"{path.name} was written by a newer HotSync",
                hint="Install the same HotSync version on both servers.",
            )
        return TypeAdapter(kind).validate_json(data, strict=True)
    except OSError as error:
        raise RestoreFailed(dataset=str(path.parent), reason=f"{path.name} cannot be read: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "its beginning"
        reason = f"{path.name} is malformed at {place}: {first['msg']}"
        raise RestoreFailed(dataset=str(path.parent), reason=reason) from error


def load_last(path: Path, kind: type[T]) -> T | None:
    """Given the path of the last good copy's document, return it, or None where it is of no use."""
    try:
        return load(path, kind)
    except RestoreFailed:
        return None


def as_before(document: T, last: T | None) -> T:
    """Return a document with the last one's `collected_at` if nothing else differs: an equal file is not replaced."""
    if last is None:
        return document
    same = replace(document, collected_at=last.collected_at)
    return same if render(same) == render(last) else document


def content_of(folder: Path, file: FileRecord, dataset: Dataset) -> Iterator[bytes]:
    """Return a collected file in chunks; raise RestoreFailed at its end if it is not what was collected."""
    hashed = hashlib.sha256()
    with open_plain(folder / file.file) as opened:
        while chunk := opened.read(CHUNK):
            hashed.update(chunk)
            yield chunk
    if hashed.hexdigest() != file.sha256:
        raise damaged(dataset, file.file)


def damaged(dataset: Dataset, file: str) -> RestoreFailed:
    """Return what is to be said of a file that is not what its document says."""
    return RestoreFailed(dataset=dataset.name, reason=f"{file} is not what was collected", hint=OTHER_DUMPS)


def check_files(name: str, folder: Path, files: Iterable[FileRecord]) -> list[Check]:
    """Given a dataset's files, return one check: are they all there, and what their document says?"""
    wrong: list[str] = []
    for file in files:
        try:
            found = digest_of(folder / file.file)
        except OSError as error:
            wrong.append(f"{file.file}: {error.strerror}")
        else:
            if (found.size, found.sha256) != (file.size, file.sha256):
                wrong.append(f"{file.file} differs from what was collected")
    title = f"the dumps of {name} are what was collected"
    if not wrong:
        return [Check(f"dumps.{name}", title, Verdict.GREEN)]
    hint = "Run `hotsync` on the MASTER; if it stays, `hotsync verify` on the SLAVE."
    return [Check(f"dumps.{name}", title, Verdict.RED, "; ".join(wrong[:5]), hint)]
