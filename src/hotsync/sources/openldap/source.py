"""OpenLDAP: the configuration and each database as LDIF, as slapcat writes them beside a running server.

slapcat reads each database within one transaction, in the order in which the entries were made and with all that the
server itself notes of them, so that a directory that did not change is the same file. One whose file counts no
transaction since is not read again.
"""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from hotsync.errors import CommandFailed, SourceError
from hotsync.model.generation import DatasetPoint
from hotsync.model.report import Check
from hotsync.sources import documents
from hotsync.sources.documents import FileRecord
from hotsync.sources.openldap import lmdb
from hotsync.sources.openldap.documents import CONFIGURATION, SERVER, OpenldapDatabase, OpenldapServer
from hotsync.sources.openldap.ldif import DirectoryDatabase, EntryCounter, counted
from hotsync.sources.openldap.load import restore as restore
from hotsync.sources.openldap.server import KIND, Reading, detail, output, read, tools_version
from hotsync.sources.openldap.server import NAME as NAME
from hotsync.sources.openldap.server import inspect as inspect
from hotsync.sources.source import Context, Dataset
from hotsync.sources.spool import Collection, collecting

IS_DATABASE: bool = True
_KIND = "of a kind that HotSync neither collects nor carries"
_UNPLACED = "neither collected nor carried, as the configuration does not name their directory"
_PLACE = "Write the line `directory /var/lib/ldap` (where their files lie now) below each `database`."
_MOVE = (
    "Move them to mdb (slapcat, another olcDatabase or `database mdb`, slapadd); or dump them with a plugin, and name "
    "this server in DumpedByPlugin."
)


def collect(context: Context, dataset: Dataset) -> list[DatasetPoint]:
    """Given a server, bring its LDIF in the spool up to date; raise SourceError (the last good copy stays).

    So it does where a database is of another kind than mdb, or has no place, once all others are in the spool.
    """
    taken_at = context.clock.now()
    try:
        reading = read(dataset.config, context.stall_seconds)
        with collecting(context.paths, dataset.name) as collection:
            _collect(context, dataset, collection, reading, taken_at)
        left_out, unplaced = reading.left_out, reading.unplaced
    except (CommandFailed, LookupError, ValueError) as error:
        raise SourceError(
            dataset=dataset.name,
            reason=detail(error),
            hint="`slapcat -n N` as the account of the server shows it too; the last good copy stays.",
        ) from error
    if left_out:
        raise SourceError(dataset=dataset.name, reason=_named(_KIND, left_out), hint=_MOVE)
    if unplaced:
        raise SourceError(dataset=dataset.name, reason=_named(_UNPLACED, unplaced), hint=_PLACE)
    return [DatasetPoint(dataset.name, taken_at)]


def verify(folder: Path) -> list[Check]:
    """Given a collected server, return whether each of its files is what the document says; raise RestoreFailed."""
    document = documents.load(folder / SERVER, OpenldapServer)
    return documents.check_files(f"{NAME}/{folder.name}", folder, document.files)


def _named(why: str, databases: list[DirectoryDatabase]) -> str:
    named = ", ".join(f"{each.number} ({each.suffix}, {each.kind})" for each in databases)
    return f"of its databases these are {why}: {named}"


def _collect(context: Context, dataset: Dataset, collection: Collection, reading: Reading, taken_at: float) -> None:
    configuration: FileRecord | None = None
    if reading.is_folder:
        configuration = documents.record(CONFIGURATION, collection.put(CONFIGURATION, reading.content))
    last = documents.load_last(collection.folder / SERVER, OpenldapServer)
    known = _known(last, configuration)
    databases = tuple(
        _database(context, dataset, collection, reading, each, known.get(each)) for each in reading.carried
    )
    files = (configuration, *(database.content for database in databases))
    document = OpenldapServer(
        documents.SCHEMA, tools_version(), documents.digest_of_files(file for file in files if file is not None),
        taken_at, dataset.config, configuration, databases,
    )  # fmt: skip
    collection.put(SERVER, documents.render(documents.as_before(document, last)))
    collection.publish()


def _known(last: OpenldapServer | None, configuration: FileRecord | None) -> dict[DirectoryDatabase, OpenldapDatabase]:
    """Return the databases that were collected with this very configuration."""
    if last is None or configuration is None or last.configuration != configuration:
        return {}
    return {DirectoryDatabase(each.number, KIND, each.suffix, each.directory): each for each in last.databases}


def _database(
    context: Context, dataset: Dataset, collection: Collection, reading: Reading, database: DirectoryDatabase,
    last: OpenldapDatabase | None,
) -> OpenldapDatabase:  # fmt: skip
    name, counter = f"{database.number}.ldif", EntryCounter()
    seen = lmdb.moment_of(Path(database.directory, "data.mdb"))
    if last is not None and seen and last.seen == seen and (collection.folder / name).is_file():
        collection.keep(name)
        return last
    candidate = collection.candidate(name)
    with closing(output(reading, database.number, context.stall_seconds)) as chunks:
        for chunk in counted(chunks, counter):
            candidate.write(chunk)
            context.progress(dataset.name, candidate.size)
    candidate.pause()
    content = documents.record(name, candidate.digest)
    return OpenldapDatabase(database.number, database.suffix, database.directory, counter.count, seen, content)
