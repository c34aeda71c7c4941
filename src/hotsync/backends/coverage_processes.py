"""What runs, as /proc has it: which files processes hold open for writing, and whose the processes are."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from hotsync.model.coverage.findings import OpenFile
from hotsync.model.coverage.runners import Runner, runner_of
from hotsync.system.processes import sees_our_root

PROC = Path("/proc")
_FLAGS = re.compile(rb"^flags:\s*([0-7]+)$", re.MULTILINE)
_DELETED = " (deleted)"


def read_runner(folder: Path) -> Runner | None:
    """Given a process's folder in /proc, return whose it is; None if it has ended, or is the kernel's own."""
    try:
        cgroup = (folder / "cgroup").read_text("utf-8", "surrogateescape")
        name = (folder / "comm").read_text("utf-8", "replace").rstrip("\n")
        program = os.readlink(folder / "exe").removesuffix(_DELETED)
    except OSError:
        return None
    return runner_of(int(folder.name), name, program, cgroup)


def processes(proc: Path = PROC) -> Iterator[tuple[Path, Runner]]:
    """Return the running programs of this host, in no container, without ourselves."""
    for folder in proc.iterdir():
        if folder.name.isdigit() and int(folder.name) != os.getpid():
            runner = read_runner(folder)
            if runner is not None and not runner.container and (_same_view(folder) or sees_our_root(folder)):
                yield folder, runner


def read_open_files(proc: Path = PROC) -> list[OpenFile]:
    """Return the regular files, not deleted, that processes hold open for writing."""
    found: dict[tuple[str, str], OpenFile] = {}
    for folder, runner in processes(proc):
        for path, size in held_for_writing(folder):
            found[(path, str(runner))] = OpenFile(path, str(runner), size)
    return list(found.values())


def held_for_writing(folder: Path) -> Iterator[tuple[str, int]]:
    """Given a process's folder in /proc, return the regular files, not deleted, that it has open for writing.

    Their paths are those that it sees itself.
    """
    try:
        numbers = os.listdir(folder / "fd")
    except OSError:
        return
    for number in numbers:
        with suppress(OSError):
            path = os.readlink(folder / "fd" / number)
            if not path.startswith("/"):
                continue
            flags = _FLAGS.search((folder / "fdinfo" / number).read_bytes())
            if flags is None or int(flags[1], 8) & os.O_ACCMODE == os.O_RDONLY:
                continue
            status = os.stat(folder / "fd" / number)
            if stat.S_ISREG(status.st_mode) and status.st_nlink:
                yield path, status.st_size


def _same_view(folder: Path) -> bool:
    """Say whether a process has our mount namespace: then its paths are ours, also in a chroot."""
    try:
        return os.readlink(folder / "ns/mnt") == os.readlink("/proc/self/ns/mnt")
    except OSError:
        return False
