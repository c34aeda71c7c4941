"""Runs a program that can speak TCP only, and carries what it says to a unix socket: of the standard library only.

Run as `python -I -S mariadb_forward.py SOCKET PORT_FILE -- PROGRAM ARGUMENT...`. A port is opened on 127.0.0.1, its
number is written to PORT_FILE, and this process becomes PROGRAM; a child of it carries each connection to SOCKET, and
ends when PROGRAM does. In the network of its own that a waiting server has, nobody else can get to that port.
"""

from __future__ import annotations

import os
import select
import socket
import sys
import threading

_CHUNK = 256 * 1024


def main(words: list[str]) -> None:
    """Open the port, and become the program."""
    path, port_file, _, *argv = words
    listener = socket.create_server(("127.0.0.1", 0), backlog=8)
    with open(port_file, "w", encoding="ascii") as file:
        file.write(f"{listener.getsockname()[1]}\n")
    program = os.pidfd_open(os.getpid())
    if os.fork() == 0:
        serve(listener, path, program)
        os._exit(0)
    os.execvp(argv[0], argv)  # noqa: S606 - it is to take our place


def serve(listener: socket.socket, path: str, program: int) -> None:
    """Carry what connects, until the program ends."""
    poll = select.poll()
    poll.register(program, select.POLLIN)
    poll.register(listener, select.POLLIN)
    while True:
        ready = {descriptor for descriptor, _ in poll.poll()}
        if program in ready:
            return
        client, _ = listener.accept()
        threading.Thread(target=carry, args=(client, path), daemon=True).start()


def carry(client: socket.socket, path: str) -> None:
    """Carry one connection both ways; where nobody listens at the socket it is closed, and the program tries again."""
    with client, socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
        try:
            server.connect(path)
        except OSError:
            return
        back = threading.Thread(target=_copy, args=(server, client), daemon=True)
        back.start()
        _copy(client, server)
        back.join()


def _copy(source: socket.socket, sink: socket.socket) -> None:
    """Move bytes one way until that side ends, and say so to the other."""
    try:
        while data := source.recv(_CHUNK):
            sink.sendall(data)
    except OSError:
        pass
    for end in (source, sink):
        try:
            end.shutdown(socket.SHUT_RDWR)
        except OSError:
            continue


if __name__ == "__main__":
    main(sys.argv[1:])
