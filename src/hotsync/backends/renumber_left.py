"""Files that could not follow their account (on a disk that is read-only, say), remembered by the account's name.

They are tried again until they follow, and no later move takes such a file for one of the account that has its number
now.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
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
from hotsync.model.accounts.moves import Account, Move, rounds
from hotsync.system.files import write_atomic

Below = Callable[[Path, Renumbering, bool], bool]
"""Renumbers what could not be looked at before: itself too, or only what it holds; says whether it could."""
_CONTENT, _ITSELF = 0, -1


@dataclass(frozen=True, slots=True)
class LeftFile:
    """A file with numbers that mean somebody else now, and by the old numbers whom they meant.

    Without an inode it is what could not be looked at when these accounts moved (0: a folder that has its number, but
    for what it holds; -1: itself, too); nobody knows what is in there.
    """

    path: str
    inode: int
    users: Mapping[int, str]
    groups: Mapping[int, str]

    @property
    def is_unread(self) -> bool:
        """Return whether it is what could not be looked at."""
        return self.inode in (_CONTENT, _ITSELF)

    def __str__(self) -> str:
        """Return it in a person's words."""
        whose = [f"user {name} ({number})" for number, name in self.users.items()]
        whose += [f"group {name} ({number})" for number, name in self.groups.items()]
        if self.is_unread:
            return f"{self.path} could not be looked at; it may have numbers of before: {', '.join(whose)}"
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
        named = (
            {number: name for number, name in maps.users.items() if number in users},
            {number: name for number, name in maps.groups.items() if number in groups},
        )
        append_line(self._file, _document(LeftFile(path, status.st_ino, *named)))

    def note_unread(self, path: str, maps: Renumbering, *, itself: bool) -> None:
        """Remember what could not be looked at: itself, or only what it holds."""
        append_line(self._file, _document(LeftFile(path, _ITSELF if itself else _CONTENT, maps.users, maps.groups)))

    def retry(
        self, root: Path, special: Path, users: Mapping[str, Account], groups: Mapping[str, Account], below: Below
    ) -> None:
        """Give every remembered file the numbers that its accounts have now; keep those that still cannot follow.

        `below` does it for what could not be looked at before, and says whether it could now.
        """
        for left in self.read():
            if left.is_unread:
                self._look_again(left, root, users, groups, below)
        before = self.read()
        stay = [left for left in before if left.is_unread or not _follows(left, root, special, users, groups)]
        self._keep(stay, before)

    def _look_again(
        self, left: LeftFile, root: Path, users: Mapping[str, Account], groups: Mapping[str, Account], below: Below
    ) -> None:
        """Renumber what could not be looked at, in the rounds of a move; what is done of it is written down.

        A second walk with the same map would change what has its number already, where accounts have swapped theirs.
        """
        while True:
            maps, then = _next_round(left, users, groups)
            try:
                with parent(root, left.path) as (folder, name):
                    os.stat(name, dir_fd=folder, follow_symlinks=False)
                if not below(Path(left.path), maps, left.inode == _ITSELF):
                    return
            except (FileNotFoundError, NotADirectoryError):
                if _is_unmounted(root, left.path):
                    return
                then = None
            except OSError:
                return
            now = self.read()
            self._keep([*(each for each in now if each != left), *([then] if then else ())], now)
            if then is None:
                return
            left = then

    def _keep(self, after: list[LeftFile], before: list[LeftFile]) -> None:
        if not after:
            self._file.unlink(missing_ok=True)
        elif after != before:
            write_atomic(self._file, b"".join(map(_line, after)), mode=0o600)


def _next_round(
    left: LeftFile, users: Mapping[str, Account], groups: Mapping[str, Account]
) -> tuple[Renumbering, LeftFile | None]:
    """Return the maps of the next walk over what could not be looked at, and what is left of it then."""
    (uids, parked_users), (gids, parked_groups) = _round(left.users, users), _round(left.groups, groups)
    then = LeftFile(left.path, left.inode, parked_users, parked_groups) if parked_users or parked_groups else None
    return Renumbering(uids, gids, left.users, left.groups), then


def _round(named: Mapping[int, str], accounts: Mapping[str, Account]) -> tuple[dict[int, int], dict[int, str]]:
    """Return the map of the next round, and by the numbers that are parked then whom they mean."""
    known = _numbers_now(named, accounts)
    maps = rounds(Move(named[number], number, new) for number, new in known.items() if number != new)
    if len(maps) < 2:
        return (maps[0] if maps else {}), {}
    return maps[0], {parked: named[number] for number, parked in maps[0].items()}


def _follows(
    left: LeftFile, root: Path, special: Path, users: Mapping[str, Account], groups: Mapping[str, Account]
) -> bool:
    maps = Renumbering(_numbers_now(left.users, users), _numbers_now(left.groups, groups))
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


def _numbers_now(named: Mapping[int, str], accounts: Mapping[str, Account]) -> dict[int, int]:
    """Given whom numbers meant, return by each number the one that its account has now, if there is that account."""
    return {number: new for number, name in named.items() if (new := _number_of(name, accounts)) is not None}


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


def _document(left: LeftFile) -> dict[str, object]:
    return {
        "path": left.path.encode("utf-8", "surrogateescape").hex(),
        "inode": left.inode,
        "users": dict(left.users),
        "groups": dict(left.groups),
    }


def _line(left: LeftFile) -> bytes:
    return json.dumps(_document(left)).encode() + b"\n"
