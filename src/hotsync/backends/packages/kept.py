"""Package files that are kept: one file under two names where both lie on one file system, else a copy."""

from __future__ import annotations

import os
import shutil
from pathlib import Path


def lay_beside(file: Path, name: Path) -> None:
    """Given a package file, let it lie under another name too, whole or not at all; nothing is done if it does."""
    if name.exists() and name.stat().st_size == file.stat().st_size:
        return
    part = name.with_name(f".{name.name}.part")
    part.unlink(missing_ok=True)
    try:
        os.link(file, part)
    except OSError:
        shutil.copyfile(file, part)
    part.replace(name)
