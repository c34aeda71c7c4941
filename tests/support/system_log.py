"""A system log that keeps its lines, where the real one would open a socket or run a program."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


class KeptLog:
    """Stands in for `SystemLog`; `sent_apart` are the lines that another process would send."""

    def __init__(self, lines: list[str], sent_apart: list[str] | None = None) -> None:
        self._lines = lines
        self._apart = [] if sent_apart is None else sent_apart
        self._ident = ""

    def made(self, ident: str, _address: Path) -> KeptLog:
        """Stand in for the class."""
        self._ident = ident
        return self

    def __call__(self, line: str) -> None:
        """Keep one line."""
        self._lines.append(f"{self._ident}: {line}")

    def apart(self, lines: Sequence[str]) -> None:
        """Keep lines that another process would send."""
        for line in lines:
            self(line)
        self._apart += lines
