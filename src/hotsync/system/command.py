"""The one door to other programs: a list, never a shell; closed stdin; a clean environment; a time limit."""

from __future__ import annotations

import errno
import os
import shlex
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import IO

from hotsync.errors import CommandFailed

OUTPUT_LIMIT = 16 * 1024 * 1024
LARGE_OUTPUT = 512 * 1024 * 1024
"""What is taken from a program whose answer grows with the host: tables, roles, packages."""
STDERR_TAIL = 4000
DEFAULT_TIMEOUT = 120.0

ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LC_ALL": "C.UTF-8",
    "HOME": "/root",
    "DEBIAN_FRONTEND": "noninteractive",
}


@dataclass(frozen=True, slots=True)
class Completed:
    """What a program left behind: exit status, output, errors (both as bytes; errors that were cut say so)."""

    returncode: int
    stdout: bytes
    stderr: bytes

    @property
    def text(self) -> str:
        """Return stdout as text; undecodable bytes survive as surrogates."""
        return self.stdout.decode("utf-8", "surrogateescape")

    @property
    def errors(self) -> str:
        """Return stderr as text for people."""
        return self.stderr.decode("utf-8", "replace")


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the small environment that programs get, with `extra` added."""
    # LD_PRELOAD/FAKETIME pass through so that a test's wrong clock reaches the programs we start too
    passed = {name: os.environ[name] for name in ("LD_PRELOAD", "FAKETIME", "FAKETIME_NO_CACHE") if name in os.environ}
    return {**ENVIRONMENT, **passed, **(extra or {})}


def replayable(argv: Sequence[str], secret: Iterable[str] = ()) -> str:
    """Return the command as a line that can be pasted, with each secret shown as ***."""
    line = shlex.join(argv)
    for word in secret:
        if word:
            line = line.replace(word, "***")
    return line


def failure(argv: Sequence[str], returncode: int, stderr: str, secret: Iterable[str] = ()) -> CommandFailed:
    """Return the error for a program that ended with `returncode`."""
    status = f"exit {returncode}" if returncode >= 0 else f"killed by {signal.Signals(-returncode).name}"
    lines = [line for line in stderr.strip().splitlines() if line.strip()]
    last = lines[-1] if lines else "it said nothing"
    # nft ends with a line of carets below the spot: what is wrong stands in the first one
    detail = (last if any(map(str.isalnum, last)) else lines[0])[:500]
    for word in secret:
        if word:
            detail, stderr = detail.replace(word, "***"), stderr.replace(word, "***")
    return CommandFailed(
        program=argv[0],
        status=status,
        detail=detail,
        line=replayable(argv, secret),
        returncode=returncode,
        stderr=stderr,
    )


def run(
    argv: Sequence[str],
    *,
    ok: Iterable[int] = (0,),
    input: bytes | None = None,
    env: Mapping[str, str] | None = None,
    timeout: float = DEFAULT_TIMEOUT,
    secret: Iterable[str] = (),
    cwd: str | None = None,
    pass_fds: Sequence[int] = (),
    user: str | None = None,
    limit: int = OUTPUT_LIMIT,
    unread: bool = False,
) -> Completed:
    """Given a command as a list, run it to its end; raise CommandFailed unless its status is in `ok`.

    A program that outlives `timeout` seconds is killed with its whole process group. One that says more than `limit`
    bytes has failed, since what is cut could be taken for all of it; `unread` says that nobody reads its output, which
    is cut then.
    """
    secrets = tuple(secret)
    try:
        with spawn(
            argv,
            stdin=subprocess.DEVNULL if input is None else subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=env,
            cwd=cwd,
            pass_fds=pass_fds,
            user=user,
        ) as process:
            try:
                stdout, stderr = process.communicate(input=input, timeout=timeout)
            except subprocess.TimeoutExpired:
                kill_group(process)
                process.communicate()
                raise CommandFailed(
                    program=argv[0],
                    status=f"no end after {timeout:.0f} s",
                    detail="it was ended",
                    line=replayable(argv, secrets),
                ) from None
    except (FileNotFoundError, PermissionError) as error:
        raise CommandFailed(
            program=argv[0], status="not started", detail=str(error), line=replayable(argv, secrets)
        ) from error
    if process.returncode not in ok:
        raise failure(argv, process.returncode, stderr.decode("utf-8", "replace"), secrets)
    if len(stdout) > limit and not unread:
        raise CommandFailed(
            program=argv[0],
            status=f"more than {limit // 1024} KiB of output",
            detail="its answer is too long to be taken whole",
            line=replayable(argv, secrets),
        )
    return Completed(process.returncode, _cut(stdout, limit), _cut(stderr, limit))


def _cut(said: bytes, limit: int) -> bytes:
    return said if len(said) <= limit else said[:limit] + b"\n[cut: %d bytes more]\n" % (len(said) - limit)


@contextmanager
def spawn(
    argv: Sequence[str],
    *,
    stdin: int | IO[bytes] = subprocess.DEVNULL,
    stdout: int | IO[bytes] | None = subprocess.PIPE,
    stderr: int | IO[bytes] | None = subprocess.PIPE,
    env: Mapping[str, str] | None = None,
    cwd: str | None = None,
    pass_fds: Sequence[int] = (),
    user: str | None = None,
) -> Iterator[subprocess.Popen[bytes]]:
    """Given a command, start it in a process group of its own; on leaving, end the group if it still runs.

    Raise FileNotFoundError or PermissionError if it cannot be started.
    """
    surroundings = environment(env)
    process = subprocess.Popen(
        list(argv) if user is None else [*_becoming(user), *_found(argv, surroundings)],
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        env=surroundings,
        cwd=cwd,
        pass_fds=pass_fds,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            kill_group(process)
        process.wait()
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe is not None:
                with suppress(BrokenPipeError):
                    pipe.close()


def _becoming(user: str) -> list[str]:
    """Return the words before a command that run it as a user, in his primary group alone.

    Not Popen's own `user`: with it a program is started by fork, which copies all tables of our memory each time
    (28 ms with 350 MB), and without it by vfork.
    """
    import pwd

    account = pwd.getpwnam(user)
    return ["setpriv", f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--clear-groups", "--"]


def _found(argv: Sequence[str], surroundings: Mapping[str, str]) -> Sequence[str]:
    """Return a command whose program is there; raise FileNotFoundError, as its start would without one before it."""
    if shutil.which(argv[0], path=surroundings["PATH"]) is None:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), argv[0])
    return argv


def kill_group(process: subprocess.Popen[bytes]) -> None:
    """Kill the program and everything it started."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


class StderrTail:
    """Collects what a program says on stderr in a thread, keeping the last few thousand characters.

    `told` takes each line, also of those that are not kept.
    """

    def __init__(self, pipe: IO[bytes], told: Callable[[bytes], None] | None = None) -> None:
        self._pipe, self._told = pipe, told
        self._tail = b""
        self._thread = threading.Thread(target=self._collect, daemon=True)
        self._thread.start()

    def _collect(self) -> None:
        for line in self._pipe:
            if self._told is not None:
                self._told(line)
            self._tail = (self._tail + line)[-STDERR_TAIL:]

    def text(self) -> str:
        """Return what was said, once the program has closed its stderr."""
        self._thread.join(timeout=10)
        return self._tail.decode("utf-8", "replace")


PIPE = subprocess.PIPE
DEVNULL = subprocess.DEVNULL
STDOUT = subprocess.STDOUT
TimeoutExpired = subprocess.TimeoutExpired
Process = subprocess.Popen[bytes]
