"""The sending end of a bulk connection: runs rsync, hands its bytes to the TLS side, tells what became of each path."""

from __future__ import annotations

import json
import os
import shlex
import socket
import ssl
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from hotsync.errors import CommandFailed, HotSyncError, OtherRsync, PeerSilent, TransferError
from hotsync.model.unstored import Unstored
from hotsync.system import command
from hotsync.system.clock import Clock
from hotsync.transport import rsh
from hotsync.transport.pump import Pump, Traffic
from hotsync.transport.rsync import (
    RsyncTerms,
    RsyncVersion,
    TransferProgress,
    parse_version,
    same_server,
    sender_argv,
)
from hotsync.transport.rsync_words import Circumstances, Messages, Trouble, is_cut, judge, parse_progress, parse_stats

FIRST_REPLY_SECONDS = 30.0
_HANDOVER_SECONDS = 30.0
_ENDING_SECONDS = 60.0
# rsync reads aliases from ~/.popt: a home that is empty keeps the administrator's out
_ENVIRONMENT = {"HOME": "/nonexistent"}


@dataclass(frozen=True, slots=True)
class TransferResult:
    """What a transfer did; `vanished`, `unreadable` (with the reason) and `changed` paths did not arrive as they are.

    `unstored` is what the SLAVE says that it cannot store; `cut`: it ended with that, and what came behind is missing.
    `files` and `bytes` count what rsync sent as content; `wire_sent` and `wire_received` what went over the line.
    """

    files: int
    bytes: int
    wire_sent: int
    wire_received: int
    vanished: tuple[str, ...] = ()
    unreadable: tuple[tuple[str, str], ...] = ()
    changed: tuple[str, ...] = ()
    unstored: tuple[Unstored, ...] = ()
    cut: bool = False


@dataclass(frozen=True, slots=True)
class Job:
    """One transfer: terms, where the paths lie, their list (NUL after each), and what was expected of it."""

    terms: RsyncTerms
    root: Path
    files_from: Path
    around: Circumstances
    total_files: int
    total_bytes: int


def read_rsync_version() -> RsyncVersion:
    """Return the version and abilities of this host's rsync; raise TransferError if there is none that can be read."""
    try:
        try:
            return parse_version(command.run(["rsync", "-VV"], env=_ENVIRONMENT, timeout=30).text)
        except (CommandFailed, TransferError):
            return parse_version(command.run(["rsync", "--version"], env=_ENVIRONMENT, timeout=30).text)
    except CommandFailed as error:
        raise TransferError(reason=f"rsync does not run here: {error.sentence}", hint="Install rsync.") from error


def send_files(
    secured: ssl.SSLSocket, job: Job, clock: Clock, stall_seconds: float, progress: Callable[[TransferProgress], None]
) -> TransferResult:
    """Given a bulk connection that is ready, send the listed paths through it.

    Raise OtherRsync, ReplicaError (NoSpace), PeerSilent, ConnectionEnded or TransferError if it came to nothing.
    """
    ours, theirs = socket.socketpair()
    with ours, theirs:
        shell = shlex.join([sys.executable, "-I", "-S", str(rsh.__file__), str(theirs.fileno())])
        argv = sender_argv(job.terms, shell, str(job.files_from), str(job.root))
        with command.spawn(argv, env=_ENVIRONMENT, pass_fds=[theirs.fileno()]) as process:
            theirs.close()
            talk = _Talk(process, job, clock, progress)
            with _handed_over(ours, job, talk) as (source, sink):
                stopped = _pump(secured, source, sink, talk, stall_seconds)
            ours.close()  # the remote shell ends with this
            return _result(talk, stopped)


def _pump(secured: ssl.SSLSocket, source: int, sink: int, talk: _Talk, stall_seconds: float) -> HotSyncError | None:
    """Pump until it is over; return the error that ended it, if one did."""
    pump = Pump(secured, source, sink, talk.clock, stall_seconds, talk.tick)
    talk.traffic = pump.traffic
    try:
        pump.run()
    except HotSyncError as error:
        return error
    return None


def _result(talk: _Talk, stopped: HotSyncError | None) -> TransferResult:
    status = talk.end()
    around = talk.job.around
    around = Circumstances(around.ours, around.theirs, talk.traffic.received, around.needed, around.free)
    error = judge(status, talk.messages, around)
    # what rsync heard from the other side says more than that the line ended, but a stall is a stall
    if isinstance(stopped, PeerSilent | OtherRsync):
        raise stopped
    if error is not None:
        raise stopped if stopped is not None and type(error) is TransferError else error
    cut = is_cut(status, talk.messages)
    if stopped is not None and not cut:
        raise stopped
    figures = parse_stats(talk.last_lines)
    problems = talk.messages.problems
    return TransferResult(
        files=figures.get("Number of regular files transferred", talk.counted_files),
        bytes=figures.get("Total transferred file size", talk.counted_bytes),
        wire_sent=talk.traffic.sent,
        wire_received=talk.traffic.received,
        vanished=tuple(problem.path for problem in problems if problem.trouble is Trouble.VANISHED),
        unreadable=tuple(
            (problem.path, problem.reason) for problem in problems if problem.trouble is Trouble.UNREADABLE
        ),
        changed=tuple(problem.path for problem in problems if problem.trouble is Trouble.CHANGED),
        unstored=tuple(talk.messages.unstored.values()),
        cut=cut,
    )


class _Talk:
    """Listens to one rsync: progress and figures on stdout, trouble on stderr, each in a thread of its own."""

    def __init__(
        self, process: command.Process, job: Job, clock: Clock, progress: Callable[[TransferProgress], None]
    ) -> None:
        self.process = process
        self.job = job
        self.clock = clock
        self.traffic = Traffic()
        self.messages = Messages()
        self.counted_bytes = 0
        self.counted_files = 0
        self.last_lines: list[str] = []
        self._progress = progress
        self._began = clock.monotonic()
        self._threads = [
            threading.Thread(target=self._read_figures, args=(process.stdout,), daemon=True),
            threading.Thread(target=self._read_trouble, args=(process.stderr,), daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def tick(self, traffic: Traffic) -> None:
        """Tell how far it is; raise OtherRsync if the receiving rsync has never said a word."""
        elapsed = self.clock.monotonic() - self._began
        if traffic.received == 0 and elapsed > min(FIRST_REPLY_SECONDS, self.job.terms.stall_seconds):
            raise OtherRsync(ours=self.job.around.ours, theirs=self.job.around.theirs)
        done, total = self.counted_bytes, max(self.job.total_bytes, self.counted_bytes)
        rate = done / elapsed if elapsed > 0 else 0.0
        left = (total - done) / rate if rate > 0 else None
        self._progress(TransferProgress(self.counted_files, self.job.total_files, done, total, rate, left))

    def end(self) -> int:
        """Wait for rsync to end by itself, end it if it does not, and return its status (a signal's is negative)."""
        with suppress(command.TimeoutExpired):
            self.process.wait(timeout=_ENDING_SECONDS)
        if self.process.poll() is None:
            command.kill_group(self.process)
        status = self.process.wait()
        for thread in self._threads:
            thread.join(timeout=10)
        return status

    def _read_figures(self, pipe: IO[bytes]) -> None:
        # progress lines end with a carriage return; reading what is there keeps them timely
        rest = b""
        while data := os.read(pipe.fileno(), 65536):
            *lines, rest = (rest + data).replace(b"\r", b"\n").split(b"\n")
            for line in lines:
                self._figure(line.decode("utf-8", "surrogateescape"))
            rest = rest[-4096:]

    def _figure(self, line: str) -> None:
        if counted := parse_progress(line):
            self.counted_bytes = max(self.counted_bytes, counted.bytes)
            self.counted_files = max(self.counted_files, counted.files)
        elif line.strip():
            if line.startswith(("cannot delete", "could not make way")):
                self.messages.add(line, str(self.job.root))
            self.last_lines = [*self.last_lines[-40:], line]

    def _read_trouble(self, pipe: IO[bytes]) -> None:
        while line := pipe.readline(65536):
            self.messages.add(line.decode("utf-8", "surrogateescape"), str(self.job.root))


@contextmanager
def _handed_over(channel: socket.socket, job: Job, talk: _Talk) -> Iterator[tuple[int, int]]:
    """Take rsync's two pipes from the remote shell; raise OtherRsync if it wants another receiver than we start."""
    channel.settimeout(_HANDOVER_SECONDS)
    try:
        wanted, pipes, _, _ = socket.recv_fds(channel, 65536, 2)
    except OSError as error:
        raise TransferError(reason=f"rsync did not start its remote shell ({error})") from error
    try:
        if len(pipes) != 2:
            raise judge(talk.end(), talk.messages, job.around) or TransferError(reason="rsync did not start")
        line: list[str] = json.loads(wanted)
        if not same_server(line, job.terms):
            raise OtherRsync(
                ours=job.around.ours,
                theirs=job.around.theirs,
                hint=f"The rsync here asks for `{' '.join(line)}` there, which this HotSync does not know: upgrade it.",
            )
        yield pipes[0], pipes[1]  # the shell's stdin is what rsync says, its stdout what rsync hears
    finally:
        for descriptor in pipes:
            with suppress(OSError):
                os.close(descriptor)
