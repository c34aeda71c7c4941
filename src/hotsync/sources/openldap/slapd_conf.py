"""The old form of a directory server's configuration (slapd.conf): its databases, and a copy with other directories."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from hotsync.sources.openldap.ldif import DirectoryDatabase, quoted, unquoted

_DEEPEST = 8
_WITHOUT_NUMBER = ("config", "frontend")
_DIRECTIVE = re.compile(r"(\S+)\s*(.*)\Z", re.DOTALL)


def read_lines(path: Path, depth: int = _DEEPEST) -> Iterator[str]:
    """Given a configuration file, return its directives with those of the files that it includes; raise OSError.

    A line that begins with a blank goes on with the one before.
    """
    text = re.sub(r"\r?\n[ \t]+", " ", path.read_text("utf-8", "surrogateescape"))
    for line in text.splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        name, rest = _directive(line)
        if name != "include":
            yield line
        elif depth:
            yield from read_lines(Path(unquoted(rest)), depth - 1)


def databases_of(lines: list[str]) -> list[DirectoryDatabase]:
    """Given the directives, return the databases with the numbers that the tools know them by."""
    found: list[DirectoryDatabase] = []
    for number, name, rest in _numbered(lines):
        if name == "database" and number > 0:
            found.append(DirectoryDatabase(number, unquoted(rest).lower(), "", ""))
        elif number > 0 and name == "directory":
            found[-1] = replace(found[-1], directory=unquoted(rest))
        elif number > 0 and name == "suffix" and not found[-1].suffix:
            found[-1] = replace(found[-1], suffix=unquoted(rest))
    return found


def with_directories(lines: list[str], places: Mapping[int, str]) -> str:
    """Given the directives, return them with other directories for the databases of these numbers."""
    written: list[str] = []
    for (number, name, _), line in zip(_numbered(lines), lines, strict=True):
        moved = name == "directory" and number in places
        written.append(f"directory {quoted(places[number])}" if moved else line)
    return "\n".join([*written, ""])


def _numbered(lines: list[str]) -> Iterator[tuple[int, str, str]]:
    """Return each directive with the number of the database that it belongs to; 0: to none that is carried."""
    count, number = 0, 0
    for line in lines:
        name, rest = _directive(line)
        if name == "database":
            own = unquoted(rest).lower() not in _WITHOUT_NUMBER
            count += own
            number = count if own else 0
        yield number, name, rest


def _directive(line: str) -> tuple[str, str]:
    match = _DIRECTIVE.match(line.strip())
    return (match[1].lower(), match[2].strip()) if match else ("", "")
