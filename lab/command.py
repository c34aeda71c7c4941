"""The one door to other programs, the lab's errors, and the line a phase leaves on stderr."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path


class LabError(RuntimeError):
    """Something the person at the keyboard must know; the command line prints it without a traceback."""


class CommandFailed(subprocess.CalledProcessError, LabError):
    """A program ended with a failure; its message shows what it said, since the exit code alone explains nothing."""

    def __str__(self) -> str:
        said = f"{self.stderr or ''}{self.stdout or ''}".strip()
        return f"{' '.join(map(str, self.cmd))}: exit {self.returncode}\n{said[-4000:]}"


def run(
    argv: Sequence[str | Path],
    *,
    input: str | bytes | None = None,
    check: bool = True,
    timeout: float | None = None,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> subprocess.CompletedProcess[str]:
    """Given a command, return what it said; raise CommandFailed if it failed and `check` is set.

    It runs in a session of its own, so that a timeout ends the whole family and not only its head. Bytes that are
    not UTF-8 survive as surrogates.
    """
    command = [str(word) for word in argv]
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL if input is None else subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=None if env is None else dict(env),
        cwd=cwd,
        start_new_session=True,
    ) as process:
        data = input.encode(errors="surrogateescape") if isinstance(input, str) else input
        try:
            out, err = process.communicate(data, timeout=timeout)
        except BaseException:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise
    done = subprocess.CompletedProcess(
        command, process.returncode, out.decode(errors="surrogateescape"), err.decode(errors="surrogateescape")
    )
    if check and done.returncode != 0:
        raise CommandFailed(done.returncode, command, done.stdout, done.stderr)
    return done


def words_of(command: Sequence[str | Path] | str) -> list[str]:
    """Given a command as a list, or as a line for `sh`, return its words."""
    return ["sh", "-c", command] if isinstance(command, str) else [str(word) for word in command]


def start(argv: Sequence[str | Path], *, env: Mapping[str, str], output: Path) -> None:
    """Start a program that stays, with its output appended to a file; it belongs to nobody here from then on."""
    with output.open("ab") as file:
        subprocess.run(
            ["setsid", "--fork", *argv], stdin=subprocess.DEVNULL, stdout=file, stderr=file, env=dict(env), check=True
        )


def say(line: str) -> None:
    """Tell a person one plain line; stdout stays free for what was asked."""
    print(f"lab: {line}", file=sys.stderr, flush=True)


@contextlib.contextmanager
def phase(title: str) -> Iterator[None]:
    """Say how long the block took, also when it failed: slow phases should be seen, not felt."""
    start = time.monotonic()
    try:
        yield
    except BaseException:
        say(f"{title}: failed after {time.monotonic() - start:.1f} s")
        raise
    say(f"{title}: {time.monotonic() - start:.1f} s")


def wait_until(what: str, seconds: float, true: Callable[[], object]) -> None:
    """Given a question, return once it is answered yes; raise LabError naming `what` if it never is."""
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            raise LabError(f"waited {seconds:.0f} s in vain: {what}")
        time.sleep(0.02)
