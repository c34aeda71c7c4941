"""Makes anew what is made from files that were carried: the few things that a profile may ask for by name."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence

from hotsync.errors import CommandFailed
from hotsync.system import command

ARGUMENTS: Mapping[str, tuple[str, ...]] = {
    "newaliases": (),
    "postmap": (),
    "ldconfig": (),
    "update-ca-certificates": (),
    "systemd-tmpfiles": ("--create",),
}
"""Each thing is the program of that name, called with these words; postmap also with its tables."""


def make(thing: str, paths: Sequence[str]) -> str:
    """Given what is to be made anew, and of which files, make it; return why that failed, "" if it did not.

    Where the program is not installed, or none of the files is there, nothing asks for it.
    """
    words = ARGUMENTS[thing]
    if shutil.which(thing, path=command.ENVIRONMENT["PATH"]) is None:
        return ""
    if thing == "postmap":
        words = tuple(path for path in paths if os.path.exists(path))
        if not words:
            return ""
    try:
        command.run([thing, *words], timeout=600, unread=True)
    except CommandFailed as error:
        return error.sentence
    return ""
