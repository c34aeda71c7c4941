"""Users and groups of this host: made, and moved to other numbers together with the files that bear them.

A move is written down before it begins: files are renumbered in a walk, and one that was cut must go on with the same
map, not with a new plan.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from pydantic import TypeAdapter

from hotsync.backends import waiting_servers
from hotsync.backends.account_processes import Keeper, SystemKeeper, remember_numbers
from hotsync.backends.renumber import left_of, renumber, renumber_below, special_of
from hotsync.backends.renumber_file import Renumbering, repair
from hotsync.model.accounts.moves import (
    FILES,
    Account,
    Move,
    NumberPlan,
    parse_groups,
    parse_users,
    render_files,
    rounds,
)
from hotsync.model.accounts.sub_ids import SubMove, SubRange, each_number, parse_sub_ids
from hotsync.system.files import write_atomic
from hotsync.system.paths import Paths

SCHEMA = 1


@dataclass(frozen=True, slots=True)
class _Journal:
    """A move under way: `round` is the next one to walk; `stopped` are units that are started again at its end."""

    schema: int
    user_moves: tuple[Move, ...]
    group_moves: tuple[Move, ...]
    primary: tuple[tuple[str, int], ...]
    sub_users: tuple[SubMove, ...] = ()
    sub_groups: tuple[SubMove, ...] = ()
    stopped: tuple[str, ...] = ()
    restarted: tuple[str, ...] = ()
    round: int = 0


_JOURNAL = TypeAdapter(_Journal)


class LocalAccounts:
    """The account files of this host."""

    def __init__(self, paths: Paths, keeper: Keeper | None = None) -> None:
        self._paths = paths
        self._journal = paths.state / "accounts-move.json"
        self._keeper: Keeper = keeper or SystemKeeper()

    def users(self) -> dict[str, Account]:
        """Return the users of this host by name."""
        return parse_users(self._text("passwd"))

    def groups(self) -> dict[str, Account]:
        """Return the groups of this host by name."""
        return parse_groups(self._text("group"))

    def sub_ids(self, name: str) -> tuple[SubRange, ...]:
        """Return the sub-ids of this host in `subuid` or `subgid`."""
        return parse_sub_ids(self._text(name))

    @property
    def unfinished(self) -> bool:
        """Return whether a move was cut."""
        return self._journal.exists()

    @property
    def left(self) -> tuple[str, ...]:
        """Return the files that could not follow their account yet, in a person's words."""
        return tuple(str(each) for each in left_of(self._paths).read())

    def apply(self, plan: NumberPlan) -> tuple[str, ...]:
        """Make and move accounts as planned, and return the paths that could not be looked at. Raise OSError.

        A move that was cut before must have been finished first (`finish`), and the plan made after that. Files that
        could not follow an earlier move (`left`) are tried again.
        """
        unread: tuple[str, ...] = ()
        if plan.moves:
            owners = self._keeper.owners(_old(plan.user_moves), _old(plan.group_moves))
            moving = _Journal(SCHEMA, plan.user_moves, plan.group_moves, plan.primary, plan.sub_users, plan.sub_groups)
            self._save(replace(moving, stopped=owners.to_stop, restarted=owners.to_restart))
            unread = self.finish()
        self._write(NumberPlan(new_groups=plan.new_groups, new_users=plan.new_users))
        self._retry_left()
        return unread

    def finish(self) -> tuple[str, ...]:
        """Finish a move that was written down, if there is one; return what could not be looked at. Raise OSError."""
        if not self._journal.exists():
            return ()
        moving = _JOURNAL.validate_json(self._journal.read_bytes())
        self._keeper.call("stop", moving.stopped)
        plan = NumberPlan(moving.user_moves, moving.group_moves, moving.primary)
        self._write(replace(plan, sub_users=moving.sub_users, sub_groups=moving.sub_groups))
        remember_numbers(self._paths.run, _old(moving.user_moves), _old(moving.group_moves))
        users, groups = _all(moving.user_moves, moving.sub_users), _all(moving.group_moves, moving.sub_groups)
        unread: list[str] = []
        for number in range(moving.round, max(len(rounds(users)), len(rounds(groups)))):
            unread += renumber(self._paths, _of_round(number, users, groups))
            self._save(replace(moving, round=number + 1))
        # a waiting server's unit is gone once it stopped; whoever looks after it starts it anew
        stopped = [unit for unit in moving.stopped if not unit.startswith(waiting_servers.PREFIX)]
        self._keeper.call("start", stopped)
        self._keeper.call("try-restart", moving.restarted)
        self._journal.unlink()
        return tuple(dict.fromkeys(unread))

    def _retry_left(self) -> None:
        special = special_of(self._paths)
        repair(self._paths.root, special)

        def below(place: Path, maps: Renumbering, itself: bool) -> bool:
            return renumber_below(self._paths, place, maps, itself=itself)

        left_of(self._paths).retry(self._paths.root, special, self.users(), self.groups(), below)
        special.unlink(missing_ok=True)

    def _save(self, moving: _Journal) -> None:
        write_atomic(self._journal, json.dumps(asdict(moving)).encode(), mode=0o600)

    def _write(self, plan: NumberPlan) -> None:
        with self._locked():
            before = {name: self._text(name) for name in FILES}
            after = render_files(before, plan)
            for name in FILES:
                if after[name] != before[name]:
                    path = self._paths.at(f"/etc/{name}")
                    status = path.stat()
                    data = after[name].encode("utf-8", "surrogateescape")
                    write_atomic(path, data, mode=status.st_mode & 0o777, owner=(status.st_uid, status.st_gid))

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold the lock that useradd and passwd take, too (lckpwdf)."""
        descriptor = os.open(self._paths.at("/etc/.pwd.lock"), os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _text(self, name: str) -> str:
        path = self._paths.at(f"/etc/{name}")
        return path.read_bytes().decode("utf-8", "surrogateescape") if path.exists() else ""


def _old(moves: Sequence[Move]) -> frozenset[int]:
    return frozenset(move.old for move in moves)


def _all(moves: Sequence[Move], subs: Sequence[SubMove]) -> tuple[Move, ...]:
    """Return every number that moves; a sub-id is nobody's account, and named by its number."""
    return (*moves, *(Move(f"#{new}", old, new) for _, old, new in each_number(subs)))


def _of_round(number: int, users: Sequence[Move], groups: Sequence[Move]) -> Renumbering:
    """Return the maps of one round, and whose the numbers in them are."""
    (uids, of_users), (gids, of_groups) = _map(number, users), _map(number, groups)
    return Renumbering(uids, gids, of_users, of_groups)


def _map(number: int, moves: Sequence[Move]) -> tuple[Mapping[int, int], Mapping[int, str]]:
    maps = rounds(moves)
    if number >= len(maps):
        return {}, {}
    return maps[number], {(move.old if number == 0 else maps[0][move.old]): move.name for move in moves}
