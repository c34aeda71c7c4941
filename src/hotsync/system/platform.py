"""Which kind of system this is, and what therefore lies where: decided from a few facts, asked anew each time."""

from __future__ import annotations

import os
import shlex
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

NETHSERVER = "/var/lib/nethserver"
SIGNAL_EVENT = "/sbin/e-smith/signal-event"
BACKUP_CONFIG = "/sbin/e-smith/backup-config"
_LARGEST = 64 * 1024
_RHEL = frozenset(("rhel", "fedora", "centos", "rocky", "almalinux", "ol"))


class Kind(Enum):
    """The kinds of systems that are told apart."""

    NETHSERVER7 = "nethserver7"
    DEBIAN = "debian"
    RHEL = "rhel"


@dataclass(frozen=True, slots=True)
class Platform:
    """One kind of system with its places (absolute paths).

    All are None where HotSync brings its own. Where the system has a `signal-event` or a `backup-config`, that one
    stays the one that is called.
    """

    kind: Kind
    databases: str | None = None
    backup: str | None = None
    signal_event: str | None = None
    backup_config: str | None = None


@dataclass(frozen=True, slots=True)
class PlatformFacts:
    """What the decision needs of a host.

    NethServer's release file and folders, whether its `signal-event` and `backup-config` are there and other programs
    than ours, and the words of os-release's ID and ID_LIKE.
    """

    nethserver_release: bool = False
    nethserver_databases: bool = False
    nethserver_backup: bool = False
    signal_event: bool = False
    backup_config: bool = False
    os_words: frozenset[str] = frozenset()


def decide(facts: PlatformFacts) -> Platform:
    """Given facts, return the platform; a system that names no family that we know is treated as Debian is.

    What is left of NethServer on another system (a folder of its databases) is used all the same, where it is.
    """
    databases = f"{NETHSERVER}/db" if facts.nethserver_release or facts.nethserver_databases else None
    backup = f"{NETHSERVER}/backup" if facts.nethserver_release or facts.nethserver_backup else None
    if facts.nethserver_release:
        programs = (
            SIGNAL_EVENT if facts.signal_event else None,
            BACKUP_CONFIG if facts.backup_config else None,
        )
        return Platform(Kind.NETHSERVER7, databases, backup, *programs)
    kind = Kind.RHEL if facts.os_words & _RHEL and "debian" not in facts.os_words else Kind.DEBIAN
    return Platform(kind, databases, backup)


def parse_os_release(text: str) -> frozenset[str]:
    """Given an os-release file, return the words of its ID and ID_LIKE."""
    words: set[str] = set()
    for line in text.splitlines():
        key, _, value = line.partition("=")
        if key.strip() in ("ID", "ID_LIKE"):
            try:
                words.update(word for part in shlex.split(value) for word in part.lower().split())
            except ValueError:  # a quote without its partner: the file is not ours to mend
                continue
    return frozenset(words)


def read_platform(root: Path) -> Platform:
    """Given a host's root, return what it is."""
    return decide(
        PlatformFacts(
            nethserver_release=(root / "etc/nethserver-release").is_file(),
            nethserver_databases=(root / "var/lib/nethserver/db").is_dir(),
            nethserver_backup=(root / "var/lib/nethserver/backup").is_dir(),
            signal_event=_is_anothers(root / SIGNAL_EVENT.lstrip("/")),
            backup_config=_is_anothers(root / BACKUP_CONFIG.lstrip("/")),
            os_words=_os_words(root),
        )
    )


def _is_anothers(program: Path) -> bool:
    """Return whether a program is there and not one of HotSync's commands, which are short scripts that name it."""
    try:
        with program.open("rb") as file:
            return os.access(program, os.X_OK) and b"hotsync." not in file.read(_LARGEST)
    except OSError:
        return False


def _os_words(root: Path) -> frozenset[str]:
    for name in ("etc/os-release", "usr/lib/os-release"):
        try:
            with (root / name).open("rb") as file:
                return parse_os_release(file.read(_LARGEST).decode("utf-8", "replace"))
        except OSError:
            continue
    return frozenset()
