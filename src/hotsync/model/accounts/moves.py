"""Which numbers accounts have on the SLAVE: the MASTER's, always; whoever of the SLAVE is in the way moves first.

Pure: the texts of both sides' passwd and group in, numbers and the new texts of this side's account files out.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from hotsync.model.accounts.numbers import NO_FOREIGN, NOBODY, Foreign, covered, free_number, is_human
from hotsync.model.accounts.sub_ids import SubMove, render_sub_ids
from hotsync.model.lines import lines_of

ACCOUNT_NAME = re.compile(r"^(?![0-9]+\Z)[A-Za-z0-9_][A-Za-z0-9_.-]{0,31}\$?\Z")
"""What packages and useradd make: capitals too (Debian-exim), a digit first, but not only digits, which programs take
for a number, and a `$` at the end (computers in a domain of Samba's)."""

HIGHEST_NUMBER = 2**32 - 3
FIRST_PARKING = 3_000_000_000
FILES = ("subuid", "subgid", "gshadow", "group", "shadow", "passwd")
"""The files in the order in which they are written: what makes an account known comes last."""

NOLOGIN = "/usr/sbin/nologin"
_UNTOUCHABLE = ("root", "nobody", "nogroup")
_HOME = re.compile(r"^(/[A-Za-z0-9_.+@-]+)+\Z")


@dataclass(frozen=True, slots=True)
class Account:
    """A user or a group, as its file has it; `gid`, `comment`, `home` and `shell` are a user's."""

    name: str
    number: int
    gid: int = -1
    comment: str = ""
    home: str = ""
    shell: str = ""


@dataclass(frozen=True, slots=True)
class Move:
    """An account of this host that gets another number."""

    name: str
    old: int
    new: int


@dataclass(frozen=True, slots=True)
class NumberPlan:
    """What has to be done so that the MASTER's accounts have the MASTER's numbers here, and what cannot be done.

    `primary` are users of this host whose primary group moves, with its new number; `sub_users` and `sub_groups` are
    moves of sub-ids.
    """

    user_moves: tuple[Move, ...] = ()
    group_moves: tuple[Move, ...] = ()
    primary: tuple[tuple[str, int], ...] = ()
    new_groups: tuple[Account, ...] = ()
    new_users: tuple[Account, ...] = ()
    refused: tuple[str, ...] = ()
    sub_users: tuple[SubMove, ...] = ()
    sub_groups: tuple[SubMove, ...] = ()

    @property
    def moves(self) -> bool:
        """Return whether anything of this host gets another number."""
        return bool(self.user_moves or self.group_moves or self.sub_users or self.sub_groups)

    @property
    def empty(self) -> bool:
        """Return whether nothing has to be done."""
        return not (self.moves or self.new_groups or self.new_users)


def parse_users(text: str) -> dict[str, Account]:
    """Given passwd, return the users by name; lines that are not understood are left out, and repeated names."""
    users: dict[str, Account] = {}
    for line in lines_of(text):
        fields = line.split(":")
        if len(fields) == 7 and is_number(fields[2]) and is_number(fields[3]):
            account = Account(fields[0], int(fields[2]), int(fields[3]), fields[4], fields[5], fields[6])
            users.setdefault(account.name, account)
    return users


def parse_groups(text: str) -> dict[str, Account]:
    """Given group, return the groups by name; lines that are not understood are left out, and repeated names."""
    groups: dict[str, Account] = {}
    for line in lines_of(text):
        fields = line.split(":")
        if len(fields) == 4 and is_number(fields[2]):
            groups.setdefault(fields[0], Account(fields[0], int(fields[2])))
    return groups


def is_number(text: str) -> bool:
    """Return whether a field of a file of accounts is the number of an account."""
    return text.isascii() and text.isdigit() and len(text) <= 10


def plan_numbers(
    master_users: Mapping[str, Account],
    master_groups: Mapping[str, Account],
    own_users: Mapping[str, Account],
    own_groups: Mapping[str, Account],
    foreign: Foreign = NO_FOREIGN,
) -> NumberPlan:
    """Given both sides' accounts, and numbers that mean somebody on the MASTER without an account there, return what
    gives the MASTER's accounts the MASTER's numbers on this host.

    Nothing of the MASTER becomes root here, and root here never moves, whatever other names it has.
    """
    refused: list[str] = []
    groups = _lawful(master_groups, own_groups, "group", refused)
    users = _lawful(master_users, own_users, "user", refused)
    # a number that this host has both as a user's and as a group's is told apart more easily if it moves as one
    taken = {each.number for side in (own_users, own_groups, master_users, master_groups) for each in side.values()}
    kind = _Kind("group", (*foreign.groups, *_not_made(master_groups, groups, own_groups)), taken, {})
    group_moves, new_groups = _plan(groups, own_groups, kind, refused)
    liked = {move.name: move.new for move in group_moves}
    kind = _Kind("user", (*foreign.users, *_not_made(master_users, users, own_users)), taken, liked)
    user_moves, new_users = _plan(users, own_users, kind, refused)
    known = {group.number for group in groups.values()} | {
        group.number for group in own_groups.values() if group.number == NOBODY
    }
    orphans = [user for user in new_users if user.gid not in known]
    refused += [f"user {user.name}: the MASTER has no group {user.gid}, its primary one" for user in orphans]
    moved = {move.old: move.new for move in group_moves}
    primary = tuple((user.name, moved[user.gid]) for user in own_users.values() if user.gid in moved)
    made = tuple(user for user in new_users if user not in orphans)
    return NumberPlan(user_moves, group_moves, primary, new_groups, made, tuple(refused))


def _lawful(
    accounts: Mapping[str, Account], own: Mapping[str, Account], kind: str, refused: list[str]
) -> dict[str, Account]:
    lawful: dict[str, Account] = {}
    for name, account in accounts.items():
        if name in _UNTOUCHABLE:
            continue
        if not ACCOUNT_NAME.match(name):
            refused.append(f"{kind} {name[:40]!r}: no name that an account can have")
        elif not 0 < account.number <= HIGHEST_NUMBER or account.number == NOBODY or account.gid == 0:
            if name not in own or own[name].number != account.number:
                refused.append(f"{kind} {name}: on the MASTER it has root's or nobody's number; it is not made here")
        else:
            lawful[name] = account
    return lawful


@dataclass(frozen=True, slots=True)
class _Kind:
    """Users or groups: numbers that are not to be had (`foreign` moves who has one), and those that a name likes."""

    name: str
    foreign: tuple[range, ...]
    taken: set[int]
    liked: Mapping[str, int]


def _not_made(
    master: Mapping[str, Account], lawful: Mapping[str, Account], own: Mapping[str, Account]
) -> Iterator[range]:
    """Return the numbers of the MASTER's accounts that are not made here: their files come all the same."""
    for name, account in master.items():
        rightful = name in own and own[name].number == account.number
        if name not in lawful and not rightful and account.number != NOBODY:
            yield range(account.number, account.number + 1)


def _plan(
    master: Mapping[str, Account], own: Mapping[str, Account], kind: _Kind, refused: list[str]
) -> tuple[tuple[Move, ...], tuple[Account, ...]]:
    wanted = {account.number for account in master.values()}
    taken = kind.taken | wanted | {account.number for account in own.values()}
    sharing = Counter(account.number for account in own.values())
    moves: list[Move] = []
    for name, account in own.items():
        there = master.get(name)
        number = account.number
        moves_away = there.number != number if there else number in wanted or covered(number, kind.foreign)
        if name in _UNTOUCHABLE or not moves_away:
            continue
        if number in (0, NOBODY):
            refused.append(f"{kind.name} {name}: it is root (or nobody) here and stays so")
        elif sharing[number] > 1:
            refused.append(f"{kind.name} {name}: it shares its number {number} with another {kind.name} of this server")
        elif there:
            moves.append(Move(name, number, there.number))
        else:
            free = free_number(is_human(number), taken, kind.foreign, kind.liked.get(name, -1))
            if free is None:
                refused.append(f"{kind.name} {name}: its number {number} is the MASTER's, and no other one is free")
                continue
            taken.add(free)
            moves.append(Move(name, number, free))
    able = _that_can(moves, master, own)
    refused += [
        f"{kind.name} {move.name}: its new number {move.new} is taken here by one that cannot move"
        for move in moves
        if move not in able
    ]
    stuck = _stuck(able, master, own)
    new: list[Account] = []
    for name, account in master.items():
        if name in own:
            continue
        if account.number in stuck:
            refused.append(f"{kind.name} {name}: its number {account.number} is taken here by one that cannot move")
        else:
            new.append(account)
    return tuple(able), tuple(new)


def _that_can(moves: list[Move], master: Mapping[str, Account], own: Mapping[str, Account]) -> list[Move]:
    """Return the moves whose new number is free once all of them are made."""
    while True:
        stuck = _stuck(moves, master, own)
        able = [move for move in moves if move.new not in stuck]
        if len(able) == len(moves):
            return able
        moves = able


def _stuck(moves: list[Move], master: Mapping[str, Account], own: Mapping[str, Account]) -> set[int]:
    """Return the numbers that stay taken here by accounts to which the MASTER does not give them."""
    moved = {move.name for move in moves}
    rightful = {name for name, account in own.items() if name in master and master[name].number == account.number}
    return {account.number for name, account in own.items() if name not in moved and name not in rightful}


def rounds(moves: Iterable[Move]) -> tuple[dict[int, int], ...]:
    """Given moves, return the maps of numbers to apply one after the other, each of which may be applied repeatedly.

    Where a new number is also an old one (two accounts swap), every number is parked far away first: a walk that was
    cut cannot know which files it had changed, and must not change them a second time.
    """
    direct = {move.old: move.new for move in moves}
    if not direct:
        return ()
    if direct.keys().isdisjoint(direct.values()):
        return (direct,)
    parking = {old: FIRST_PARKING + place for place, old in enumerate(sorted(direct))}
    return parking, {parking[old]: new for old, new in direct.items()}


def render_files(texts: Mapping[str, str], plan: NumberPlan) -> dict[str, str]:
    """Given this host's account files by name and a plan, return the new ones; applied twice, they stay the same.

    New accounts have no password and no shell; people's are expired, too, so that no key of theirs opens anything.
    """
    users = {move.name: move.new for move in plan.user_moves}
    groups = {move.name: move.new for move in plan.group_moves}
    passwd = _renumbered(texts["passwd"], users, 2)
    passwd = _renumbered(passwd, dict(plan.primary), 3)
    group = _renumbered(texts["group"], groups, 2)
    return {
        "subuid": render_sub_ids(texts.get("subuid", ""), plan.sub_users),
        "subgid": render_sub_ids(texts.get("subgid", ""), plan.sub_groups),
        "gshadow": _with_lines(texts.get("gshadow", ""), [f"{group.name}:!::" for group in plan.new_groups]),
        "group": _with_lines(group, [f"{group.name}:x:{group.number}:" for group in plan.new_groups]),
        "shadow": _with_lines(texts.get("shadow", ""), [_shadow_line(user) for user in plan.new_users]),
        "passwd": _with_lines(passwd, [_passwd_line(user) for user in plan.new_users]),
    }


def _is_person(user: Account) -> bool:
    return is_human(user.number) or user.home.startswith("/home/")


def _passwd_line(user: Account) -> str:
    home = (
        user.home
        if not _is_person(user) and _HOME.match(user.home) and "/../" not in f"{user.home}/"
        else "/nonexistent"
    )
    comment = user.comment if user.comment.isprintable() else ""
    return f"{user.name}:x:{user.number}:{user.gid}:{comment}:{home}:{NOLOGIN}"


def _shadow_line(user: Account) -> str:
    return f"{user.name}:!::::::{'1' if _is_person(user) else ''}:"


def _renumbered(text: str, numbers: Mapping[str, int], field: int) -> str:
    lines: list[str] = []
    for line in lines_of(text):
        fields = line.split(":")
        if fields[0] in numbers and len(fields) > field:
            fields[field] = str(numbers[fields[0]])
        lines.append(":".join(fields))
    return "".join(f"{line}\n" for line in lines)


def _with_lines(text: str, new: list[str]) -> str:
    lines = lines_of(text)
    known = {line.partition(":")[0] for line in lines}
    added = [line for line in new if line.partition(":")[0] not in known]
    # an NIS line (+::::::) ends what is looked up here: new ones go before it
    end = next((place for place, line in enumerate(lines) if line.startswith("+")), len(lines))
    return "".join(f"{line}\n" for line in [*lines[:end], *added, *lines[end:]])
