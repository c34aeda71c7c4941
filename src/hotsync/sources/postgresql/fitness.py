"""Whether a PostgreSQL cluster can be streamed at all, and what a standby's own words say of how it can go on."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Side:
    """What one server is, as far as it matters for streaming: PostgreSQL's major version, and the platform under it.

    `platform` is processor and C library ("x86_64 glibc 2.36"), "" where it is not known.
    """

    version: str
    platform: str


def fitness(master: Side, slave: Side | None, tablespaces: tuple[str, ...] = ()) -> str:
    """Given both sides and the MASTER's tablespaces, return in words why it cannot be streamed, "" if it can.

    The settings that must not be smaller than the MASTER's are given to the standby from its control file; checksums of
    data pages do not matter.
    """
    if slave is None:
        return f"PostgreSQL {master.version} is not installed here"
    if master.version != slave.version:
        return f"the MASTER's PostgreSQL is {master.version}, the one here {slave.version}"
    if not master.platform or not slave.platform:
        return "which C library the MASTER has is not known yet"
    if master.platform != slave.platform:
        # text is sorted by the C library: an index made by another one may not be found through here
        return f"the MASTER has {master.platform}, this server {slave.platform}: they may sort text differently"
    if tablespaces:
        return f"it has tablespaces ({', '.join(tablespaces)})"
    return ""


_TOO_SMALL = "because of insufficient parameter settings"
_MUST_BE_SEEDED = (
    (r"has already been removed", "the MASTER does not have the log any more that is missing here"),
    (r'replication slot "hotsync" does not exist', "the MASTER gave up keeping its log for this server"),
    (r"can no longer get changes from replication slot", "the MASTER gave up keeping its log for this server"),
    (r"database system identifier differs", "the MASTER's cluster was made anew"),
    (r"forked off current database system timeline", "it and the MASTER have gone different ways"),
    (r"is not a child of this server's history", "it and the MASTER have gone different ways"),
    (r"highest timeline \d+ of the primary is behind recovery timeline", "it and the MASTER have gone different ways"),
    (r"is ahead of the WAL flush position", "it and the MASTER have gone different ways"),
)


def divergence(said: str) -> str:
    """Given what a standby's server said since it was started, return why it must be seeded anew, "" if it need not."""
    return next((why for pattern, why in _MUST_BE_SEEDED if re.search(pattern, said)), "")


def lacks_settings(said: str) -> bool:
    """Return whether a standby has come to a halt since its MASTER's settings grew: started anew it has them."""
    return _TOO_SMALL in said
