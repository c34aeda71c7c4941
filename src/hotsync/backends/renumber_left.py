"""Files that could not follow their account (on a disk that is read-only, say), remembered by the account's name.

They are tried again until they follow, and no later move takes such a file for one of the account that has its number
now.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from hotsync.backends.renumber_file import (
    Renumbering,
    acl_entries,
    append_line,
    make_change,
    parent,
    read_change,
    read_lines,
)
from hotsync.model.accounts.moves import Account
from hotsync.system.files import write_atomic


@dataclass(frozen=True, slots=True)
class LeftFile:
    """A file with numbers that mean somebody else now, and by the old numbers whom they meant."""

    path: str
    inode: int
    users: Mapping[int, str]
    groups: Mapping[int, str]

    def __str__(self) -> str:
        """Return it in a person's words."""
        whose = [f"user {name} ({number})" for number, name in self.users.items()]
        whose += [f"group {name} ({number})" for number, name in self.groups.items()]
        return f"{self.path} has numbers of before: {', '.join(whose)}"


class LeftFiles:
    """What is remembered in one file."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def read(self) -> list[LeftFile]:
        """Return them, by path; of what was noted twice the last."""
        found: dict[tuple[str, int], LeftFile] = {}
        for line in read_lines(self._file):
            path = bytes.fromhex(str(line["path"])).decode("utf-8", "surrogateescape")
            left = LeftFile(path, int(str(line["inode"])), _named(line["users"]), _named(line["groups"]))
            known = found.get((path, left.inode))
            if known:  # its owner could not follow the first move, an ACL of it not the second
                left = LeftFile(path, left.inode, {**left.users, **known.users}, {**left.groups, **known.groups})
            found[path, left.inode] = left
        return sorted(found.values(), key=lambda left: left.path)

    def note(
        self, path: str, status: os.stat_result, acls: Mapping[str, tuple[bytes, bytes]], maps: Renumbering
    ) -> None:
        """Remember a file that could not be changed; `maps` has the names of the numbers."""
        numbers = {number for value, _ in acls.values() for _, _, _, number in acl_entries(value)}
        users, groups = numbers | {status.st_uid}, numbers | {status.st_gid}
        append_line(
            self._file,
            {
                "path": path.encode("utf-8", "surrogateescape").hex(),
                "inode": status.st_ino,
                "users": {number: name for number, name in maps.users.items() if number in users},
                "groups": {number: name for number, name in maps.groups.items() if number in groups},
            },
        )

    def retry(self, root: Path, special: Path, users: Mapping[str, Account], groups: Mapping[str, Account]) -> None:
        """Give every remembered file the numbers that its accounts have now; keep those that still cannot follow."""
        before = self.read()
        after = [left for left in before if not _follows(left, root, special, users, groups)]
        if not after:
            self._file.unlink(missing_ok=True)
        elif after != before:
            write_atomic(self._file, b"".join(map(_line, after)), mode=0o600)


def _follows(
    left: LeftFile, root: Path, special: Path, users: Mapping[str, Account], groups: Mapping[str, Account]
) -> bool:
    maps = Renumbering(
        {number: new for number, name in left.users.items() if (new := _number_of(name, users)) is not None},
        {number: new for number, name in left.groups.items() if (new := _number_of(name, groups)) is not None},
    )
    try:
        with parent(root, left.path) as (folder, name):
            status = os.stat(name, dir_fd=folder, follow_symlinks=False)
            if status.st_ino == left.inode:
                change = read_change(folder, name, status, maps)
                if not change.empty:
                    make_change((folder, name, left.path), status, change, special)
    except (FileNotFoundError, NotADirectoryError):
        return not _is_unmounted(root, left.path)
    except OSError:
        return False
    return True


def _number_of(name: str, accounts: Mapping[str, Account]) -> int | None:
    """Given an account, or #NUMBER for a number that nobody's account has (a sub-id), return its number now."""
    if name.startswith("#"):
        return int(name[1:])
    return accounts[name].number if name in accounts else None


def _is_unmounted(root: Path, path: str) -> bool:
    """Return whether what is missing may come back: it lies below an empty folder, as a disk leaves that is away."""
    folder = Path(path).parent
    while folder != root and not folder.exists():
        folder = folder.parent
    return folder != root and not any(folder.iterdir())


def _named(value: object) -> dict[int, str]:
    return {int(number): name for number, name in cast("dict[str, str]", value).items()}


def _line(left: LeftFile) -> bytes:
    line = {
        "path": left.path.encode("utf-8", "surrogateescape").hex(),
        "inode": left.inode,
        "users": dict(left.users),
        "groups": dict(left.groups),
    }
    return json.dumps(line).encode() + b"\n"
