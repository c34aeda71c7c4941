"""Finds the certificates and keys that settings in /etc name, and looks into those that lie where no rule speaks."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from hotsync.model.coverage.certificates import KEY_FILE, CertificateSeen, holds_private_key, named_in

_LARGEST = 1024 * 1024
_HEAD = 65536
# certificates of others by the hundred, and what names itself only
_LEFT_OUT = frozenset(("/etc/ssl/certs", "/etc/ca-certificates", "/etc/alternatives", "/etc/apparmor.d"))


def read_certificates(root: Path, lying: Iterable[str]) -> list[CertificateSeen]:
    """Given paths that are called like certificates or keys, return them and those that settings in /etc name."""
    named: dict[str, set[str]] = {path: set() for path in lying}
    for file in _settings(root):
        for path in named_in(_read(root, file, _LARGEST)):
            named.setdefault(path, set()).add(file)
    found: list[CertificateSeen] = []
    for path, files in sorted(named.items()):
        place = _real(root, path)
        if place:
            found.append(
                CertificateSeen(place, tuple(sorted(files)), holds_private_key(place, _read(root, place, _HEAD)))
            )
    return found


def _settings(root: Path) -> Iterator[str]:
    top = os.fspath(root).rstrip("/")
    for folder, folders, files in os.walk(f"{top}/etc"):
        here = folder[len(top) :]
        folders[:] = sorted(name for name in folders if f"{here}/{name}" not in _LEFT_OUT)
        yield from (f"{here}/{name}" for name in sorted(files) if not KEY_FILE.search(name))


def _real(root: Path, path: str) -> str:
    """Return where a file really lies, "" if it is not there."""
    top = os.path.realpath(root).rstrip("/")
    real = os.path.realpath(f"{top}{path}")
    return real[len(top) :] if real.startswith(f"{top}/") and os.path.isfile(real) else ""


def _read(root: Path, path: str, most: int) -> bytes:
    """Return the beginning of a regular file, b"" if it cannot be read or is larger than settings are."""
    with suppress(OSError):
        descriptor = os.open(f"{os.fspath(root).rstrip('/')}{path}", os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            status = os.fstat(descriptor)
            if stat.S_ISREG(status.st_mode) and (status.st_size <= most or most == _HEAD):
                return os.pread(descriptor, most, 0)
        finally:
            os.close(descriptor)
    return b""
