"""What names of units say by themselves: of which template one is, and which are made for a moment."""

from __future__ import annotations

import re

_PASSING = re.compile(
    r"^(?:session-c?[0-9]+\.scope"
    r"|run-(?:[0-9]+|u[0-9]+|r[0-9a-f]{32}|p[0-9]+(?:-i[0-9]+)?)\.(?:service|socket|timer|path|scope))\Z"
)


def template_of(unit: str) -> str:
    """Given an instance (postfix@-.service), return its template (postfix@.service); another unit is its own."""
    name, dot, kind = unit.rpartition(".")
    return f"{name.partition('@')[0]}@{dot}{kind}" if "@" in name else unit


def is_passing(unit: str) -> bool:
    """Given a unit, return whether the init system named it for a login, or for a call of systemd-run."""
    return _PASSING.match(unit) is not None
