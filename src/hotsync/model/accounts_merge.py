"""The account files of a promoted server: the MASTER's, plus the accounts that only this SLAVE's packages need.

Pure: texts in, texts out. Lines that are not understood travel as they are. Human accounts of the SLAVE end with the
promotion (its own /etc is set aside and keeps them).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

FILES = ("passwd", "shadow", "group", "gshadow", "subuid", "subgid")
"""The files, in /etc, in the order in which they are decided."""

FIRST_HUMAN = 1000
NOBODY = range(60000, 65536)
"""Numbers at the upper end belong to the system again (systemd's, nobody)."""


@dataclass(frozen=True, slots=True)
class Merged:
    """The merged texts by file name; `moved` maps accounts and groups of this host to the new number that they got
    because the MASTER uses theirs; `added` are the accounts that stayed."""

    texts: Mapping[str, str]
    added: tuple[str, ...]
    moved: Mapping[str, int]


def merge_accounts(master: Mapping[str, str], own: Mapping[str, str]) -> Merged:
    """Given both sides' texts by file name, return the promoted server's."""
    groups, moved_groups = _merge_numbers(master.get("group", ""), own.get("group", ""), {})
    gids = _gid_changes(own.get("group", ""), groups)
    users, moved_users = _merge_numbers(master.get("passwd", ""), own.get("passwd", ""), gids)
    added_users = tuple(_names(users)[len(_names(master.get("passwd", ""))) :])
    added_groups = tuple(_names(groups)[len(_names(master.get("group", ""))) :])
    texts = {"passwd": users, "group": groups}
    texts["shadow"] = _with_lines_of(master.get("shadow", ""), own.get("shadow", ""), added_users)
    texts["gshadow"] = _with_lines_of(master.get("gshadow", ""), own.get("gshadow", ""), added_groups)
    for name in ("subuid", "subgid"):
        texts[name] = _with_lines_of(master.get(name, ""), own.get(name, ""), added_users)
    return Merged(texts, added_users, {**moved_users, **{f"group {name}": n for name, n in moved_groups.items()}})


def _lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.strip()]


def _name(line: str) -> str:
    return line.partition(":")[0]


def _names(text: str) -> list[str]:
    return [_name(line) for line in _lines(text)]


def _number(line: str) -> int | None:
    fields = line.split(":")
    return int(fields[2]) if len(fields) > 3 and fields[2].isdigit() else None


def _is_systems(number: int | None) -> bool:
    return number is not None and (number < FIRST_HUMAN or number in NOBODY)


def _merge_numbers(master: str, own: str, gids: Mapping[int, int]) -> tuple[str, dict[str, int]]:
    """Add this host's system lines that the MASTER lacks; one whose number is taken gets a free one."""
    lines = _lines(master)
    known = {_name(line) for line in lines}
    taken = {number for line in lines if (number := _number(line)) is not None}
    moved: dict[str, int] = {}
    for line in _lines(own):
        number = _number(line)
        if number is None or _name(line) in known or not _is_systems(number):
            continue
        if number in taken:
            number = _free(taken | {n for other in _lines(own) if (n := _number(other)) is not None})
            moved[_name(line)] = number
        taken.add(number)
        fields = line.split(":")
        fields[2] = str(number)
        if gids and fields[3].isdigit():
            fields[3] = str(gids.get(int(fields[3]), int(fields[3])))
        lines.append(":".join(fields))
    return "".join(f"{line}\n" for line in lines), moved


def _gid_changes(own_groups: str, merged_groups: str) -> dict[int, int]:
    """Return how the numbers of this host's groups change, by the groups' names."""
    after = {_name(line): number for line in _lines(merged_groups) if (number := _number(line)) is not None}
    before = {_name(line): number for line in _lines(own_groups) if (number := _number(line)) is not None}
    return {number: after[name] for name, number in before.items() if after.get(name, number) != number}


def _free(taken: set[int]) -> int:
    return next(number for number in range(FIRST_HUMAN - 1, 0, -1) if number not in taken)


def _with_lines_of(master: str, own: str, names: tuple[str, ...]) -> str:
    lines = _lines(master)
    known = {_name(line) for line in lines}
    lines += [line for line in _lines(own) if _name(line) in names and _name(line) not in known]
    return "".join(f"{line}\n" for line in lines)
