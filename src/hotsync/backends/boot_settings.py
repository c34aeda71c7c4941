"""Makes this host as its /etc says, as a boot would: kernel modules and settings, folders in /run, services' locale."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from hotsync.errors import CommandFailed
from hotsync.system import command

_PROGRAMS = Path("/usr/lib/systemd")
_OLD_PROGRAMS = Path("/lib/systemd")
_LATE = Path("/etc/sysctl.conf")
"""Read last, as by `sysctl --system`; where a boot reads it, it is linked into sysctl.d, and setting it twice does no
harm."""

_LOCALE = (Path("/etc/locale.conf"), Path("/etc/default/locale"))
_ASSIGNED = re.compile(r"""^\s*(LANG|LANGUAGE|LC_[A-Z]+)\s*=\s*["']?([A-Za-z0-9_.@:-]+)["']?\s*$""")
_NO_SUCH_CARD = re.compile(r"net/ipv[46]/(?:conf|neigh)/[^']+', ignoring: No such file")
"""A setting for a network interface that only the other machine has."""


def apply() -> Iterator[str]:
    """Do what a boot does with the settings in /etc; return what was refused, a sentence each.

    Modules come first: some have kernel settings of their own.
    """
    yield from _said([_program("systemd-modules-load")])
    yield from _said([_program("systemd-sysctl")])
    if _LATE.exists():
        yield from _said([_program("systemd-sysctl"), str(_LATE)])
    yield from _failed(["systemd-tmpfiles", "--create", "--exclude-prefix=/dev"])
    if locale := tuple(_locale()):
        yield from _failed(["systemctl", "set-environment", *locale])


def refusals(errors: str) -> Iterator[str]:
    """Given what systemd-modules-load or systemd-sysctl says, return what was refused and would be missed here."""
    for line in errors.splitlines():
        if line.strip() and not _NO_SUCH_CARD.search(line):
            yield line.strip()


def locale_words(text: str) -> tuple[str, ...]:
    """Given locale.conf, return what it assigns (`LANG=...`), and no other variable."""
    found = (_ASSIGNED.match(line) for line in text.splitlines())
    return tuple(f"{match[1]}={match[2]}" for match in found if match)


def _said(argv: Sequence[str]) -> Iterator[str]:
    try:
        # a status of 1 is one line of many that was refused: it has said which
        answer = command.run(argv, ok=range(256))
    except CommandFailed as error:
        yield error.sentence
    else:
        yield from refusals(answer.errors)


def _failed(argv: Sequence[str]) -> Iterator[str]:
    try:
        command.run(argv, timeout=600)
    except CommandFailed as error:
        yield error.sentence


def _locale() -> tuple[str, ...]:
    for file in _LOCALE:
        with suppress(OSError):
            return locale_words(file.read_text("utf-8", "replace"))
    return ()


def _program(name: str) -> str:
    """Return where a program of systemd's lies that is in nobody's search path."""
    old = _OLD_PROGRAMS / name
    return str(old if old.exists() and not (_PROGRAMS / name).exists() else _PROGRAMS / name)
