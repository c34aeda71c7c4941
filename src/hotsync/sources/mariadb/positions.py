"""Places in a MariaDB server's binary log, by global transaction ids. Pure.

An id is `domain-server-number`; a place is the last one of each domain ("0-77-3,1-5-12"). Numbers of a domain only
grow, whoever wrote; the place of a dump names the server as well, since another server counts for itself.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_GTID = re.compile(r"(\d{1,10})-(\d{1,10})-(\d{1,20})")


def parse_gtids(text: str) -> dict[int, int]:
    """Given a place as a server says it, return the number that each domain got to; raise ValueError."""
    found: dict[int, int] = {}
    for word in text.replace("\n", "").split(",") if text.strip() else ():
        match = _GTID.fullmatch(word.strip())
        if match is None:
            raise ValueError(f"{word[:60]!r} is no global transaction id")
        domain = int(match[1])
        found[domain] = max(found.get(domain, 0), int(match[3]))
    return found


def covers(applied: str, wanted: str) -> bool:
    """Return whether a server that applied everything up to one place has everything up to another; raise ValueError.

    Both are places of the same server.
    """
    has = parse_gtids(applied)
    return all(has.get(domain, 0) >= number for domain, number in parse_gtids(wanted).items())


@dataclass(frozen=True, slots=True)
class Position:
    """Where a dump was taken: the server by its id, and the place in its binary log ("": its very beginning)."""

    server_id: int
    gtids: str

    def __str__(self) -> str:
        """Return it as it stands in a document."""
        return f"{self.server_id} {self.gtids}"


def parse_position(text: str) -> Position | None:
    """Given a dump's position as its document tells it, return it; None where it tells none, or nonsense."""
    server, blank, gtids = text.partition(" ")
    if not blank or not re.fullmatch(r"\d{1,10}", server, re.ASCII):
        return None
    try:
        parse_gtids(gtids)
    except ValueError:
        return None
    return Position(int(server), gtids)
