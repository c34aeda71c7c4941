"""Where everything of the replica lies; later there may be one store per file system, and this is the place for it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Layout:
    """The replica's places below its root (0700, root's)."""

    root: Path

    @property
    def tree(self) -> Path:
        """The last committed generation."""
        return self.root / "tree"

    @property
    def stagings(self) -> Path:
        """The only folder that the receiving rsync may write to."""
        return self.root / "staging"

    @property
    def works(self) -> Path:
        """What the commit knows of each staging; out of the receiver's reach."""
        return self.root / "work"

    @property
    def histories(self) -> Path:
        """The way back in time."""
        return self.root / "history"

    @property
    def pins(self) -> Path:
        """What is read for long while newer generations are committed."""
        return self.root / "pins"

    @property
    def journal(self) -> Path:
        """The one change of the replica that is in flight."""
        return self.root / "journal"

    @property
    def ballast(self) -> Path:
        """Room that is let go when the disk is full in the middle of a commit."""
        return self.root / "ballast"

    @property
    def closed(self) -> Path:
        """There once a promotion has claimed: nothing is committed any more."""
        return self.root / "closed"

    @property
    def refused(self) -> Path:
        """There from a generation that did not fit until one is committed."""
        return self.root / "refused"

    def staging(self, number: int) -> Path:
        """Return where the files of a generation arrive."""
        return self.stagings / str(number)

    def work(self, number: int) -> Path:
        """Return where the commit of a generation keeps its lists."""
        return self.works / str(number)

    def history(self, number: int) -> Path:
        """Return where what a generation replaced is kept."""
        return self.histories / str(number)

    def files(self, number: int) -> Path:
        """Return where the objects that a generation replaced or deleted are kept."""
        return self.history(number) / "files"

    def record(self, number: int) -> Path:
        """Return the record of what a generation replaced."""
        return self.history(number) / "record"

    def note(self, number: int) -> Path:
        """Return what is known of a generation, kept beside its history in case the manifest is lost."""
        return self.history(number) / "generation"

    def make(self) -> None:
        """Make the folders that always exist."""
        for folder in (self.root, self.tree, self.stagings, self.works, self.histories):
            if not folder.is_dir():
                folder.mkdir(mode=0o700, parents=True)


def numbers_in(folder: Path) -> list[int]:
    """Return the generations that a folder has something of, lowest first."""
    return sorted(int(item.name) for item in folder.iterdir() if item.name.isdecimal() and item.name.isascii())
