"""The document beside a collected ejabberd server."""

from __future__ import annotations

from dataclasses import dataclass

from hotsync.sources.documents import FileRecord, Version

SERVER = "server.json"
BACKUP = "mnesia.backup"


@dataclass(frozen=True, slots=True)
class EjabberdServer:
    """One collected ejabberd server.

    `node` is the name by which its database knows it, `folder` where the database lies. `content_sum` is that of what
    the backup holds; `records` are how many there are of each name. `seen` is the run of the server and how much it had
    written before the backup: while that is so, nothing changed.
    """

    schema: int
    version: Version
    digest: str
    collected_at: float
    node: str
    folder: str
    content_sum: str
    records: dict[str, int]
    seen: str
    content: FileRecord

    @property
    def place(self) -> str:
        """Return the folder in which the server finds its database."""
        return self.folder

    @property
    def files(self) -> tuple[FileRecord, ...]:
        """Return all files that belong to it."""
        return (self.content,)
