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
(`/var/lib/hotsync/spool` is carried). Where the list has a pattern, a list of the site that names one path of it
exactly (`/etc/systemd/system/srv-app.mount`) carries that one.

"""

NAMED = """
Besides, what its own tables of disks name stays on a machine (`/etc/crypttab`, `/etc/integritytab`, `/etc/veritytab`,
`/etc/fstab`, units that mount): plain files such as `/etc/private/data.key` or `/root/data.key`, and what stands behind
`credentials=` or any other option with a path. A promotion leaves them where they are on the SLAVE, and so does a
rejoin. Keys and headers of disks, and files that memory is swapped to, are not carried from a MASTER; credentials of
shares are. The check `data.disks` of the readiness names what stays, where the MASTER has another file at such a path,
and what cannot be kept: there the MASTER has a folder or a link in its way. It also names files that the SLAVE mounts
as a disk (images) and that the MASTER has not: these are carried like any data, so a promotion sets the SLAVE's aside.
"""

AT_THE_PROMOTION = """
## Copied, and in its place only at the promotion

Each of these is in the replica from the first run on. Nothing of it is used on the waiting SLAVE.

"""

ATTRIBUTES = """
## Attributes of files

Owners, modes, times, ACLs and extended attributes travel with each file. The attributes of `chattr` that are of use
elsewhere (`i`, `a`, `d`, `C`, and projects with `P`) are noted with it and set by the promotion, never in the replica;
what a file system here does not know is named in the report.

Labels of SELinux do not travel: a promotion labels what it moves into place by this machine's own policy
([SELinux](manual.md#selinux)). Limits of quotas are told by the MASTER and set by the promotion, at the same mount
points, as far as quotas are on there. Only whether they are on is each server's own, as `/etc/fstab` says it
([quotas](manual.md#quotas)).

Packages that are never installed because the MASTER has them (kernel, boot loader, firmware, microcode, disk tools,
guest agents, HotSync) are in [the manual](manual.md#what-is-carried-and-what-is-not).
"""


def render() -> str:
    """Return the page."""
    return (
        INTRODUCTION + table(("paths", "why"), _rows(PER_HOST)) + NAMED + AT_THE_PROMOTION
        + table(("paths", "why not before"), _rows(AT_PROMOTION)) + ATTRIBUTES
    )  # fmt: skip


def _rows(groups: tuple[tuple[str, tuple[str, ...]], ...]) -> list[tuple[str, str]]:
    return [(", ".join(f"`{path}`" for path in paths), reason) for reason, paths in groups]
