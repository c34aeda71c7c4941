"""A changeset as a file of canonical lines: written whole or not at all, read one line at a time."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from hotsync.errors import ProtocolError, ReplicaError
from hotsync.model.changeset import MAX_LINE, chain_digest, check_order, parse_change, recall_change, render_change
from hotsync.model.entry import Change, Kind, Verb
from hotsync.system.files import open_atomic


@dataclass(frozen=True, slots=True)
class ChangesetSummary:
    """A written changeset in figures: its digest in the chain, changes by verb, content bytes, bytes of the file."""

    digest: str
    content: int = 0
    meta: int = 0
    moved: int = 0
    deleted: int = 0
    unsettled: int = 0
    content_bytes: int = 0
    file_bytes: int = 0

    @property
    def changes(self) -> int:
        """Return the number of lines."""
        return self.content + self.meta + self.moved + self.deleted


class ChangesetWriter:
    """Writes sorted changes to a file; a context manager: the file appears, durable, when the block ends well.

    Changes must come in the order of `sort_key`; the digest goes on from `previous_digest`.
    """

    def __init__(self, path: Path, previous_digest: str) -> None:
        self.path = path
        self._digest = hashlib.sha256(bytes.fromhex(previous_digest))
        self._stack = ExitStack()
        self._file: IO[bytes] | None = None
        self._counts = dict.fromkeys(Verb, 0)
        self._unsettled = self._content_bytes = self._file_bytes = 0

    def __enter__(self) -> Self:
        with writing(self.path):
            self._file = self._stack.enter_context(open_atomic(self.path, mode=0o600))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file = None
        # what comes out of it is new trouble: of the closing, also after trouble in the block
        with writing(self.path):
            self._stack.__exit__(kind, error, trace)

    def write(self, change: Change) -> None:
        """Append a change."""
        self.write_line(change, render_change(change))

    def write_line(self, change: Change, line: bytes) -> None:
        """Append a change whose canonical line is at hand already."""
        if self._file is None:
            raise ValueError("the changeset is not open")
        try:
            self._file.write(line)
        except OSError as error:
            raise _cannot_write(self.path, error) from error
        self._digest.update(line)
        self._file_bytes += len(line)
        self._counts[change.verb] += 1
        entry = change.entry
        if entry is not None:
            self._unsettled += entry.unsettled
            if change.verb is Verb.CONTENT and entry.kind is Kind.FILE:
                # the names of one inode are sent once, and each bears its share
                self._content_bytes += entry.size // max(1, entry.links)

    def summary(self) -> ChangesetSummary:
        """Return the figures of what was written so far."""
        return ChangesetSummary(
            digest=self._digest.hexdigest(),
            content=self._counts[Verb.CONTENT],
            meta=self._counts[Verb.META],
            moved=self._counts[Verb.MOVED],
            deleted=self._counts[Verb.DELETE],
            unsettled=self._unsettled,
            content_bytes=self._content_bytes,
            file_bytes=self._file_bytes,
        )


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Give what goes wrong while a file of ours is written a sentence and a hint: raise ReplicaError for OSError."""
    try:
        yield
    except OSError as error:
        raise _cannot_write(path, error) from error


def _cannot_write(path: Path, error: OSError) -> ReplicaError:
    return ReplicaError(
        reason=f"{path} cannot be written: {error.strerror or error}",
        hint=f"Is there room left on the file system of {path.parent} (df), and is it mounted for writing?",
    )


def read_lines(path: Path) -> Iterator[bytes]:
    """Given a changeset file, return its lines; raise ProtocolError if one is too long or cut."""
    with path.open("rb") as file:
        while line := file.readline(MAX_LINE + 1):
            if not line.endswith(b"\n"):
                raise ProtocolError(reason=f"{path.name} ends in the middle of a line, or a line is too long")
            yield line


def read_changes(path: Path) -> Iterator[Change]:
    """Given a changeset file, return its changes; raise ProtocolError unless it is canonical, sorted and safe."""
    return check_order(map(parse_change, read_lines(path)))


def recall_changes(path: Path) -> Iterator[Change]:
    """Given a changeset file that this host wrote itself, return its changes; raise ProtocolError if it is damaged."""
    return map(recall_change, read_lines(path))


def digest_of_file(path: Path, previous_digest: str) -> str:
    """Given a changeset file, return the digest of the chain after it; raise ProtocolError if it is cut."""
    return chain_digest(previous_digest, read_lines(path))
