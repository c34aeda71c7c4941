"""The account files of a promoted server: the MASTER's, plus the accounts that only this SLAVE's packages need.

Pure: texts in, texts out. Lines that are not understood travel as they are. People of the SLAVE, and other names of
its root, end with the promotion, and so do their memberships (its own /etc is set aside and keeps them). What stays
keeps no password: nobody of the SLAVE logs in to the promoted server unless the MASTER knows him.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from hotsync.model.accounts.moves import is_number
from hotsync.model.accounts.numbers import NO_FOREIGN, free_number, is_human
from hotsync.model.lines import lines_of

FILES = ("passwd", "shadow", "group", "gshadow", "subuid", "subgid")
"""The files, in /etc, in the order in which they are decided."""


@dataclass(frozen=True, slots=True)
class Merged:
    """The merged texts by file name; `moved` maps accounts and groups of this host to the new number that they got
    because the MASTER uses theirs; `added` are the accounts that stayed; `lost` are lines of subuid and subgid that
    are not taken over, because the MASTER gives these numbers to somebody else."""

    texts: Mapping[str, str]
    added: tuple[str, ...]
    moved: Mapping[str, int]
    lost: tuple[str, ...] = ()


def merge_accounts(master: Mapping[str, str], own: Mapping[str, str]) -> Merged:
    """Given both sides' texts by file name, return the promoted server's."""
    mine = {name: own.get(name, "") for name in FILES}
    theirs = {name: master.get(name, "") for name in FILES}
    primary = {line.split(":")[3] for line in _staying(mine["passwd"], theirs["passwd"], ())}
    groups, moved_groups = _merge_numbers(theirs["group"], mine["group"], primary, {})
    gids = _gid_changes(mine["group"], groups)
    users, moved_users = _merge_numbers(theirs["passwd"], mine["passwd"], (), gids)
    added_users = tuple(_names(users)[len(_names(theirs["passwd"])) :])
    added_groups = tuple(_names(groups)[len(_names(theirs["group"])) :])
    services = {_name(line) for line in _lines(users) if not is_human(_number(line) or 0)}
    lost: list[str] = []
    texts = {
        "passwd": _locked(users, added_users, "x" if theirs["shadow"] else "*"),
        "group": _with_members(groups, mine["group"], added_users, added_groups, services),
        "shadow": _shadow(theirs["shadow"], mine["shadow"], added_users),
        "gshadow": _gshadow(theirs["gshadow"], mine["gshadow"], added_users, added_groups, services),
        **{name: _sub_ids(theirs[name], mine[name], added_users, name, lost) for name in ("subuid", "subgid")},
    }
    moved = {**moved_users, **{f"group {name}": number for name, number in moved_groups.items()}}
    return Merged(texts, added_users, moved, tuple(lost))


def _lines(text: str) -> list[str]:
    return [line for line in lines_of(text) if line.strip()]


def _name(line: str) -> str:
    return line.partition(":")[0]


def _names(text: str) -> list[str]:
    return [_name(line) for line in _lines(text)]


def _number(line: str) -> int | None:
    fields = line.split(":")
    return int(fields[2]) if len(fields) > 3 and is_number(fields[2]) else None


def _text(lines: list[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def _staying(own: str, master: str, primary: Collection[str]) -> Iterator[str]:
    """Return this host's lines that the MASTER lacks and that stay: services, and the groups that these start with."""
    known = set(_names(master))
    for line in _lines(own):
        number = _number(line)
        if number and _name(line) not in known and (not is_human(number) or str(number) in primary):
            known.add(_name(line))
            yield line


def _merge_numbers(
    master: str, own: str, primary: Collection[str], gids: Mapping[int, int]
) -> tuple[str, dict[str, int]]:
    """Add this host's lines that stay; one whose number is taken gets a free one."""
    lines = _lines(master)
    taken = {number for line in lines if (number := _number(line)) is not None}
    used = {number for line in _lines(own) if (number := _number(line)) is not None}
    moved: dict[str, int] = {}
    for line in _staying(own, master, primary):
        fields = line.split(":")
        number = int(fields[2])
        if number in taken:
            free = free_number(human=is_human(number), taken=taken | used, foreign=NO_FOREIGN.users)
            if free is None:
                continue
            moved[_name(line)] = number = free
        taken.add(number)
        fields[2] = str(number)
        if gids and is_number(fields[3]):
            fields[3] = str(gids.get(int(fields[3]), int(fields[3])))
        lines.append(":".join(fields))
    return _text(lines), moved


def _gid_changes(own_groups: str, merged_groups: str) -> dict[int, int]:
    """Return how the numbers of this host's groups change, by the groups' names."""
    after = {_name(line): number for line in _lines(merged_groups) if (number := _number(line)) is not None}
    before = {_name(line): number for line in _lines(own_groups) if (number := _number(line)) is not None}
    return {number: after[name] for name, number in before.items() if after.get(name, number) != number}


def _locked(passwd: str, added: Collection[str], password: str) -> str:
    lines: list[str] = []
    for line in _lines(passwd):
        name, _, rest = line.partition(":")
        lines.append(f"{name}:{password}:{rest.partition(':')[2]}" if name in added else line)
    return _text(lines)


def _shadow(master: str, own: str, added: tuple[str, ...]) -> str:
    known = {_name(line): line for line in reversed(_lines(own))}
    lines = _lines(master)
    for name in added if lines else ():
        fields = known.get(name, f"{name}:!:::::::").split(":")
        if not fields[1].startswith(("!", "*")):
            fields[1] = "!"
        lines.append(":".join(fields))
    return _text(lines)


def _with_members(
    groups: str, own: str, added_users: Collection[str], added_groups: Collection[str], services: Collection[str]
) -> str:
    """Given the merged groups, return them with this host's services as members of what they were members of."""
    before = {_name(line): line.split(":")[3].split(",") for line in _lines(own) if line.count(":") == 3}
    lines: list[str] = []
    for line in _lines(groups):
        name, fields = _name(line), line.split(":")
        if name in added_groups:
            fields[1], fields[3] = "x", ",".join(_of(before.get(name, []), services))
        elif len(fields) == 4 and (joining := _of(before.get(name, []), added_users)):
            fields[3] = ",".join(dict.fromkeys([*filter(None, fields[3].split(",")), *joining]))
        lines.append(":".join(fields))
    return _text(lines)


def _gshadow(
    master: str, own: str, added_users: Collection[str], added_groups: Collection[str], services: Collection[str]
) -> str:
    before = {_name(line): line.split(":")[3].split(",") for line in _lines(own) if line.count(":") == 3}
    lines: list[str] = []
    for line in _lines(master):
        fields = line.split(":")
        if len(fields) == 4 and (joining := _of(before.get(_name(line), []), added_users)):
            fields[3] = ",".join(dict.fromkeys([*filter(None, fields[3].split(",")), *joining]))
        lines.append(":".join(fields))
    known = {_name(line) for line in lines}
    for name in added_groups if lines else ():
        if name not in known:
            lines.append(f"{name}:!::{','.join(_of(before.get(name, []), services))}")
    return _text(lines)


def _of(members: list[str], allowed: Collection[str]) -> list[str]:
    return [member for member in members if member in allowed]


def _sub_ids(master: str, own: str, added: Collection[str], file: str, lost: list[str]) -> str:
    lines = _lines(master)
    given = [numbers for line in lines if (numbers := _range(line))]
    known = set(_names(master))
    for line in _lines(own):
        numbers = _range(line)
        if _name(line) not in added or _name(line) in known or numbers is None:
            continue
        if any(numbers.start < other.stop and other.start < numbers.stop for other in given):
            lost.append(f"{line} ({file})")
        else:
            lines.append(line)
    return _text(lines)


def _range(line: str) -> range | None:
    fields = line.split(":")
    if len(fields) != 3 or not (is_number(fields[1]) and is_number(fields[2])):
        return None
    return range(int(fields[1]), int(fields[1]) + int(fields[2]))
