"""While packages are unpacked: no clock ends it, and a word says afterwards whether it was cut, and in what."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager

from hotsync.system.files import write_atomic
from hotsync.system.paths import Paths

SECONDS = 24 * 3600.0
"""None that matters: whoever kills dpkg or rpm at work breaks the package database. hotsync-slave's unit ends before,
and that leaves the word behind."""
_NEW, _UPDATED = "new", "updated"


class Unpacking:
    """The word that is there while an install of ours is not done: a line for each package, new here or updated."""

    def __init__(self, paths: Paths) -> None:
        self._place = paths.install_under_way

    def begin(self, new: Collection[str] = (), updated: Collection[str] = ()) -> None:
        """Leave the word before anything is unpacked; what an earlier install of ours left half done stays in it."""
        self._write(self._words() | dict.fromkeys(updated, _UPDATED) | dict.fromkeys(new, _NEW))

    def keep(self, names: Collection[str]) -> None:
        """Let the word speak of these packages only, which are half done; take it away if there are none."""
        left = {name: word for name, word in self._words().items() if name in names}
        if left:
            self._write(left)
        else:
            self.end()

    def end(self) -> None:
        """Take the word away: nothing of it is half done."""
        self._place.unlink(missing_ok=True)

    @property
    def is_told(self) -> bool:
        """Return whether there is a word."""
        return self._place.exists()

    @property
    def names(self) -> frozenset[str]:
        """Return the packages of which the word speaks."""
        return frozenset(self._words())

    @property
    def new(self) -> frozenset[str]:
        """Return those of them that were not here before."""
        return frozenset(name for name, word in self._words().items() if word == _NEW)

    def _write(self, words: Mapping[str, str]) -> None:
        lines = (f"{word} {name}\n" for name, word in sorted(words.items()))
        write_atomic(self._place, "".join(lines).encode(), mode=0o600)

    def _words(self) -> dict[str, str]:
        if not self._place.exists():
            return {}
        lines = (line.partition(" ") for line in self._place.read_text(encoding="utf-8").splitlines())
        return {name: word for word, _, name in lines}


@contextmanager
def under_way(paths: Paths) -> Iterator[None]:
    """Leave a word while packages are being unpacked; it stays only if we are ended meanwhile."""
    word = Unpacking(paths)
    word.begin()
    try:
        yield
    except Exception:
        word.end()
        raise
    word.end()
