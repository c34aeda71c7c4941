"""The watch over unit tests: none of them runs a program, talks through a socket or needs to be root.

Root cannot be taken away inside a process that others share, so that last rule is kept by review; what needs root
(owners, device nodes, mounts) belongs into tests/contract.
"""

from __future__ import annotations

import sys

FORBIDDEN = frozenset(
    {
        "subprocess.Popen",
        "os.exec",
        "os.fork",
        "os.forkpty",
        "os.posix_spawn",
        "os.system",
        "pty.spawn",
        "socket.bind",
        "socket.connect",
        "socket.getaddrinfo",
        "socket.sendto",
    }
)
"""Audit events of the interpreter. A pair of connected sockets stays allowed: it leads nowhere."""


class Trespass(BaseException):
    """A unit test reached outside; no `except Exception` of the code under test may swallow that."""


class Watch:
    """Sees every audit event of the interpreter from its making on; objects while it is armed."""

    def __init__(self) -> None:
        self.armed = False
        self.seen: list[str] = []
        sys.addaudithook(self._hook)

    def _hook(self, event: str, arguments: tuple[object, ...]) -> None:
        if self.armed and event in FORBIDDEN:
            words = f"{event}{arguments!r}"
            self.seen.append(words)
            raise Trespass(f"a unit test must not do this (tests/contract may): {words}")
