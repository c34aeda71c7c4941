"""Pauses a cgroup, and lets it go on whatever happens to whom it does that for: of the standard library only.

Run as root as `python -I -S pause_child.py CGROUP SECONDS [MARK]`. It says `ready`, waits for a line, pauses all that
runs in the cgroup and says `paused`, or `refused`. The next line, the end of its input, a signal, or the end of the
time lets it go on; the mark, a file that tells of the pause, is removed then. It says `held` if all stood still from
the first word to the last, else `lost`. What somebody else has paused is not ours to let go: there is no mark then, it
says `was`, and looks whether it stays so. With the word `go` for the seconds it only lets it go on.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import time
from contextlib import suppress
from types import FrameType

_LOOK_SECONDS = 0.002


class Freezer:
    """The switch of one cgroup, of either kind."""

    def __init__(self, place: str) -> None:
        self._unified = os.path.exists(f"{place}/cgroup.freeze")
        name, self._on, self._off = (
            ("cgroup.freeze", b"1", b"0") if self._unified else ("freezer.state", b"FROZEN", b"THAWED")
        )
        # open from the start: whatever is mounted or lacking later, it can be let go
        self._switch = os.open(f"{place}/{name}", os.O_RDWR | os.O_CLOEXEC)
        self._events = os.open(f"{place}/cgroup.events", os.O_RDONLY | os.O_CLOEXEC) if self._unified else -1

    def is_on(self) -> bool:
        """Say whether it is switched to still, whoever did that."""
        state = os.pread(self._switch, 64, 0).strip()
        return state == self._on or (not self._unified and state == b"FREEZING")

    def is_still(self) -> bool:
        """Say whether all in it stands still, by its own switch."""
        if not self.is_on():
            return False
        if self._unified:
            return b"frozen 1" in os.pread(self._events, 4096, 0).splitlines()
        return os.pread(self._switch, 64, 0).strip() == self._on

    def stop(self) -> None:
        """Switch it to still."""
        os.write(self._switch, self._on)

    def go(self) -> None:
        """Let all in it go on; one that is gone meanwhile needs nothing."""
        with suppress(OSError):
            os.write(self._switch, self._off)

    def close(self) -> None:
        """Give the handles up; the switch stays as it is."""
        for descriptor in (self._switch, self._events):
            if descriptor >= 0:
                os.close(descriptor)


def _say(word: str) -> None:
    with suppress(OSError):
        os.write(1, word.encode() + b"\n")


def _heard(seconds: float | None) -> bool:
    """Wait for a line; return whether one came (and not the end of the input, or of the time)."""
    return bool(select.select([0], [], [], seconds)[0]) and bool(os.read(0, 64))


def _end(number: int, frame: FrameType | None) -> None:
    del number, frame
    raise SystemExit(1)


def _let_go(freezer: Freezer, mark: str) -> None:
    freezer.go()
    with suppress(OSError):
        os.unlink(mark)  # from here on a pause is somebody else's


def _paused(freezer: Freezer, seconds: float, mark: str) -> None:
    until = time.monotonic() + seconds
    try:
        freezer.stop()
        if not _is_still_by(freezer, until):
            return
        _say("paused")
        asked = _heard(max(until - time.monotonic(), 0))
        held = asked and freezer.is_still()
    finally:
        _let_go(freezer, mark)
    _say("held" if held else "lost")


def _watched(freezer: Freezer, seconds: float) -> None:
    until = time.monotonic() + seconds
    if _is_still_by(freezer, until):
        _say("was")
        _heard(max(until - time.monotonic(), 0))
        _say("held" if freezer.is_still() and time.monotonic() < until else "lost")


def _is_still_by(freezer: Freezer, until: float) -> bool:
    """Wait until all stands still; say so if it does not in time, or goes on."""
    while not freezer.is_still():
        if time.monotonic() >= until or not freezer.is_on():
            _say("refused")
            return False
        time.sleep(_LOOK_SECONDS)
    return True


def main(place: str, seconds: str, mark: str = "") -> None:
    """Do what is written above."""
    freezer = Freezer(place)
    if seconds == "go":
        _let_go(freezer, mark)
        return
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, _end)
    with suppress(OSError), open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:
        file.write("-1000")  # of all programs this one must not be killed for lack of memory
    _say("ready")
    if not _heard(None):
        return
    if not mark or freezer.is_on():
        with suppress(OSError):
            os.unlink(mark)
        _watched(freezer, float(seconds))
    else:
        _paused(freezer, float(seconds), mark)


if __name__ == "__main__":
    main(*sys.argv[1:])
