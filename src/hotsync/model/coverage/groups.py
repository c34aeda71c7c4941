"""Unprotected files become few lines: each the highest folder that holds nothing else. Pure, in bounded memory."""

from __future__ import annotations

from dataclasses import dataclass, field

_MOST_GROUPS = 20
_MOST_NAMED = 5


@dataclass(frozen=True, slots=True)
class Group:
    """Files that nothing protects and that changed lately: a folder (`whole`: all in it is so) or one file.

    `held` are the bytes of all unprotected files there, also of those that did not change.
    """

    path: str
    files: int
    size: int
    newest: float
    held: int
    whole: bool = True


@dataclass(slots=True)
class Tally:
    """A sum of files: those that changed lately, and what all hold."""

    files: int = 0
    size: int = 0
    newest: float = 0.0
    held: int = 0

    def add(self, other: Tally | Group) -> None:
        """Take another sum in."""
        self.files += other.files
        self.size += other.size
        self.newest = max(self.newest, other.newest)
        self.held += other.held

    def group(self, path: str, *, whole: bool) -> Group:
        """Return the sum as what lies at a path."""
        return Group(path, self.files, self.size, self.newest, self.held, whole)


@dataclass(slots=True)
class Folder:
    """A folder that a walk is in: what it met there of unprotected files.

    `other`: it holds something that is protected, or that is known to be none of our concern.
    """

    path: str
    other: bool = False
    any: bool = False
    _loose: Tally = field(default_factory=Tally)
    _named: list[Group] = field(default_factory=list[Group])
    _below: list[Group] = field(default_factory=list[Group])
    _many: bool = False

    def file(self, path: str, size: int, changed: float, *, lately: bool) -> None:
        """Count an unprotected file."""
        self.any = True
        tally = Tally(1, size, changed, size) if lately else Tally(held=size)
        self._loose.add(tally)
        if lately and len(self._named) <= _MOST_NAMED:
            self._named.append(tally.group(path, whole=True))

    def take(self, child: Folder) -> None:
        """Count a folder in this one that the walk has left."""
        self.other |= child.other
        self.any |= child.any
        self._below += child.groups()
        if self._many or len(self._below) > _MOST_GROUPS:  # a walk keeps no more than this of each folder that it is in
            total = Tally()
            for group in self._below:
                total.add(group)
            self._many = bool(self._below)
            self._below = [total.group(self.path or "/", whole=False)]

    def groups(self) -> list[Group]:
        """Return what is to be told of this folder."""
        if self.any and not self.other:
            total = Tally()
            total.add(self._loose)
            for group in self._below:
                total.add(group)
            # folders in which nothing changed lately are kept for their bytes
            return [total.group(self.path, whole=True)]
        here = self.path or "/"
        below = [group for group in self._below if group.files]
        if len(self._named) <= _MOST_NAMED:
            return [*below, *self._named]
        total = Tally()
        total.add(self._loose)
        for group in below:
            if group.path == here:
                total.add(group)
        return [*(group for group in below if group.path != here), total.group(here, whole=False)]
