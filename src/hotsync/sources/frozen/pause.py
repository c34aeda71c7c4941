"""Pauses a container or a service for a moment, so that it goes on whatever happens: to us, to this host, to what
pauses it.

Three let it go on, each without the others: the block's end; a small program of its own, by its time or when we are
gone; and a timer of systemd's, for the case that both were killed.
"""

from __future__ import annotations

import hashlib
import json
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
    hold = _Hold(paths, place)
    with ExitStack() as stack:
        stack.callback(hold.close)
        stack.enter_context(_watched(hold, seconds))
        stack.enter_context(_ahead_of_others())
        stack.callback(hold.end)
        hold.begin()
        # entered last: on every way out it is dead before anything else ends, and pauses nothing after that
        child = stack.enter_context(
            command.spawn(
                [sys.executable, "-I", "-S", str(CHILD), str(place), str(seconds), *hold.mark_argument],
                stdin=command.PIPE, stdout=command.PIPE, stderr=command.DEVNULL, cwd="/",
            )
        )  # fmt: skip
        if _answer(child, _START_SECONDS) != "ready":
            raise NotPaused("it cannot be paused")
        word = _asked(child, seconds + _SLACK_SECONDS)
        hold.is_over = word == "was"
        if word not in ("paused", "was"):
            raise NotPaused("it did not stand still in time" if word == "refused" else "what pauses it died")

        def confirm() -> None:
            if _asked(child, _START_SECONDS) != "held":
                raise NotPaused(f"it took more than {seconds:g} seconds, or it went on meanwhile")
            hold.is_over = True

        yield confirm


class _Hold:
    """What one run pauses, with the mark that tells the next one of it; nothing where somebody else has paused it.

    `is_over`: it goes on already, or is somebody else's after all.
    """

    def __init__(self, paths: Paths, place: Path) -> None:
        self.place, self.mark, self.is_over = place, _marks(paths) / _hash(place), False
        try:
            self._freezer = Freezer(str(place))
        except OSError as error:
            raise NotPaused("it cannot be paused") from error
        self._is_ours = not self._freezer.is_on()
        self.is_booted = paths.at("/run/systemd/system").is_dir()

    @property
    def mark_argument(self) -> list[str]:
        """Return what the child is told of the mark."""
        return [str(self.mark)] if self._is_ours else []

    def begin(self) -> None:
        """Leave the mark; raise OSError."""
        if self._is_ours:
            self.mark.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.mark.write_text(json.dumps(_identity(self.place)), "ascii")

    def end(self) -> None:
        """Let it go on, unless that was done, and take the mark away; once it is gone, nothing of this is left."""
        if self._is_ours:
            if not self.is_over:
                self._freezer.go()
            self.mark.unlink(missing_ok=True)

    def close(self) -> None:
        """Give the switch up, as it is."""
        self._freezer.close()


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
    """Let all go on that a run had paused which was killed together with all that watched it.

    What goes on already, or was made or booted since, is none of that: whoever pauses it now means it.
    """
    with suppress(FileNotFoundError):
        for mark in _marks(paths).iterdir():
            try:
                told = json.loads(mark.read_bytes())
                place = Path(os.fsdecode(bytes.fromhex(told["place"])))
                if told == _identity(place):
                    freezer = Freezer(str(place))
                    freezer.go()
                    freezer.close()
            except (FileNotFoundError, ValueError, KeyError, TypeError):
                pass  # it is gone, or its run died before it could pause anything
            except OSError:
                continue
            mark.unlink()


def _identity(place: Path) -> dict[str, str | int]:
    """Return what tells a cgroup apart, also from one that is made anew at the same place; raise OSError."""
    return {
        "place": os.fsencode(place).hex(),
        "inode": place.stat().st_ino,
        "boot": Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip(),
    }


def _marks(paths: Paths) -> Path:
    return paths.run / "paused"


@contextmanager
def _watched(hold: _Hold, seconds: float) -> Iterator[None]:
    """Have systemd let it go on later, unless that was done; raise NotPaused if it will not."""
    if not hold.mark_argument or not hold.is_booted:
        yield
        return
    unit = f"hotsync-go-on-{_hash(hold.place)}"
    try:
        command.run(["systemctl", "stop", f"{unit}.timer"], ok=range(256))
        command.run(
            ["systemd-run", "--quiet", "--collect", f"--unit={unit}", f"--on-active={seconds + _SLACK_SECONDS:.0f}s",
             "--timer-property=AccuracySec=1s", "--description=HotSync: lets a paused database go on", "--",
             sys.executable, "-I", "-S", str(CHILD), str(hold.place), "go", *hold.mark_argument]
        )  # fmt: skip
    except CommandFailed as error:
        raise NotPaused(f"nobody would let it go on if this run died: {error.sentence}") from error
    try:
        yield
    finally:
        if not hold.mark.exists():
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
