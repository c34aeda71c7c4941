"""The confined receiver: becomes `rsync --server` in one staging folder. Runs once for each bulk connection.

Its stdin and stdout are a socket from hotsyncd. The first frame on it comes from hotsyncd, never from the peer; after
the answer all bytes are rsync's. Nothing of what decides here is a path or an option of the peer's.
"""

from __future__ import annotations

import logging
import os
import socket
import stat
import struct
import sys
from pathlib import Path
from typing import Annotated, Literal, NoReturn

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from hotsync.errors import HotSyncError, ProtocolError
from hotsync.system import command, log, paths
from hotsync.system.clock import Clock, SystemClock
from hotsync.system.files import open_beneath
from hotsync.transport.messages import Message
from hotsync.transport.rsync import RsyncTerms, receiver_argv
from hotsync.transport.wire import JSON_KIND, MAX_FIRST_JSON, Channel, render_frame

_log = logging.getLogger("hotsync.agent")

FIRST_FRAME_SECONDS = 10.0
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW


class Receive(BaseModel):
    """hotsyncd's order: which staging, under which terms."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)
    generation: Annotated[int, Field(ge=1, le=2**53)]
    terms: RsyncTerms


class Receiving(Message):
    """The receiver's answer: from here on rsync speaks."""

    type: Literal["receiving"] = "receiving"
    pid: Annotated[int, Field(ge=1)]


def order(channel: Channel, generation: int, terms: RsyncTerms) -> int:
    """Given a channel to the receiver, have it become rsync and return its process; raise HotSyncError with its reason
    if it does not."""
    body = Receive(generation=generation, terms=terms).model_dump_json().encode()
    phase = "the receiver was started"
    channel.socket.settimeout(FIRST_FRAME_SECONDS)
    channel.socket.sendall(render_frame(JSON_KIND, body))
    _, answer = channel.receive(phase, within=FIRST_FRAME_SECONDS * 3, max_json=MAX_FIRST_JSON)
    try:
        return Receiving.model_validate_json(answer).pid
    except ValidationError as error:
        raise ProtocolError(reason=f"the receiver did not start: {answer[:500].decode('utf-8', 'replace')}") from error


def read_order(sock: socket.socket, clock: Clock) -> Receive:
    """Return hotsyncd's order; raise ProtocolError if it is not one, or does not come from this host's root."""
    credentials = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    _, uid, _ = struct.unpack("3i", credentials)
    if uid != 0:
        raise ProtocolError(reason="the order does not come from hotsyncd")
    channel = Channel(sock, "hotsyncd", clock, FIRST_FRAME_SECONDS)
    kind, body = channel.receive("the order was read", max_json=MAX_FIRST_JSON)
    if kind != JSON_KIND:
        raise ProtocolError(reason="the order is not a message")
    try:
        return Receive.model_validate_json(body)
    except ValidationError as error:
        raise ProtocolError(reason=f"the order is malformed ({error.error_count()} faults)") from error


def open_staging(replica: Path, generation: int) -> int:
    """Given a generation, return its open staging folder; raise OSError unless it is a real folder of root's."""
    stagings = os.open(replica / "staging", _FOLDER)
    try:
        staging = open_beneath(stagings, str(generation), _FOLDER)
    finally:
        os.close(stagings)
    status = os.fstat(staging)
    if status.st_uid != os.geteuid() or stat.S_IMODE(status.st_mode) & 0o077:
        os.close(staging)
        raise PermissionError(f"staging {generation} is open to others")
    return staging


def become_rsync(terms: RsyncTerms) -> NoReturn:
    """Replace this program by the receiving rsync."""
    os.umask(0o077)
    environment = {**command.environment(), "HOME": "/nonexistent"}
    os.execvpe("rsync", receiver_argv(terms), environment)  # noqa: S606, S607 - PATH is the fixed one above


def _answer(sock: socket.socket, body: bytes) -> bool:
    """Answer hotsyncd; return whether it was there to be answered: it may have died meanwhile."""
    try:
        sock.sendall(render_frame(JSON_KIND, body))
    except OSError as error:
        _log.warning("no transfer: hotsyncd is gone (%s)", error.strerror)
        return False
    return True


def main() -> int:
    """Read the order from stdin, go into the staging folder, answer, become rsync; return 1 if that cannot be."""
    log.set_up("hotsync-receive", to_system_log=False)  # it may make no socket: stderr is the journal's
    with socket.socket(fileno=os.dup(0)) as sock:
        try:
            received = read_order(sock, SystemClock())
            staging = open_staging(paths.from_environment().replica, received.generation)
        except (HotSyncError, OSError) as error:
            reason = error.sentence if isinstance(error, HotSyncError) else str(error)
            _log.error("no transfer: %s", reason)
            _answer(sock, reason.encode("utf-8", "replace")[:1000])
            return 1
        os.fchdir(staging)
        os.close(staging)
        sock.setblocking(True)
        if not _answer(sock, Receiving(epoch=0, pid=os.getpid()).render()):
            return 1
    become_rsync(received.terms)


if __name__ == "__main__":
    sys.exit(main())
