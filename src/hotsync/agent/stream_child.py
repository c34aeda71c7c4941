"""Connects to a server's socket as a given user, and hands the connection over: of the standard library only.

Run as root as `python -I -S stream_child.py UID GID PATH`; it drops its rights first. The server sees who connected
(peer authentication), not who speaks later. On stdin, a socket, it answers `c` with the descriptor, or `e` and why not.
"""

from __future__ import annotations

import os
import socket
import sys

CONNECT_SECONDS = 10.0


def main(uid: int, gid: int, path: str) -> None:
    """Connect and hand over."""
    os.setgroups([])
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
    with socket.socket(fileno=os.dup(0)) as answer, socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
        server.settimeout(CONNECT_SECONDS)
        try:
            server.connect(path)
        except OSError as error:
            answer.sendall(b"e" + (error.strerror or str(error)).encode())
            return
        socket.send_fds(answer, [b"c"], [server.fileno()])


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
