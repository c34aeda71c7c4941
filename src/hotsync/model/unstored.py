"""What a SLAVE says that it could not store, and which paths of a run its words mean.

They are the peer's words: they choose among the paths of this run, which are left out of its generation then, and are
nothing else. Why it is so is said in words of our own.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass

_TEMPORARY = re.compile(r"(?P<folder>(?:.*/)?)\.(?:(?P<stem>[^/]*)\.)?[0-9A-Za-z]{6}\Z", re.DOTALL)
"""rsync writes `.NAME.XXXXXX`; a name that begins with a dot gets no second one."""
_CUT_SHORT = 240
"""From so many bytes on the temporary name may have but the beginning of the name, or be no more than `.XXXXXX`."""


@dataclass(frozen=True, slots=True)
class Unstored:
    """One thing that could not be stored, and why: `paths` is what a line can mean (names have any bytes in them).

    `unmade`: a folder, in which there is nothing either. `over`: the receiver ended with it.
    """

    paths: tuple[str, ...]
    reason: str
    unmade: bool = False
    over: bool = False


class Meant:
    """Says of each path of a run whether words mean it; ask in the order of a changeset."""

    def __init__(self, words: Iterable[Unstored]) -> None:
        self._named: dict[str, list[Unstored]] = {}
        self._stems: dict[str, dict[str, list[Unstored]]] = {}
        self._unknown: dict[Unstored, None] = {}
        self._met: set[str] = set()
        self._folder = ""
        self._above: list[Unstored] = []
        for word in words:
            self._unknown[word] = None
            for path in word.paths:
                self._named.setdefault(path, []).append(word)
                if found := _TEMPORARY.match(path):
                    stems = self._stems.setdefault(found["folder"].rstrip("/"), {})
                    stems.setdefault(found["stem"] or "", []).append(word)

    @property
    def unknown(self) -> tuple[Unstored, ...]:
        """Return the words that meant no path so far."""
        return tuple(self._unknown)

    def reason(self, path: str) -> str | None:
        """Given the next path, return why it could not be stored, None if nothing says so."""
        folder, _, name = path.rpartition("/")
        words = self._named.get(path, [])
        if words:
            self._met.add(path)
        words = [*words, *self._temporary(folder, name), *self._below(folder)]
        for word in words:
            self._unknown.pop(word, None)
        return words[0].reason if words else None

    def _temporary(self, folder: str, name: str) -> list[Unstored]:
        stems = self._stems.get(folder)
        if stems is None:
            return []
        bare = name.removeprefix(".")
        found = [*stems.get(name, []), *(stems.get(bare, []) if bare != name else [])]
        if len(os.fsencode(name)) >= _CUT_SHORT:
            begun = [word for stem, words in stems.items() if bare.startswith(stem) for word in words]
            found += [word for word in begun if self._met.isdisjoint(word.paths)]
        return found

    def _below(self, folder: str) -> list[Unstored]:
        """Return what is said of a folder above that was not made: the words say so, or it is no path of this run."""
        if folder != self._folder:
            self._folder, self._above = folder, []
            while folder and not self._above:
                unmade = folder not in self._met
                self._above = [word for word in self._named.get(folder, []) if unmade or word.unmade]
                folder = folder.rpartition("/")[0]
        return self._above
