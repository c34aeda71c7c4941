"""Sub-ids (the numbers that a person's containers use): the MASTER's stay free on the SLAVE, as accounts' numbers do.

Pure: texts of subuid or subgid in, moves of whole ranges and new texts out.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from hotsync.model.lines import lines_of

_MOST_MOVED = 2**20
"""A longer range is left to a person: what moves is written down, and looked for, number by number."""

_HIGHEST = 2**32 - 2
# what useradd gives out, below and above the numbers that systemd gives to containers by itself
_CHOICE = (range(100_000, 524_288), range(1_879_048_192, 2_147_352_576))


@dataclass(frozen=True, slots=True)
class SubRange:
    """A line of subuid or subgid."""

    name: str
    numbers: range


@dataclass(frozen=True, slots=True)
class SubMove:
    """A range of this host that gets other numbers: so many from `old` on become those from `new` on."""

    name: str
    old: int
    new: int
    count: int


@dataclass(frozen=True, slots=True)
class SubPlan:
    """The moves of one file's ranges, and what cannot be moved."""

    moves: tuple[SubMove, ...] = ()
    refused: tuple[str, ...] = ()


def parse_sub_ids(text: str) -> tuple[SubRange, ...]:
    """Given subuid or subgid, return the lines that are understood."""
    found: list[SubRange] = []
    for line in lines_of(text):
        name, *numbers = line.split(":")
        if len(numbers) == 2 and all(each.isascii() and each.isdigit() and len(each) <= 10 for each in numbers):
            start, count = int(numbers[0]), int(numbers[1])
            if name and count > 0 and 0 < start <= _HIGHEST - count:
                found.append(SubRange(name, range(start, start + count)))
    return tuple(found)


def plan_sub_ids(master: Sequence[SubRange], own: Sequence[SubRange], foreign: Collection[range]) -> SubPlan:
    """Given both sides' ranges, and numbers that nobody of this host may keep, return what makes room for the MASTER's.

    A person whom both have gets the MASTER's range, if each has one of the same size.
    """
    refused: list[str] = []
    wished: dict[SubRange, SubRange] = {}
    taken = [*(each.numbers for each in (*master, *own)), *foreign]
    for each in own:
        target = _target(each, master, own)
        in_the_way = any(_overlap(each.numbers, other.numbers) for other in master)
        if each in master or not (target or in_the_way):
            continue
        if len(each.numbers) > _MOST_MOVED:
            refused.append(f"{_shown(each)} are in the way of the MASTER's, and too many to be moved")
            continue
        if sum(_overlap(each.numbers, other.numbers) for other in own) > 1:
            refused.append(f"{_shown(each)} are another account's here, too")
            continue
        numbers = target or _free(len(each.numbers), taken)
        if numbers is None:
            refused.append(f"{_shown(each)} are the MASTER's, and no others are free")
            continue
        taken.append(numbers)
        wished[each] = replace(each, numbers=numbers)
    while stuck := [each for each in wished if _is_taken(wished[each], own, wished)]:
        refused += [f"{_shown(each)} cannot move to the MASTER's: these are taken here" for each in stuck]
        for each in stuck:
            del wished[each]
    moves = (SubMove(e.name, e.numbers.start, new.numbers.start, len(e.numbers)) for e, new in wished.items())
    return SubPlan(tuple(moves), tuple(refused))


def _is_taken(new: SubRange, own: Sequence[SubRange], moving: Collection[SubRange]) -> bool:
    return any(_overlap(new.numbers, other.numbers) for other in own if other not in moving)


def _target(each: SubRange, master: Sequence[SubRange], own: Sequence[SubRange]) -> range | None:
    theirs = [other.numbers for other in master if other.name == each.name]
    alone = sum(other.name == each.name for other in own) == 1
    if not alone or len(theirs) != 1 or len(theirs[0]) != len(each.numbers) or theirs[0] == each.numbers:
        return None
    shared = sum(_overlap(theirs[0], other.numbers) for other in master) > 1
    return None if shared else theirs[0]


def _free(count: int, taken: Collection[range]) -> range | None:
    for choice in _CHOICE:
        start = choice.start
        while start + count <= choice.stop:
            found = range(start, start + count)
            after = [other.stop for other in taken if _overlap(found, other)]
            if not after:
                return found
            start = max(after)
    return None


def _overlap(one: range, other: range) -> bool:
    return one.start < other.stop and other.start < one.stop


def _shown(each: SubRange) -> str:
    return f"sub-ids {each.numbers.start}-{each.numbers.stop - 1} of {each.name}"


def each_number(moves: Iterable[SubMove]) -> Iterator[tuple[str, int, int]]:
    """Return name, old and new number of everything that moves with these ranges."""
    for move in moves:
        for place in range(move.count):
            yield move.name, move.old + place, move.new + place


def render_sub_ids(text: str, moves: Iterable[SubMove]) -> str:
    """Given subuid or subgid and moves, return the new text; applied twice, it stays the same."""
    new = {(move.name, move.old, move.count): move.new for move in moves}
    lines: list[str] = []
    for line in lines_of(text):
        name, *numbers = line.split(":")
        if len(numbers) == 2 and all(each.isascii() and each.isdigit() and len(each) <= 10 for each in numbers):
            start = new.get((name, int(numbers[0]), int(numbers[1])))
            lines.append(line if start is None else f"{name}:{start}:{numbers[1]}")
        else:
            lines.append(line)
    return "".join(f"{line}\n" for line in lines)
