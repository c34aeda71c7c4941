"""Files of networkd that choose their interface by its hardware address, made to choose it by its name."""

from __future__ import annotations

from collections.abc import Mapping

_HARDWARE = ("MACAddress", "PermanentMACAddress")


def named(text: str, cards: Mapping[str, str]) -> str:
    """Given a .network file and hardware address -> interface, return it with names in the place of addresses.

    A [Match] section of which an address is not known stays as it is.
    """
    sections: list[list[str]] = [[]]
    for line in text.splitlines():
        if line.strip().startswith("["):
            sections.append([])
        sections[-1].append(line)
    found = [_by_name(section, cards) for section in sections]
    if found == sections:
        return text
    return "\n".join(line for section in found for line in section) + "\n"


def _by_name(section: list[str], cards: Mapping[str, str]) -> list[str]:
    if not section or section[0].strip() != "[Match]":
        return section
    addresses = [mac for line in section if _key(line) in _HARDWARE for mac in line.partition("=")[2].split()]
    names = [cards.get(mac.lower().replace("-", ":"), "") for mac in addresses]
    if not names or not all(names):
        return section
    rest = [line for line in section[1:] if _key(line) not in (*_HARDWARE, "Name")]
    said = f"# HotSync: the MASTER's file said {' '.join(addresses)}"
    return [section[0], said, f"Name={' '.join(dict.fromkeys(names))}", *rest]


def _key(line: str) -> str:
    return line.partition("=")[0].strip()
