"""The administrator's lists: /etc/backup-data.d and /etc/backup-config.d, one absolute path or pattern a line.

Each line is read from its own file, so that a file without a final line end glues nothing. The lists never had
comments; blank lines are skipped, blanks at the end of a line dropped. A line that is no absolute path is named and
left out: the next lines still count. A list that cannot be read is taken as it was read last: what it named would be
deleted from the replica otherwise.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

from hotsync.model.report import Notice
from hotsync.model.selection import Action, Rule
from hotsync.system.paths import Paths

DATA_LISTS = "/etc/backup-data.d"
CONFIG_LISTS = "/etc/backup-config.d"
_SUFFIXES = {".include": Action.INCLUDE, ".exclude": Action.EXCLUDE}
_LARGEST = 16 * 1024 * 1024


def read_lists(
    paths: Paths,
    folders: Iterable[str] = (DATA_LISTS, CONFIG_LISTS),
    last: Mapping[str, tuple[Rule, ...]] = MappingProxyType({}),
) -> tuple[tuple[Rule, ...], tuple[Notice, ...]]:
    """Given the host, return the rules of all lists, each with its file and line, and what was wrong with them.

    `last` are the rules of each list when it was read last (see `by_list`).
    """
    rules: list[Rule] = []
    notices: list[Notice] = []
    for folder in folders:
        for path in list_files(paths.at(folder)):
            origin = "/" + os.path.relpath(path, paths.root)
            try:
                text = read_text(path)
            except OSError as error:
                held = "; what it said before holds" if origin in last else ""
                notices.append(Notice("lists.unreadable", f"{origin} cannot be read: {error.strerror}{held}", origin))
                rules += last.get(origin, ())
                continue
            parsed, wrong = parse_list(text, _SUFFIXES[path.suffix], origin)
            rules += parsed
            notices += wrong
    return tuple(rules), tuple(notices)


def by_list(rules: Iterable[Rule]) -> dict[str, tuple[Rule, ...]]:
    """Given the rules of lists, return them by the list that they stand in."""
    found: dict[str, tuple[Rule, ...]] = {}
    for rule in rules:
        path = rule.origin.rpartition(":")[0]
        found[path] = (*found.get(path, ()), rule)
    return found


def list_files(folder: Path) -> Iterator[Path]:
    """Given a folder of lists, return its files in name order; other files are none of our business.

    A link that leads nowhere (its disk is not mounted) is a list that cannot be read.
    """
    try:
        found = sorted(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return
    yield from (path for path in found if path.suffix in _SUFFIXES and (path.is_file() or path.is_symlink()))


def parse_list(text: str, action: Action, origin: str) -> tuple[list[Rule], list[Notice]]:
    """Given a list's text, return its rules and what was wrong with it; the same path twice is one rule."""
    rules: dict[str, Rule] = {}
    notices: list[Notice] = []
    for number, line in enumerate(text.split("\n"), start=1):
        pattern = line.rstrip(" \t\r")
        place = f"{origin}:{number}"
        if not pattern:
            continue
        if fault := fault_of(pattern):
            notices.append(Notice("lists.line", f"{place}: {pattern[:200]!r} {fault}; the line is left out", origin))
        else:
            rules.setdefault(normal(pattern), Rule(normal(pattern), action, place))
    return list(rules.values()), notices


def fault_of(pattern: str) -> str:
    """Given a line, return what keeps it from being a rule, or ""."""
    if not pattern.startswith("/"):
        return "is no absolute path"
    if any(part in (".", "..") for part in pattern.split("/")):
        return "has a part that is . or .."
    if "\0" in pattern:
        return "holds a NUL"
    return ""


def normal(pattern: str) -> str:
    """Given an absolute pattern, return it without doubled slashes and without one at the end (`/` stays)."""
    return "/" + "/".join(part for part in pattern.split("/") if part)


def read_text(path: Path) -> str:
    """Given a list, return its text; bytes that are not UTF-8 live on as surrogates; raise OSError."""
    with path.open("rb") as file:
        return os.fsdecode(file.read(_LARGEST))
