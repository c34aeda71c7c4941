"""Lines to the system log, without the weight of `logging`: for the commands that must start at once.

The journal stores with every line the command line of the process that sent it. Lines about a change whose command
line holds a secret are therefore sent by a process of their own.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from hotsync.errors import HotSyncError

_LOCAL1_INFO = 17 * 8 + 6
_LONGEST = 8000
_PATIENCE = 5.0  # seconds; a log that takes nothing must not hold up a command that has a lock


class SystemLog:
    """Sends lines as local1.info under one name; where there is no system log they are dropped, as by syslog(3)."""

    def __init__(self, ident: str, address: Path = Path("/dev/log")) -> None:
        self._ident = ident
        self._prefix = f"<{_LOCAL1_INFO}>{ident}[{os.getpid()}]: "
        self._address = str(address)

    def __call__(self, line: str) -> None:
        """Send one line; what is not ASCII is shown as `_`, as the original does."""
        message = self._prefix.encode("ascii", "replace") + _plain(line)
        for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
            with suppress(OSError), socket.socket(socket.AF_UNIX, kind) as channel:
                channel.settimeout(_PATIENCE)
                channel.connect(self._address)
                channel.sendall(message if kind == socket.SOCK_DGRAM else message + b"\0")
                return

    def apart(self, lines: Sequence[str]) -> None:
        """Send lines by another process, so that our own command line does not come along."""
        from hotsync.system import command  # seldom needed, and heavy

        words = ["logger", "--id", "--tag", self._ident, "--priority", "local1.info", "--socket", self._address]
        with suppress(HotSyncError):
            sizes = ["--size", str(_LONGEST)]
            command.run([*words, *sizes], input=b"\n".join(map(_plain, lines)), ok=range(256), timeout=_PATIENCE)


def _plain(line: str) -> bytes:
    text = "".join(sign if " " <= sign <= "~" or sign == "\t" else "_" for sign in line)
    return text[:_LONGEST].encode("ascii", "replace")
