"""Programs whose output is too long to hold, and programs that are fed; both watched, so nothing waits for ever."""

from __future__ import annotations

import fcntl
import os
import select
import time
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

from hotsync.errors import CommandFailed
from hotsync.system import command

CHUNK = 1024 * 1024
_LOOKS = 20  # so often, within the time after which it counts as stalled, a program is looked at
LOAD_STALL_SECONDS = 6 * 3600.0
"""One statement of a load (a large index) may take long; only a server that hangs for hours is given up."""


def output_of(
    argv: Sequence[str],
    *,
    stall_seconds: float,
    user: str | None = None,
    env: Mapping[str, str] | None = None,
    pass_fds: Sequence[int] = (),
) -> Generator[bytes, None, None]:
    """Given a command, return what it writes, in chunks; raise CommandFailed at its end unless it ended well.

    A program that writes nothing for `stall_seconds` is ended. Closing the iterator ends it too.
    """
    with command.spawn(
        argv, stdout=command.PIPE, stderr=command.PIPE, user=user, env=env, pass_fds=pass_fds, cwd="/"
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        tail = command.StderrTail(process.stderr)
        with suppress(OSError):  # a larger pipe is only faster
            fcntl.fcntl(process.stdout.fileno(), fcntl.F_SETPIPE_SZ, CHUNK)
        while chunk := _read(process.stdout, argv, stall_seconds):
            yield chunk
        _end(process, tail, argv, stall_seconds)


def run_watched(
    argv: Sequence[str],
    *,
    stall_seconds: float,
    progress: Callable[[], object],
    user: str | None = None,
    env: Mapping[str, str] | None = None,
    pass_fds: Sequence[int] = (),
) -> None:
    """Given a command that writes files, run it to its end; raise CommandFailed unless it ends well.

    One that does nothing for `stall_seconds` is ended: what `progress` returns is the same as before, and the program
    itself did not compute either (a long list of tables is read before the first file appears).
    """
    with command.spawn(
        argv, stdout=command.DEVNULL, stderr=command.PIPE, user=user, env=env, pass_fds=pass_fds, cwd="/"
    ) as process:
        assert process.stderr is not None
        tail = command.StderrTail(process.stderr)
        seen, since = None, time.monotonic()
        while True:
            try:
                status = process.wait(timeout=stall_seconds / _LOOKS)
                break
            except command.TimeoutExpired:
                now = (progress(), _computed(process.pid))
                if now != seen:
                    seen, since = now, time.monotonic()
                elif time.monotonic() - since >= stall_seconds:
                    raise _stalled(argv, stall_seconds) from None
        if status != 0:
            raise command.failure(argv, status, tail.text())


def _computed(pid: int) -> str:
    """Return how much a program has computed so far, "" if it has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()
    except OSError:
        return ""
    return " ".join(fields[11:13])


def feed(
    argv: Sequence[str],
    chunks: Iterable[bytes],
    *,
    stall_seconds: float = LOAD_STALL_SECONDS,
    user: str | None = None,
    env: Mapping[str, str] | None = None,
    told: Callable[[bytes], None] | None = None,
) -> str:
    """Given a command, write the chunks to its stdin; return what it said last on stderr. `told` takes each line of it.

    Raise CommandFailed unless it takes them all and ends well.
    """
    with command.spawn(
        argv, stdin=command.PIPE, stdout=command.DEVNULL, stderr=command.PIPE, user=user, env=env, cwd="/"
    ) as process:
        assert process.stdin is not None
        assert process.stderr is not None
        tail = command.StderrTail(process.stderr, told)
        with suppress(BrokenPipeError):  # it ended early: its status and last words say why
            for chunk in chunks:
                _write(process.stdin, chunk, argv, stall_seconds)
            process.stdin.close()
        _end(process, tail, argv, stall_seconds)
        return tail.text()


def _end(process: command.Process, tail: command.StderrTail, argv: Sequence[str], stall_seconds: float) -> None:
    try:
        status = process.wait(timeout=stall_seconds)
    except command.TimeoutExpired:
        raise _stalled(argv, stall_seconds) from None
    if status != 0:
        raise command.failure(argv, status, tail.text())


def _read(pipe: IO[bytes], argv: Sequence[str], stall_seconds: float) -> bytes:
    _await(pipe, select.POLLIN, argv, stall_seconds)
    return os.read(pipe.fileno(), CHUNK)


def _write(pipe: IO[bytes], data: bytes, argv: Sequence[str], stall_seconds: float) -> None:
    os.set_blocking(pipe.fileno(), False)
    rest = memoryview(data)
    while rest:
        _await(pipe, select.POLLOUT, argv, stall_seconds)
        with suppress(BlockingIOError):
            rest = rest[os.write(pipe.fileno(), rest) :]


def _await(pipe: IO[bytes], event: int, argv: Sequence[str], stall_seconds: float) -> None:
    poll = select.poll()
    poll.register(pipe, event)
    if not poll.poll(stall_seconds * 1000):
        raise _stalled(argv, stall_seconds)


def _stalled(argv: Sequence[str], stall_seconds: float) -> CommandFailed:
    return CommandFailed(
        program=argv[0],
        status=f"silent for {stall_seconds:.0f} s",
        detail="it was ended; a table that it waits for may be locked",
        line=command.replayable(argv),
    )
