"""A folder in which people work: made, and changed at random in every way in which a file can change."""

from __future__ import annotations

import os
import random
import shutil
import struct
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

Act = Callable[["BusyTree"], None]


@dataclass
class BusyTree:
    """One folder and the dice that decide what happens in it."""

    root: Path
    dice: random.Random
    _files: list[Path] = field(default_factory=list[Path])
    _folders: list[Path] = field(default_factory=list[Path])
    _made: int = 0

    def fill(self, files: int) -> None:
        """Make the folder with some folders and many files."""
        self.root.mkdir()
        self._folders = [self.root]
        for _ in range(max(4, files // 50)):
            folder = self._new()
            folder.mkdir()
            self._folders.append(folder)
        for _ in range(files):
            self._new().write_bytes(self._content())

    def change(self, times: int) -> None:
        """Let so many things happen; what cannot be done does not happen."""
        self._look()
        for _ in range(times):
            with suppress(OSError, IndexError):
                self.dice.choice(_ACTS)(self)

    def _look(self) -> None:
        self._files, self._folders = [], []
        for folder, below, names in os.walk(self.root):
            below.sort()
            self._folders.append(Path(folder))
            self._files += [Path(folder, name) for name in names]
        self._files.sort()
        self._folders.sort()

    def _new(self) -> Path:
        self._made += 1
        name = self.dice.choice(("plain", "with space", "\udcff\n", "ü"))
        return self.dice.choice(self._folders) / f"{name}{self._made}.{self.dice.randrange(10**6)}"

    def _content(self) -> bytes:
        return self.dice.randbytes(self.dice.choice((0, 1, 100, 100, 4000, 4000, 30_000)))

    def _file(self) -> Path:
        return self.dice.choice(self._files)

    def _folder(self) -> Path:
        return self.dice.choice(self._folders[1:])

    def any(self) -> Path:
        """Return a file, or now and then a folder."""
        return self._file() if self.dice.random() < 0.9 else self._folder()

    def create(self) -> None:
        path = self._new()
        path.write_bytes(self._content())
        self._files.append(path)

    def write(self) -> None:
        path = self._file()
        if not path.is_symlink():
            path.write_bytes(self._content())

    def append(self) -> None:
        path = self._file()
        if not path.is_symlink():
            with path.open("ab") as file:
                file.write(b"one line more\n")

    def delete(self) -> None:
        self._file().unlink()

    def rename(self) -> None:
        os.rename(self._file(), self._new())

    def rename_folder(self) -> None:
        if self.dice.random() < 0.1:
            os.rename(self._folder(), self._new())
            self._look()

    def mode(self) -> None:
        os.chmod(self.any(), self.dice.choice((0o600, 0o644, 0o755, 0o4711, 0o2770, 0o1777)))

    def owner(self) -> None:
        os.chown(self.any(), self.dice.randrange(5000), self.dice.randrange(5000), follow_symlinks=False)

    def time(self) -> None:
        moment = self.dice.randrange(2 * 10**18)
        os.utime(self.any(), ns=(moment, moment), follow_symlinks=False)

    def link(self) -> None:
        path = self._new()
        os.link(self._file(), path, follow_symlinks=False)
        self._files.append(path)

    def attribute(self) -> None:
        name = self.dice.choice(("user.note", "trusted.note", "security.NTACL"))
        os.setxattr(self.any(), name, self.dice.randbytes(self.dice.choice((0, 10, 200))))

    def acl(self) -> None:
        rules = ((0x01, 6, -1), (0x02, 4, self.dice.randrange(5000)), (0x04, 4, -1), (0x10, 6, -1), (0x20, 0, -1))
        value = struct.pack("<I", 2) + b"".join(struct.pack("<HHi", *rule) for rule in rules)
        os.setxattr(self.any(), "system.posix_acl_access", value)

    def retype(self) -> None:
        """Make a file a folder, a folder a link, a link a file."""
        path = self.any()
        if path.is_symlink():
            path.unlink()
            path.write_bytes(self._content())
        elif path.is_dir():
            shutil.rmtree(path)
            path.symlink_to("../elsewhere")
            self._look()
        else:
            path.unlink()
            path.mkdir()
            (path / "inside").write_bytes(self._content())


_ACTS: tuple[Act, ...] = (
    BusyTree.create, BusyTree.create, BusyTree.create, BusyTree.write, BusyTree.write, BusyTree.append,
    BusyTree.delete, BusyTree.rename, BusyTree.rename_folder, BusyTree.mode, BusyTree.owner, BusyTree.time,
    BusyTree.link, BusyTree.attribute, BusyTree.acl, BusyTree.retype,
)  # fmt: skip
