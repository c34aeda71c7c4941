"""Trees that are deeper than any program likes: made and looked at through open folders, one name at a time."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def dig(top: Path, levels: int, name: str = "d", *, files: int = 100) -> None:
    """Make a folder in a folder in a folder below `top`, with a file in each `files`-th and in the last one."""
    top.mkdir(parents=True, exist_ok=True)
    here = os.open(top, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for level in range(1, levels + 1):
            os.mkdir(name, dir_fd=here)
            deeper = os.open(name, os.O_RDONLY | os.O_DIRECTORY, dir_fd=here)
            os.close(here)
            here = deeper
            if level % files == 0 or level == levels:
                os.close(os.open("file", os.O_WRONLY | os.O_CREAT, 0o600, dir_fd=here))
    finally:
        os.close(here)


@contextmanager
def little_recursion(more: int = 150) -> Iterator[None]:
    """Let Python call itself only so much deeper than here: what counts levels of a tree by calls fails at once."""
    depth, frame = 0, sys._getframe()  # pyright: ignore[reportPrivateUsage]
    while frame is not None:
        depth, frame = depth + 1, frame.f_back  # type: ignore[assignment]
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(depth + more)
    try:
        yield
    finally:
        sys.setrecursionlimit(before)
