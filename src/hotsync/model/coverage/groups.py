"""Unprotected files become few lines: each the highest folder that holds nothing else. Pure, in bounded memory."""

from __future__ import annotations

from dataclasses import dataclass, field

_MOST_GROUPS = 20  # a walk keeps no more than this of each folder that it is in
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

    `other`: it holds something that is protected, or that is known to be none of our concern. The path of the root is
    "": there nothing is added up, since "/" says nothing.
    """

    path: str
    other: bool = False
    any: bool = False
    _loose: Tally = field(default_factory=Tally)
    _named: list[Group] = field(default_factory=list[Group])
    _below: dict[str, list[Group]] = field(default_factory=dict[str, list[Group]])
    _quiet: Tally = field(default_factory=Tally)
    _rest: Tally = field(default_factory=Tally)

    def file(self, path: str, size: int, changed: float, *, lately: bool) -> None:
        """Count an unprotected file."""
        self.any = True
        tally = Tally(1, size, changed, size) if lately else Tally(held=size)
        self._loose.add(tally)
        if lately and len(self._named) <= self._most_named:
            self._named.append(tally.group(path, whole=True))

    def take(self, child: Folder) -> None:
        """Count a folder in this one that the walk has left."""
        self.other |= child.other
        self.any |= child.any
        groups = child.groups()
        for group in groups:
            if not group.files:  # nothing changed there lately: it counts for its bytes only
                self._quiet.add(group)
        told = [group for group in groups if group.files]
        if self._rest.files:  # they were too many already
            for group in told:
                self._rest.add(group)
        elif told:
            self._below[child.path] = told
            self._shorten()

    def groups(self) -> list[Group]:
        """Return what is to be told of this folder."""
        total = Tally()
        if self.any and not self.other:
            for sums in (self._loose, self._rest, self._quiet):
                total.add(sums)
            for group in self._told():
                total.add(group)
            # folders in which nothing changed lately are kept for their bytes
            return [total.group(self.path, whole=True)]
        total.add(self._rest)
        named = self._named if len(self._named) <= self._most_named else []
        if not named:
            total.add(self._loose)
        rest = [total.group(self.path or "/", whole=False)] if total.files else []
        return [*self._told(), *named, *rest]

    @property
    def _most_named(self) -> int:
        return _MOST_NAMED if self.path else _MOST_GROUPS

    def _told(self) -> list[Group]:
        return [group for groups in self._below.values() for group in groups]

    def _shorten(self) -> None:
        """While there is too much below, make one line of what lies in the fullest folder; then of all that is left.

        So what lies alone in a folder keeps its name as long as possible.
        """
        while sum(map(len, self._below.values())) > _MOST_GROUPS:
            fullest = max(self._below, key=lambda path: len(self._below[path]))
            total = Tally()
            for group in self._below[fullest]:
                total.add(group)
            if len(self._below[fullest]) > 1:
                self._below[fullest] = [total.group(fullest, whole=False)]
            elif self.path:
                for group in self._told():
                    self._rest.add(group)
                self._below.clear()
            else:
                return
