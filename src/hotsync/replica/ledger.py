"""What the SLAVE keeps in the manifest's file besides entries: the generations, and a sum of each file's content."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import asdict, fields
from typing import Any

from hotsync.manifest.store import Manifest, row_of_entry
from hotsync.model.entry import Change, Entry, Verb, path_of_key, sort_key
from hotsync.model.generation import DatasetPoint, Generation

_CREATE = (
    "CREATE TABLE IF NOT EXISTS generation (number INTEGER PRIMARY KEY, digest, epoch, collected_at, committed_at,"
    " confirmed_at, changed, deleted, bytes, unsettled, datasets)",
    "CREATE TABLE IF NOT EXISTS content (key BLOB PRIMARY KEY, sum BLOB) WITHOUT ROWID",
    # the other names of a file are looked for by its inode, and few files have any
    "CREATE INDEX IF NOT EXISTS entry_links ON entry (inode, device) WHERE links > 1 AND kind <> 'd'",
)
_FIELDS = tuple(field.name for field in fields(Generation))
_SUMS = "SELECT key, sum FROM content WHERE key IN (SELECT key FROM entry WHERE kind = 'f' AND links <= 1) ORDER BY key"
_WITHOUT_SUM = (
    "SELECT key FROM entry WHERE kind = 'f' AND links <= 1"
    " AND NOT EXISTS (SELECT 1 FROM content WHERE content.key = entry.key) ORDER BY key"
)
_LINKED = "SELECT key FROM entry WHERE inode = ? AND device = ? AND links > 1 AND kind <> 'd' ORDER BY key"


class Ledger:
    """The generations that are held, and the sums; reads see what was committed last."""

    def __init__(self, manifest: Manifest) -> None:
        self.manifest = manifest
        with closing(self._read()) as db:
            made = db.execute("SELECT count(*) FROM sqlite_master WHERE name = 'entry_links'").fetchone()[0]
        if not made:
            with manifest.transaction() as db:
                for statement in _CREATE:
                    db.execute(statement)
        self._db = self._read()

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def generations(self) -> list[Generation]:
        """Return the generations that are held, oldest first."""
        return generations_in(self._db)

    def sum_of(self, path: str) -> str:
        """Return the SHA-256 (hex) of a file's content as it arrived, "" if none is known."""
        row = self._db.execute("SELECT sum FROM content WHERE key = ?", (sort_key(path),)).fetchone()
        return "" if row is None else bytes(row[0]).hex()

    def sums(self) -> Iterator[tuple[str, bytes]]:
        """Return the sums that are known of files with one name, in the order of paths."""
        return ((path_of_key(key), bytes(known)) for key, known in self._db.execute(_SUMS))

    def without_sum(self) -> Iterator[str]:
        """Return the files with one name whose sum is not known, in order."""
        return (path_of_key(key) for (key,) in self._db.execute(_WITHOUT_SUM))

    def keep_sums(self, sums: Iterable[tuple[str, bytes]]) -> None:
        """Note sums that were taken of files that lie in the tree."""
        with self.manifest.transaction() as db:
            db.executemany(
                "INSERT OR IGNORE INTO content VALUES (?, ?)", ((sort_key(path), digest) for path, digest in sums)
            )

    def names_of(self, entry: Entry) -> list[str]:
        """Return all paths that are names of the same thing on the MASTER, in order."""
        row = row_of_entry(entry)
        return [path_of_key(key) for (key,) in self._db.execute(_LINKED, (row[8], row[9]))]

    def count_below(self, path: str) -> int:
        """Return how many entries lie inside a folder."""
        key = sort_key(path)
        query = "SELECT count(*) FROM entry WHERE key > ? AND key < ?"
        return int(self._db.execute(query, (key + b"\0", key + b"\1")).fetchone()[0])

    def commit(
        self,
        generation: Generation,
        changes: Iterable[Change],
        sums: Iterable[tuple[str, bytes]],
        state: str | None = None,
    ) -> None:
        """Make entries, sums, number, digest and generation those of the next generation, in one transaction.

        `state`: that of the tree changes with it.
        """
        with self.manifest.transaction() as db:
            self.manifest.apply_changes(_forgetting_sums(changes, db))
            for path, digest in sums:
                db.execute("INSERT OR REPLACE INTO content VALUES (?, ?)", (sort_key(path), digest))
            self.manifest.set_generation(generation.number, generation.digest)
            put(db, generation)
            if state is not None:
                self.manifest.set_meta("state", state)

    def start_anew(self, entries: Iterable[Entry], generation: Generation) -> None:
        """Forget all that was known, and hold `entries` as this generation, in one transaction."""
        with self.manifest.transaction() as db:
            db.execute("DELETE FROM content")
            db.execute("DELETE FROM generation")
            db.execute("DELETE FROM meta WHERE name <> 'schema'")
            self.manifest.put_entries(entries)
            self.manifest.set_generation(generation.number, generation.digest)
            put(db, generation)

    def confirm(self, generation: Generation) -> None:
        """Write the generation's row anew."""
        with self.manifest.transaction() as db:
            put(db, generation)

    def remember(self, generations: Iterable[Generation]) -> None:
        """Write the rows of generations that are known from elsewhere."""
        with self.manifest.transaction() as db:
            for generation in generations:
                put(db, generation)

    def forget(self, numbers: Iterable[int]) -> None:
        """Strike generations out; what is kept of them has been merged or is no longer needed."""
        with self.manifest.transaction() as db:
            db.executemany("DELETE FROM generation WHERE number = ?", [(number,) for number in numbers])

    def _read(self) -> sqlite3.Connection:
        return sqlite3.connect(f"{self.manifest.path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)


def _forgetting_sums(changes: Iterable[Change], db: sqlite3.Connection) -> Iterator[Change]:
    for change in changes:
        if change.verb is not Verb.META:
            db.execute("DELETE FROM content WHERE key = ?", (sort_key(change.path),))
        yield change


def put(db: sqlite3.Connection, generation: Generation) -> None:
    """Write a generation's row, inside a transaction of the caller."""
    row = asdict(generation)
    row["datasets"] = json.dumps(row["datasets"])
    columns = ",".join(row)
    db.execute(
        f"INSERT OR REPLACE INTO generation ({columns}) VALUES ({','.join('?' * len(row))})",  # noqa: S608
        tuple(row.values()),
    )


def generations_in(db: sqlite3.Connection) -> list[Generation]:
    """Return the generations that are held, oldest first."""
    query = f"SELECT {','.join(_FIELDS)} FROM generation ORDER BY number"  # noqa: S608 - constants only
    return [_generation(row) for row in db.execute(query)]


def _generation(row: tuple[Any, ...]) -> Generation:
    document = dict(zip(_FIELDS, row, strict=True))
    return generation_from_json({**document, "datasets": json.loads(row[-1])})


def generation_to_json(generation: Generation) -> dict[str, Any]:
    """Return a generation as the journal keeps it."""
    return asdict(generation)


def generation_from_json(document: dict[str, Any]) -> Generation:
    """Given what `generation_to_json` returned, return the generation."""
    points: Any = tuple(DatasetPoint(**point) for point in document["datasets"])
    values: dict[str, Any] = {**document, "datasets": points}
    return Generation(**values)
