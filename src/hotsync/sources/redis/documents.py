"""The document beside a collected Redis server."""

from __future__ import annotations

from dataclasses import dataclass

from hotsync.sources.documents import FileRecord, Version

SERVER = "server.json"
DUMP = "dump.rdb"


@dataclass(frozen=True, slots=True)
class RedisServer:
    """One collected Redis server.

    `folder`, `dump`, `append_folder` and `append_name` are where the server looks when it starts, `owner` and `group`
    whose the folder is. `seen` is the run of the server and the file (inode, time) that were collected: while the
    server says that nothing changed since, it is not asked to save again. `unit` is what the server runs in there.
    """

    schema: int
    version: Version
    digest: str
    collected_at: float
    folder: str
    dump: str
    append_only: bool
    append_folder: str
    append_name: str
    owner: str
    group: str
    seen: str
    content: FileRecord
    unit: str = ""

    @property
    def place(self) -> str:
        """Return the folder in which the server finds its data."""
        return self.folder

    @property
    def files(self) -> tuple[FileRecord, ...]:
        """Return all files that belong to it."""
        return (self.content,)
