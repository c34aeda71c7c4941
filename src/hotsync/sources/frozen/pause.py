"""Pauses a container or a service for a moment, so that it goes on whatever happens: to us, to this host, to what
pauses it.

Three let it go on, each without the others: the block's end; a small program of its own, by its time or when we are
gone; and a timer of systemd's, for the case that both were killed.
"""

from __future__ import annotations

import hashlib
import os
import select
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from hotsync.errors import CommandFailed
from hotsync.sources.frozen.pause_child import Freezer
from hotsync.system import command
from hotsync.system.paths import Paths

CHILD = Path(__file__).with_name("pause_child.py")
_START_SECONDS = 30.0
_SLACK_SECONDS = 20.0


class NotPaused(Exception):
    """It could not be paused, or did not stand still until the end."""


@contextmanager
def paused(paths: Paths, place: Path, seconds: float) -> Iterator[Callable[[], None]]:
    """Pause all in a cgroup for the block, at most for some seconds; raise NotPaused if it does not stand still.

    The block calls what it is given once it has all that it needs: that raises NotPaused if it did not stand still all
    the time, and what was taken is worth nothing then.
    """
    with ExitStack() as stack:
        argv = [sys.executable, "-I", "-S", str(CHILD), str(place), str(seconds)]
        child = stack.enter_context(
            command.spawn(argv, stdin=command.PIPE, stdout=command.PIPE, stderr=command.DEVNULL, cwd="/")
        )
        if _answer(child, _START_SECONDS) != "ready":
            raise NotPaused("it cannot be paused")
        freezer = Freezer(str(place))
        stack.callback(freezer.close)
        mark = _marks(paths) / _hash(place)
        stack.enter_context(_watched(paths, place, seconds))
        stack.enter_context(_ahead_of_others())
        if not freezer.is_on():
            mark.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            mark.write_text(str(place), "utf-8")
            stack.callback(mark.unlink, missing_ok=True)
            stack.callback(lambda: None if confirmed else freezer.go())
        confirmed: list[str] = []
        word = _asked(child, seconds + _SLACK_SECONDS)
        if word not in ("paused", "was"):
            raise NotPaused("it did not stand still in time" if word == "refused" else "what pauses it died")

        def confirm() -> None:
            if _asked(child, _START_SECONDS) != "held":
                raise NotPaused(f"it took more than {seconds:g} seconds, or it went on meanwhile")
            confirmed.append(word)

        yield confirm


@contextmanager
def _ahead_of_others() -> Iterator[None]:
    """Have the block come before the programs of this host, where that is allowed: a server stands still for it."""
    before = os.getpriority(os.PRIO_PROCESS, 0)
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, min(before, -5))
    try:
        yield
    finally:
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, 0, before)


def let_go(paths: Paths) -> None:
    """Let all go on that a run had paused which was killed together with all that watched it."""
    with suppress(FileNotFoundError):
        for mark in _marks(paths).iterdir():
            with suppress(OSError):
                freezer = Freezer(mark.read_text("utf-8"))
                freezer.go()
                freezer.close()
            mark.unlink()


def _marks(paths: Paths) -> Path:
    return paths.run / "paused"


@contextmanager
def _watched(paths: Paths, place: Path, seconds: float) -> Iterator[None]:
    """Have systemd let it go on later, unless the block ended; raise NotPaused if it will not."""
    if not paths.at("/run/systemd/system").is_dir():
        yield
        return
    unit = f"hotsync-go-on-{_hash(place)}"
    try:
        command.run(["systemctl", "stop", f"{unit}.timer"], ok=range(256))
        command.run(
            ["systemd-run", "--quiet", "--collect", f"--unit={unit}", f"--on-active={seconds + _SLACK_SECONDS:.0f}s",
             "--timer-property=AccuracySec=1s", "--description=HotSync: lets a paused database go on", "--",
             sys.executable, "-I", "-S", str(CHILD), str(place), "go"]
        )  # fmt: skip
    except CommandFailed as error:
        raise NotPaused(f"nobody would let it go on if this run died: {error.sentence}") from error
    try:
        yield
    finally:
        with suppress(CommandFailed):
            command.run(["systemctl", "stop", f"{unit}.timer"], ok=range(256))


def _hash(place: Path) -> str:
    return hashlib.sha256(os.fsencode(place)).hexdigest()[:12]


def _asked(child: command.Process, seconds: float) -> str:
    assert child.stdin is not None
    try:
        child.stdin.write(b"\n")
        child.stdin.flush()
    except BrokenPipeError:
        return ""
    return _answer(child, seconds)


def _answer(child: command.Process, seconds: float) -> str:
    assert child.stdout is not None
    output, heard = child.stdout.fileno(), b""
    while not heard.endswith(b"\n") and len(heard) < 64:
        if not select.select([output], [], [], seconds)[0]:
            return ""
        chunk = os.read(output, 64)
        if not chunk:
            return ""
        heard += chunk
    return heard.decode("ascii", "replace").strip()
