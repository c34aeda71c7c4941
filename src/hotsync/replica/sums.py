"""Sums of content: SHA-256, each file read once in big blocks, by two threads (hashlib lets go of the GIL)."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from hotsync.system.sums import sum_of_file

Answer = bytes | Future[bytes]

_THREADS = 2
_SMALL = 128 * 1024  # handing a file to a thread takes longer than reading so little
_AHEAD = 64


def value_of(answer: Answer) -> bytes:
    """Return the sum itself, waiting for it if need be."""
    return answer if isinstance(answer, bytes) else answer.result()


class SumWriter:
    """Computes sums in the background and writes them to a file in the order in which they were asked for."""

    def __init__(self, output: IO[bytes]) -> None:
        self._output = output
        self._pool = ThreadPoolExecutor(_THREADS)
        self._pending: deque[tuple[str, Answer]] = deque()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._settle(0 if kind is None else len(self._pending))
        finally:
            self._pool.shutdown(wait=True)

    def add(self, path: str, descriptor: int, size: int) -> Answer:
        """Given an open file, ask for its sum; it will be closed."""
        small = size <= _SMALL
        return self.repeat(path, sum_of_file(descriptor) if small else self._pool.submit(sum_of_file, descriptor))

    def repeat(self, path: str, answer: Answer) -> Answer:
        """Give another name of a file the same sum."""
        self._pending.append((path, answer))
        self._settle(_AHEAD)
        return answer

    def _settle(self, ahead: int) -> None:
        while len(self._pending) > ahead:
            path, answer = self._pending.popleft()
            self._output.write(json.dumps([path, value_of(answer).hex()]).encode("ascii") + b"\n")


def read_sums(path: Path) -> Iterator[tuple[str, bytes]]:
    """Given a file of sums, return paths and sums in order."""
    with path.open("rb") as file:
        for line in file:
            name, digest = json.loads(line)
            yield name, bytes.fromhex(digest)
