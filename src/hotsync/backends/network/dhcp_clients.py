"""Programs that ask a DHCP server for this host's addresses, and renew them whatever became of them meanwhile.

They are killed, not asked to end: asked, some give the lease back, and the server may lend the address to somebody
else, and some run scripts that change the network once more. What they had set up stays as it is.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from hotsync.backends.network import ifupdown
from hotsync.errors import ConfigError
from hotsync.model.network.values import is_made_by_programs
from hotsync.system import command

PROGRAMS = frozenset(("dhclient", "dhcpcd", "udhcpc"))
_ROUNDS, _ROUND_SECONDS = 50, 0.02


@dataclass(frozen=True, slots=True)
class Process:
    """A process: its number, its parent's, its program's name, the words that it was called with."""

    pid: int
    parent: int
    program: str
    words: tuple[str, ...]


def chosen(processes: Iterable[Process], interfaces: Collection[str]) -> frozenset[int]:
    """Given the processes of this host and its interfaces, return the DHCP clients of its cards, and what they started.

    One that was called for interfaces of container programs alone has nothing to do with production's addresses.
    """
    known = {process.pid: process for process in processes}
    clients = {process.pid for process in known.values() if _is_client(process) and _is_ours(process, interfaces)}
    return frozenset(pid for pid in known if clients.intersection(_line_of(pid, known)))


def _is_client(process: Process) -> bool:
    return process.program in PROGRAMS or (process.program == "busybox" and process.words[1:2] == ("udhcpc",))


def _is_ours(process: Process, interfaces: Collection[str]) -> bool:
    named = [word for word in process.words[1:] if word in interfaces]
    return not named or not all(map(is_made_by_programs, named))


def _line_of(pid: int, known: Mapping[int, Process]) -> Iterator[int]:
    """Return a process and those that it descends from."""
    for _ in known:
        if pid not in known:
            return
        yield pid
        pid = known[pid].parent


def end_clients(interfaces: Collection[str], proc: Path = Path("/proc")) -> None:
    """Kill the DHCP clients of this host's cards; none is fine, and what does not die in a second is left."""
    for _ in range(_ROUNDS):
        pids = chosen(processes(proc), interfaces)
        if not pids:
            return
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(_ROUND_SECONDS)


def processes(proc: Path) -> Iterator[Process]:
    """Return the processes in our own network, but for those of containers, whose numbers are their own as well.

    The root that they see does not tell: dhcpcd locks itself and its helpers into an empty folder.
    """
    own = {name: os.stat(f"/proc/thread-self/ns/{name}").st_ino for name in ("net", "pid")}
    for folder in proc.iterdir():
        if not folder.name.isdigit():
            continue
        with suppress(OSError, IndexError, ValueError):  # it has ended meanwhile
            name, _, rest = (folder / "stat").read_text("utf-8", "replace").rpartition(")")
            if rest.split()[0] == "Z" or any((folder / "ns" / kind).stat().st_ino != own[kind] for kind in own):
                continue
            words = (folder / "cmdline").read_bytes().rstrip(b"\0").decode("utf-8", "surrogateescape").split("\0")
            yield Process(int(folder.name), int(rest.split()[1]), name.partition("(")[2], tuple(words))


def start_clients(etc: Path, interfaces: Collection[str]) -> None:
    """Have ifupdown ask for addresses again, where its files say so: it has no service that would.

    It goes on by itself, as a unit, since its client must outlive whoever called; nothing is waited for.
    """
    try:
        asking = ifupdown.read(etc).uses_dhcp if ifupdown.available(etc) else ()
    except ConfigError:
        return
    for name in asking:
        if name in interfaces:
            words = ["systemd-run", "--quiet", "--collect", "--no-block", "--property=RemainAfterExit=yes"]
            command.run([*words, "ifup", "--force", name], ok=range(256))
