"""Tables of our own in nftables: made, taken away and looked for as a whole, never a rule of somebody else's."""

from __future__ import annotations

import shutil
from collections.abc import Callable

from hotsync.errors import CommandFailed
from hotsync.system import command

Nft = Callable[[str], object]
"""Takes what `nft -f -` reads, in one transaction."""


def available() -> bool:
    """Return whether nftables can be used here."""
    return shutil.which("nft", path=command.ENVIRONMENT["PATH"]) is not None


def apply(rules: str) -> object:
    """Give rules to `nft -f -`; raise CommandFailed if it does not take them."""
    return command.run(["nft", "-f", "-"], input=rules.encode("ascii"), timeout=30)


def render_removal(table: str) -> str:
    """Given a table (family and name), return what removes it, whether it is there or not."""
    return f"add table {table}\ndelete table {table}\n"


def is_there(table: str) -> bool:
    """Return whether a table (family and name) is in force."""
    try:
        command.run(["nft", "list", "table", *table.split()], timeout=30)
    except CommandFailed:
        return False
    return True
