"""Labels of SELinux: given anew by this machine's own policy to what a promotion moved into place."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from hotsync.errors import CommandFailed
from hotsync.system import command
from hotsync.system.paths import Paths

_SECONDS = 24 * 3600.0
_HINT = "`restorecon -RF /` does it"


def is_enabled(paths: Paths) -> bool:
    """Return whether the kernel of this host asks a policy."""
    return paths.at("/sys/fs/selinux/enforce").exists()


def specification(paths: Paths) -> Path:
    """Return the file of this host's policy that says which label belongs where."""
    kind = "targeted"
    with suppress(OSError):
        text = paths.at("/etc/selinux/config").read_text("utf-8", "replace")
        if found := re.search(r"^\s*SELINUXTYPE\s*=\s*([A-Za-z0-9_-]+)\s*$", text, re.MULTILINE):
            kind = found[1]
    return paths.at(f"/etc/selinux/{kind}/contexts/files/file_contexts")


def label(paths: Paths, places: Sequence[str], root: Path) -> str:
    """Given absolute paths as they lie below a root, label them and all below them as if that were `/`.

    Return why that failed, "" if it did not. What is not there is passed by.
    """
    if not places:
        return ""
    where = ["-r", os.fspath(root)] if root != Path("/") else []
    names = b"".join(os.fsencode(place) + b"\0" for place in places)
    argv = ["setfiles", "-F", "-i", "-q", *where, "-0", "-f", "-", os.fspath(specification(paths))]
    try:
        command.run(argv, input=names, timeout=_SECONDS)
    except CommandFailed as error:
        return f"{error.sentence.rstrip('.')}; {_HINT}."
    return ""
