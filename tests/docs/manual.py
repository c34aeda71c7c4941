"""What the documents for people say (commands, options, settings, codes, links), to be compared with the code."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = [
    ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "docs/decisions").glob("*.md")),
]  # fmt: skip
FOR_ADMINISTRATORS = [ROOT / "README.md", ROOT / "docs/manual.md", ROOT / "docs/promotion.md"]
OURS = (
    "hotsync",
    "hotsync-slave",
    "hotsync-promote",
    "config",
    "db",
    "signal-event",
    "backup-config",
    "network-recovery",
)

_PROMPT = re.compile(r"^\s*(?:root@[a-z]+[#$]|\[root@[a-z]+\]#)\s+(.*)$")
_INLINE = re.compile(r"`([^`\n]+)`")
_LINK = re.compile(r"(?<!!)\[(?:[^\]\[]|\[[^\]]*\])*\]\(([^)\s]+)\)")
NOT_YET = "## Not in this version"


@dataclass(frozen=True, slots=True)
class Shown:
    """A command as a page shows it."""

    page: str
    words: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.page}: {' '.join(self.words)}"


def promised(text: str) -> str:
    """Given a page, return it without what it says is not there."""
    before, _, after = text.partition(NOT_YET)
    return before + after.partition("\n## ")[2]


def planned(text: str) -> str:
    """Given a page, return what it says is not there."""
    return text.partition(NOT_YET)[2].partition("\n## ")[0]


def commands_in(page: Path, text: str) -> Iterator[Shown]:
    """Return every command of ours that a text shows, in blocks and in lines."""
    name = str(page.relative_to(ROOT))
    blocks = [found[1] for line in text.splitlines() if (found := _PROMPT.match(line))]
    indented = [line[4:].strip() for line in text.splitlines() if line.startswith("    ")]
    for line in (*blocks, *indented, *_INLINE.findall(text)):
        for part in re.split(r"&&|;|\|", line.partition("  #")[0]):
            words = tuple(_words(part))
            if words and words[0].rpartition("/")[2] in OURS and "..." not in words and not _is_form(part):
                yield Shown(name, (words[0].rpartition("/")[2], *words[1:]))


def _is_form(part: str) -> bool:
    """The general form of a call (VERB, PROP) is no call."""
    return bool(re.search(r"\b(?:VERB|RECORD PROP|EVENT)\b", part))


def _words(part: str) -> list[str]:
    try:
        return shlex.split(part.replace("<", "").replace(">", ""), comments=True)
    except ValueError:
        return []


def anchors(text: str) -> set[str]:
    """Given a page, return the names of its headings as links have them."""
    found: set[str] = set()
    fenced = False
    for line in text.splitlines():
        fenced ^= line.startswith("```")
        if line.startswith("#") and not fenced:
            title = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", line.lstrip("#").strip()).lower()
            found.add(re.sub(r"[^\w\- ]", "", title).replace(" ", "-"))
    return found


def links(text: str) -> Iterator[str]:
    """Given a page, return the targets of its links within the repository."""
    for target in _LINK.findall(text):
        if "://" not in target:
            yield target
