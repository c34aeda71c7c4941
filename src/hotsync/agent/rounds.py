"""What daemons have in common: they tell systemd how they are, look again and again until they are told to end, and
complain of one thing once."""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
from collections.abc import Callable
from contextlib import suppress


def notify(state: str) -> None:
    """Tell systemd how this service is (a datagram); nothing happens where nobody listens."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.connect("\0" + address[1:] if address.startswith("@") else address)
        channel.sendall(state.encode())


class _Cut(BaseException):
    """A look is ended in the middle; no handler of errors swallows it."""


def go_round(look: Callable[[], None], pause: float, *, cut: bool = False) -> None:
    """Look, and again `pause` seconds after each look, until a signal tells this process to end.

    `cut`: then a look that goes on is ended in the middle, and not waited for; only for one that changes nothing.
    """
    stopping = threading.Event()
    looking = False

    def end(number: int, frame: object) -> None:
        nonlocal looking
        del number, frame
        stopping.set()
        if cut and looking:
            looking = False  # once is enough: what follows cleans up
            raise _Cut

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    notify("READY=1")
    with suppress(_Cut):
        while not stopping.is_set():
            looking = True
            look()
            looking = False
            stopping.wait(pause)
    notify("STOPPING=1")


class Complaint:
    """What is wrong now, in the log once, not once a look."""

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._reason = ""

    def say(self, reason: str) -> None:
        """Log a reason unless it is the last one; "" says that nothing is wrong any more."""
        if reason != self._reason:
            self._reason = reason
            if reason:
                self._log.error("%s", reason)
