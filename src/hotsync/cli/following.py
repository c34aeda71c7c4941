"""Looking on at what goes on without this command: whoever leaves with Ctrl-C is told that nothing has ended."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from hotsync.cli.render import say


@contextmanager
def only_shown(goes_on: str) -> Iterator[None]:
    """Say that what is shown in this block goes on, if somebody ends the showing."""
    try:
        yield
    except KeyboardInterrupt:
        say(goes_on, err=True)
        raise
