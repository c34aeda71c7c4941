"""One line to the system log, without the weight of `logging`: for the commands that must start at once."""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from pathlib import Path

_LOCAL1_INFO = 17 * 8 + 6
_LONGEST = 8000
_PATIENCE = 5.0  # seconds; a log that takes nothing must not hold up a command that has a lock


class SystemLog:
    """Sends lines as local1.info under one name; where there is no system log they are dropped, as by syslog(3)."""

    def __init__(self, ident: str, address: Path = Path("/dev/log")) -> None:
        self._prefix = f"<{_LOCAL1_INFO}>{ident}[{os.getpid()}]: "
        self._address = str(address)

    def __call__(self, line: str) -> None:
        """Send one line; what is not ASCII is shown as `_`, as the original does."""
        text = "".join(sign if " " <= sign <= "~" or sign == "\t" else "_" for sign in line)
        message = (self._prefix + text[:_LONGEST]).encode("ascii", "replace")
        for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
            with suppress(OSError), socket.socket(socket.AF_UNIX, kind) as channel:
                channel.settimeout(_PATIENCE)
                channel.connect(self._address)
                channel.sendall(message if kind == socket.SOCK_DGRAM else message + b"\0")
                return
