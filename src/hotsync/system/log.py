"""Lines in the system log and on the terminal; secrets never get here."""

from __future__ import annotations

import logging
import logging.handlers
import os
import sys

_SYSTEM_LOG = "/dev/log"


class _Plain(logging.Formatter):
    """Lines in which nothing of other origins (names of files, what the peer said) can look like more than it is."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line; a traceback keeps its lines."""
        text = super().format(record)
        return "".join(sign if sign.isprintable() or sign == "\n" else ascii(sign)[1:-1] for sign in text)


class _QuietSysLog(logging.handlers.SysLogHandler):
    """A system log that is gone for a moment costs its line, and shows nobody a traceback."""

    def handleError(self, record: logging.LogRecord) -> None:
        """Let the line go."""


def set_up(name: str, *, verbose: bool = False, to_system_log: bool = True) -> None:
    """Send log lines to the system log under `name`, and to stderr in the journal's form when a unit runs us."""
    root = logging.getLogger("hotsync")
    root.setLevel(logging.DEBUG if verbose else logging.INFO)
    root.handlers.clear()
    if to_system_log and os.path.exists(_SYSTEM_LOG):  # none in a container being built: stderr must do
        system = _QuietSysLog(_SYSTEM_LOG, facility="local1")
        system.setFormatter(_Plain(f"{name}[%(process)d]: %(message)s"))
        root.addHandler(system)
    if verbose or not root.handlers:
        stream = logging.StreamHandler(sys.stderr)
        stream.setFormatter(_Plain("%(levelname)s %(name)s: %(message)s"))
        root.addHandler(stream)
