"""ejabberd: its database (Mnesia) as the running server itself writes it.

The server writes a backup into a folder that only its own account may use; from there it is taken over. A backup that
holds the same as the last one does not replace it.
"""

from __future__ import annotations

import os
import pwd
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from hotsync.errors import CommandFailed, SourceError
from hotsync.model.generation import DatasetPoint
from hotsync.model.report import Check
from hotsync.sources import documents, proofs
from hotsync.sources.ejabberd import mnesia_backup
from hotsync.sources.ejabberd.documents import BACKUP, SERVER, EjabberdServer
from hotsync.sources.ejabberd.load import restore as restore
from hotsync.sources.ejabberd.server import (
    ACCOUNT,
    PRIVATE,
    Settings,
    ask_version,
    control,
    detail,
    moment_of,
    read_settings,
)
from hotsync.sources.ejabberd.server import NAME as NAME
from hotsync.sources.ejabberd.server import inspect as inspect
from hotsync.sources.source import Context, Dataset
from hotsync.sources.spool import CHUNK, Collection, collecting
from hotsync.system import trees
from hotsync.system.files import open_beneath

IS_DATABASE: bool = True


@dataclass(frozen=True, slots=True)
class Server:
    """What is known of the server that wrote a backup: its settings, its version, and the moment (`moment_of`)."""

    settings: Settings
    version: str
    seen: str


def collect(context: Context, dataset: Dataset) -> list[DatasetPoint]:
    """Given a server, bring its backup in the spool up to date; raise SourceError (the last good copy stays)."""
    if dataset.fault:
        raise SourceError(dataset=dataset.name, reason=dataset.fault)
    taken_at = context.clock.now()
    settings = read_settings(dataset.config)
    try:
        seen = moment_of(dataset.config, settings.node)
        with collecting(context.paths, dataset.name) as collection:
            last = documents.load_last(collection.folder / SERVER, EjabberdServer)
            if last is not None and not proofs.is_whole(collection.folder, last.files):
                last = None  # whatever the server says of itself, there is nothing that a promotion could load
            if last is None or not seen or last.seen != seen:
                server = Server(settings, ask_version(dataset.config), seen)
                with _backup(context, dataset, settings) as file:
                    _collect(context, dataset, server, collection, file, last)
    except CommandFailed as error:
        hint = "`ejabberdctl status` says whether it runs; the last good copy stays in the next generation."
        raise SourceError(dataset=dataset.name, reason=detail(error), hint=hint) from error
    except (OSError, LookupError, ValueError) as error:
        raise SourceError(dataset=dataset.name, reason=f"the backup: {error}") from error
    return [DatasetPoint(dataset.name, taken_at)]


def verify(folder: Path) -> list[Check]:
    """Given a collected server, return whether each of its files is what the document says; raise RestoreFailed."""
    document = documents.load(folder / SERVER, EjabberdServer)
    return documents.check_files(f"{NAME}/{folder.name}", folder, document.files)


def status(context: Context) -> str:
    """Ask the server of this host whether it has started; return that in words. Raise CommandFailed."""
    answers = [ask_version(dataset.config) for dataset in inspect(context) if dataset.config]
    return f"ejabberd {answers[0]} has started" if answers else "no ejabberd runs here"


@contextmanager
def _backup(context: Context, dataset: Dataset, settings: Settings) -> Iterator[IO[bytes]]:
    """Let the server write a backup, and return it, open; it is gone after the block."""
    account = pwd.getpwnam(ACCOUNT)
    # it stays: a folder that came and went would change the one above it in every run
    private = Path(settings.folder, PRIVATE)
    with suppress(FileExistsError):
        private.mkdir(mode=0o700)
        os.chown(private, account.pw_uid, account.pw_gid)
    folder = os.open(private, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        trees.remove(private / BACKUP)
        control(dataset.config, "backup", str(private / BACKUP), timeout=max(context.stall_seconds, 1.0))
        with os.fdopen(open_beneath(folder, BACKUP, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise ValueError("the server left something odd")
            yield file
    finally:
        with suppress(FileNotFoundError):
            os.unlink(BACKUP, dir_fd=folder)
        os.close(folder)


def _collect(
    context: Context, dataset: Dataset, server: Server, collection: Collection, file: IO[bytes],
    last: EjabberdServer | None,
) -> None:  # fmt: skip
    content = mnesia_backup.read_content(file)
    if last is not None and last.content_sum == content.sum:
        collection.keep(BACKUP)
        record = last.content
    else:
        file.seek(0)
        candidate = collection.candidate(BACKUP)
        while chunk := file.read(CHUNK):
            candidate.write(chunk)
            context.progress(dataset.name, candidate.size)
        candidate.pause()
        record = documents.record(BACKUP, candidate.digest)
    document = EjabberdServer(
        documents.SCHEMA, server.version, documents.digest_of_files([record]), context.clock.now(),
        server.settings.node, server.settings.folder, content.sum, content.records, server.seen, record,
    )  # fmt: skip
    collection.put(SERVER, documents.render(documents.as_before(document, last)))
    collection.publish()
