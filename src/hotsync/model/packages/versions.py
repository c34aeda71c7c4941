"""Versions of packages in the order of their family: Debian's rules, and RPM's."""

from __future__ import annotations

import re


def compare_debian(left: str, right: str) -> int:
    """Given two versions, return -1, 0 or 1 as Debian's rules order them."""
    ours, theirs = _parts(left), _parts(right)
    if ours[0] != theirs[0]:
        return -1 if ours[0] < theirs[0] else 1
    return _compare_debian_part(ours[1], theirs[1]) or _compare_debian_part(ours[2], theirs[2])


def compare_rpm(left: str, right: str) -> int:
    """Given two versions (`epoch:version-release`, the epoch may lack), return -1, 0 or 1 as RPM's rules order them."""
    ours, theirs = _parts(left), _parts(right)
    if ours[0] != theirs[0]:
        return -1 if ours[0] < theirs[0] else 1
    return _compare_rpm_part(ours[1], theirs[1]) or _compare_rpm_part(ours[2], theirs[2])


def _parts(version: str) -> tuple[int, str, str]:
    epoch, colon, rest = version.partition(":")
    if not colon:
        epoch, rest = "0", version
    upstream, dash, revision = rest.rpartition("-")
    number = _number(epoch) if epoch.isascii() and epoch.isdigit() else 0
    return number, upstream if dash else rest, revision if dash else ""


def _compare_debian_part(left: str, right: str) -> int:
    """Compare by turns what is no digit (where ~ sorts before the end, letters before other signs) and numbers."""
    ours, theirs = _turns(left), _turns(right)
    for place in range(max(len(ours), len(theirs))):
        one = ours[place] if place < len(ours) else ((0,), 0)
        other = theirs[place] if place < len(theirs) else ((0,), 0)
        if one != other:
            return -1 if one < other else 1
    return 0


def _turns(text: str) -> list[tuple[tuple[int, ...], int]]:
    turns: list[tuple[tuple[int, ...], int]] = []
    for signs, digits in re.findall(r"([^0-9]*)([0-9]*)", text):
        if signs or digits:
            turns.append(((*(_weight(sign) for sign in signs), 0), _number(digits)))
    return turns


def _number(digits: str) -> int:
    """Given digits, return their number; of more than anybody writes, those in front."""
    return int(digits[:1000] or 0)


def _weight(sign: str) -> int:
    if sign == "~":
        return -1
    return ord(sign) if sign.isalpha() else ord(sign) + 256


def _compare_rpm_part(left: str, right: str) -> int:
    """Compare word by word: numbers beat letters, more words beat fewer, ~ comes before the end and ^ after it."""
    ours, theirs = _words(left), _words(right)
    for place in range(max(len(ours), len(theirs))):
        one = _rank(ours[place]) if place < len(ours) else _END
        other = _rank(theirs[place]) if place < len(theirs) else _END
        if one != other:
            return -1 if one < other else 1
    return 0


_END = (1, 0, "")


def _words(text: str) -> list[str]:
    return re.findall(r"[0-9]+|[A-Za-z]+|~|\^", text)


def _rank(word: str) -> tuple[int, int, str]:
    if word == "~":
        return (0, 0, "")
    if word == "^":
        return (2, 0, "")
    return (4, _number(word), "") if word.isdigit() else (3, 0, word)
