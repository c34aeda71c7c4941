"""The MASTER's pins as values: which version is preferred; read without trust, written in one form only."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from hotsync.model.packages.own import own_reason
from hotsync.model.packages.repositories import Refusal

_PACKAGE = re.compile(r"^(?:src:)?[A-Za-z0-9*?\[\]][A-Za-z0-9.+*?\[\]:-]{0,200}\Z")
_CHOICE = re.compile(r"^(release|version|origin) [A-Za-z0-9 ,=._~+*/:\"-]{0,200}\Z")
_PRIORITY = re.compile(r"^-?[0-9]{1,5}\Z")
PUTS_BACK = 1000
"""Above it, apt puts a package back to an older version."""


@dataclass(frozen=True, slots=True, order=True)
class Pin:
    """Packages (names, with wildcards), which of their versions is meant, and with which priority."""

    packages: tuple[str, ...]
    choice: str
    priority: int

    def __str__(self) -> str:
        return f"{' '.join(self.packages)}: {self.choice}, priority {self.priority}"


def parse_preferences(text: str) -> tuple[list[Pin], list[Refusal]]:
    """Given a file of apt's preferences, return its pins, and what is refused of it."""
    found: list[Pin] = []
    refused: list[Refusal] = []
    lines = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    for stanza in re.split(r"\n[ \t]*\n", lines):
        if not stanza.strip():
            continue
        fields = {
            key.strip().lower(): " ".join(value.split())
            for key, colon, value in (line.partition(":") for line in re.sub(r"\n[ \t]+", " ", stanza).splitlines())
            if colon
        }
        packages = tuple(fields.get("package", "").split())
        choice, priority = fields.get("pin", ""), fields.get("pin-priority", "")
        if reason := _fault(packages, choice, priority):
            shown = f"pin of {' '.join(packages)}: {choice}, priority {priority}"
            refused.append(Refusal(shown[:200], reason))
        else:
            found.append(Pin(packages, choice, int(priority)))
    return found, refused


def _fault(packages: tuple[str, ...], choice: str, priority: str) -> str:
    if not packages or not all(_PACKAGE.match(name) for name in packages):
        return "its packages are not understood"
    if own := next((reason for name in packages if (reason := own_reason(name.removeprefix("src:")))), ""):
        return f"this host's own: {own}"
    if not _CHOICE.match(choice) or not _PRIORITY.match(priority):
        return "what it prefers is not understood"
    if int(priority) > PUTS_BACK:
        return f"a priority above {PUTS_BACK} puts packages back to older versions"
    return ""


def new_pins(offered: Iterable[Pin], own: Iterable[Pin]) -> tuple[Pin, ...]:
    """Given the MASTER's pins and ours, return those that this host does not have, each once."""
    known = frozenset(own)
    return tuple(dict.fromkeys(pin for pin in offered if pin not in known))


def render_preferences(pins: Iterable[Pin]) -> str:
    """Given pins, return a file of apt's preferences."""
    head = "# Written by hotsync-slave --accept-repositories: pins of the MASTER, accepted with its repositories.\n"
    stanzas = (
        f"\nPackage: {' '.join(pin.packages)}\nPin: {pin.choice}\nPin-Priority: {pin.priority}\n" for pin in pins
    )
    return head + "".join(stanzas)
