"""The document beside a collected directory server."""

from __future__ import annotations

from dataclasses import dataclass

from hotsync.sources.documents import FileRecord, Version

SERVER = "server.json"
CONFIGURATION = "config.ldif"


@dataclass(frozen=True, slots=True)
class OpenldapDatabase:
    """One database: its number and suffix, where its files lie, how many entries it has.

    `seen` is the moment of its file before it was read (`lmdb.moment_of`): while that is so, nothing was written.
    """

    number: int
    suffix: str
    directory: str
    entries: int
    seen: str
    content: FileRecord


@dataclass(frozen=True, slots=True)
class OpenldapServer:
    """One collected directory server. `configuration` is None where that is a file of /etc, which is carried itself."""

    schema: int
    version: Version
    digest: str
    collected_at: float
    config: str
    configuration: FileRecord | None
    databases: tuple[OpenldapDatabase, ...]

    @property
    def place(self) -> str:
        """Return the folder of its first database; without one, that of its configuration."""
        return next((database.directory for database in self.databases), self.config)

    @property
    def files(self) -> tuple[FileRecord, ...]:
        """Return all files that belong to it."""
        own = () if self.configuration is None else (self.configuration,)
        return (*own, *(database.content for database in self.databases))
