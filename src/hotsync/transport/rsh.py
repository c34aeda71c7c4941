"""The remote shell that rsync is told to use: hands rsync's two pipes to HotSync and waits. Standard library only.

Run as `python -I -S rsh.py DESCRIPTOR peer rsync --server ...`; DESCRIPTOR is an inherited Unix socket. The command
line that rsync wants on the other side goes over with the pipes, so that HotSync can compare it before a byte is sent.
"""

import json
import socket
import sys


def main() -> int:
    """Hand over, then live until HotSync closes its end; return 0, or 1 if nobody is there to take the pipes."""
    try:
        with socket.socket(fileno=int(sys.argv[1])) as channel:
            socket.send_fds(channel, [json.dumps(sys.argv[3:]).encode("ascii")], [0, 1])
            channel.recv(1)
    except OSError:
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
