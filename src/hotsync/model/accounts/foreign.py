"""Numbers that a directory gives out on the MASTER (sssd, winbind): known by number only, from files of its settings.

Pure: texts in, ranges out. Whoever else owns files there without being in its account files is found by these files.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator

from hotsync.model.accounts.numbers import NOBODY, SYSTEM_NUMBERS, Foreign

_HIGHEST = 2**32 - 2
_SAMBA = re.compile(r"^\s*idmap\s+config\s+[^:=]+:\s*range\s*=\s*([0-9]{1,10})\s*-\s*([0-9]{1,10})\s*\Z", re.IGNORECASE)
_SETTING = re.compile(r"^\s*([a-z_]+)\s*=\s*(\S+)\s*\Z", re.IGNORECASE)
_SSSD_FIRST, _SSSD_LAST = 200_000, 2_000_200_000


def ranges_of_samba(text: str) -> tuple[range, ...]:
    """Given smb.conf, return the numbers that winbind gives out."""
    found = filter(None, map(_SAMBA.match, text.splitlines()))
    return tuple(_ranges((int(each[1]), int(each[2])) for each in found))


def ranges_of_sssd(text: str) -> tuple[range, ...]:
    """Given sssd.conf, return the numbers that its domains give out, where they are bounded."""
    found: list[tuple[int, int]] = []
    for section in re.split(r"^\s*\[", text, flags=re.MULTILINE)[1:]:
        settings = {match[1].lower(): match[2] for match in map(_SETTING.match, section.splitlines()[1:]) if match}
        if not section.startswith("domain/"):
            continue
        mapped = settings.get("ldap_id_mapping", "")
        if mapped.lower() == "true" or (not mapped and settings.get("id_provider", "").lower() == "ad"):
            found.append((
                _number(settings.get("ldap_idmap_range_min"), _SSSD_FIRST),
                _number(settings.get("ldap_idmap_range_max"), _SSSD_LAST),
            ))  # fmt: skip
        elif _number(settings.get("max_id"), 0):
            found.append((_number(settings.get("min_id"), 1), _number(settings.get("max_id"), 0)))
    return tuple(_ranges(found))


def _number(text: str | None, otherwise: int) -> int:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) <= 10 else otherwise


def _ranges(pairs: Iterable[tuple[int, int]]) -> Iterator[range]:
    for first, last in pairs:
        if 0 < first <= last <= _HIGHEST:
            yield range(first, last + 1)


def foreign_numbers(
    ranges: tuple[range, ...],
    owners: tuple[Collection[int], Collection[int]],
    known: tuple[Collection[int], Collection[int]],
) -> Foreign:
    """Given what directories give out, the users and groups that own files on the MASTER, and those that its account
    files know, return the numbers that nobody of this host may keep."""
    users, groups = ((*ranges, *_alone(owning, having)) for owning, having in zip(owners, known, strict=True))
    return Foreign(users, groups)


def _alone(owners: Collection[int], known: Collection[int]) -> Iterator[range]:
    """Return the numbers that own files and have no account, those in a row as one range."""
    first = last = -1
    for number in sorted(set(owners) - set(known)):
        if number < SYSTEM_NUMBERS.start or number == NOBODY:
            continue
        if number != last + 1 or first < 0:
            if first >= 0:
                yield range(first, last + 1)
            first = number
        last = number
    if first >= 0:
        yield range(first, last + 1)
