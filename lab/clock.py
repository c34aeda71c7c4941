"""A clock that is wrong for HotSync alone: libfaketime, cut down to the functions that tell the time.

Debian's libfaketime also stands between a program and its waiting (so that a faster clock sleeps less), and there it
breaks what we must run: Python 3.11's `time.sleep` and systemd's event loop fail with "Invalid argument" as soon as
the monotonic clock is to stay right. An offset needs none of that, so the copy that a host loads lacks those functions.
"""

from __future__ import annotations

import re
import struct

from lab.command import LabError

_LIBRARY = "/libfaketime.so.1"
OUR_LIBRARY = "/run/hotsync-lab-clock.so"
ENVIRONMENT_FILE = "/run/hotsync-lab-faketime"
UNITS = ("hotsyncd", "hotsync", "hotsync-slave", "hotsync-receive@", "hotsync-promote")

_LEFT_ALONE = frozenset(
    {
        "alarm",
        "clock_nanosleep",
        "epoll_pwait",
        "epoll_wait",
        "futimens",
        "nanosleep",
        "poll",
        "ppoll",
        "pselect",
        "select",
        "sleep",
        "timer_gettime",
        "timer_settime",
        "timerfd_gettime",
        "timerfd_settime",
        "usleep",
        "utime",
        "utimensat",
        "utimes",
    }
)
_DYNSYM = 11


def is_right(offset: str) -> bool:
    """Given an offset like `+2h`, say whether it is none; raise LabError if it is not of that form."""
    if not re.fullmatch(r"[+-]\d+[smhdy]?", offset):
        raise LabError(f"{offset!r} is no offset like +2h, -90s, +30d or +0")
    return not offset.strip("+-smhdy0")


def library_of(listing: str) -> str:
    """Given what `dpkg -L libfaketime` says, return where the library lies; each architecture has its own folder."""
    for line in listing.splitlines():
        if line.endswith(_LIBRARY):
            return line
    raise LabError("libfaketime brought no libfaketime.so.1 to this host")


def settings(offset: str) -> list[str]:
    """The environment that makes a program's clock wrong; times of files stay right, as after a clock was set."""
    return [
        f"LD_PRELOAD={OUR_LIBRARY}",
        f"FAKETIME={offset.removesuffix('s')}",
        "FAKETIME_DONT_FAKE_MONOTONIC=1",
        "NO_FAKE_STAT=1",
    ]


def only_telling_time(library: bytes) -> bytes:
    """Given libfaketime as a file, return it without the functions that wait or that set times of files."""
    image = bytearray(library)
    (table,) = struct.unpack_from("<Q", image, 0x28)
    size, count = struct.unpack_from("<HH", image, 0x3A)
    sections = [struct.unpack_from("<IIQQQQIIQQ", image, table + size * number) for number in range(count)]
    for section in sections:
        if section[1] != _DYNSYM:
            continue
        start, length, strings = section[4], section[5], sections[section[6]][4]
        for symbol in range(start, start + length, 24):
            (name,) = struct.unpack_from("<I", image, symbol)
            end = image.index(0, strings + name)
            if image[strings + name : end].decode() in _LEFT_ALONE:
                struct.pack_into("<HQ", image, symbol + 6, 0, 0)  # undefined here: the next library has it
    return bytes(image)
