"""What a rejoin needs besides while it makes the vault: where it lies, and how it goes."""

from __future__ import annotations

import logging
from pathlib import Path

from hotsync.system.paths import Paths
from hotsync.system.trees import remove

BEFORE = "rejoin.spool"
"""The dumps that were received, under links of their own, while the servers are dumped anew."""
_log = logging.getLogger("hotsync.rejoin")


def part_of(vault: Path) -> Path:
    """Given the place of a vault, return where it is made."""
    return vault.with_name(f"{vault.name}.part")


def drop_work(paths: Paths, vault: str) -> None:
    """Remove what an attempt has left besides its vault: the next one would compare with it.

    What cannot be removed is said, and stops nothing.
    """
    for place in (paths.state / BEFORE, paths.state / f"{BEFORE}.part"):
        _drop(place)
    drop_part(vault)


def drop_part(vault: str) -> None:
    """Remove what there is of a vault that is not made any more, "" for none; what cannot be removed is said."""
    if vault:
        _drop(part_of(Path(vault)))


def _drop(place: Path) -> None:
    try:
        remove(place)
    except OSError as error:
        _log.warning("%s is left, and of no use: remove it (%s).", place, error)
