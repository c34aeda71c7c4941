"""docs/per-host.md: what is never copied from one machine to another, and what comes at a promotion only."""

from __future__ import annotations

from docs.generators import table
from hotsync.model.per_host import AT_PROMOTION, PER_HOST

PATH = "docs/per-host.md"

INTRODUCTION = """# What belongs to one machine

Two lists. What is in neither is carried by [the selection](manual.md#what-is-carried-and-what-is-not) and shown by the
SLAVE from the promotion on, like the second list. `hotsync explain PATH` says of any path what becomes of it, and why.

## Never copied

What the SLAVE has at these places stays there, also in a promotion; what it does not have it does not get. No profile
and no list of the site changes that for these very paths; a rule for something *inside* of one of them does
(`/var/lib/hotsync/spool` is carried).

"""

AT_THE_PROMOTION = """
## Copied, and in its place only at the promotion

Each of these is in the replica from the first run on. Nothing of it is used on the waiting SLAVE.

"""

ATTRIBUTES = """
## Attributes of files

Owners, modes, times, ACLs and extended attributes travel with each file. The attributes of `chattr` that are of use
elsewhere (`i`, `a`, `d`, `C`) are noted with it and set by the promotion, never in the replica. Limits of quotas belong
to a file system: set them on the SLAVE, too.

Packages that are never installed because the MASTER has them (kernel, boot loader, firmware, microcode, disk tools,
guest agents, HotSync) are in [the manual](manual.md#what-is-carried-and-what-is-not).
"""


def render() -> str:
    """Return the page."""
    return (
        INTRODUCTION + table(("paths", "why"), _rows(PER_HOST)) + AT_THE_PROMOTION
        + table(("paths", "why not before"), _rows(AT_PROMOTION)) + ATTRIBUTES
    )  # fmt: skip


def _rows(groups: tuple[tuple[str, tuple[str, ...]], ...]) -> list[tuple[str, str]]:
    return [(", ".join(f"`{path}`" for path in paths), reason) for reason, paths in groups]
