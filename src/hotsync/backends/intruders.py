"""The proof of the mute: processes by cgroup and by program, and listening sockets; never the state of units alone."""

from __future__ import annotations

import os
import pwd
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from hotsync.backends import waiting_servers
from hotsync.backends.passing_ports import PROC, passing_ports
from hotsync.errors import CommandFailed
from hotsync.model.coverage.runners import paths_of_cgroup
from hotsync.model.machine_units import base_reason, is_watcher
from hotsync.model.mute import Kept, covers
from hotsync.model.passing_ports import is_passing
from hotsync.system import command

_DAEMON_PLACE = re.compile(r"^(?:/usr)?/(?:sbin|lib|libexec)/")
_LOOPBACK = re.compile(r"^\w+ (?:127\.[0-9.]+|\[::1\]|\[::ffff:127\.[0-9.]+\])(?:%lo)?:\d+\Z")
_WAYS_IN = frozenset(("/usr/bin/mosh-server", "/usr/local/bin/mosh-server"))
"""What listens in a login of the administrator, and is his way in."""
_NOTHING_KEPT = Kept()

Ports = Mapping[tuple[str, int], str]
"""Protocol and port -> the socket unit for which the init system itself listens there."""


@dataclass(frozen=True, slots=True)
class Intruder:
    """A process that should not run on a SLAVE: whose, and the sockets that it listens on (pid 0: the kernel)."""

    unit: str
    pid: int
    name: str
    listens: tuple[str, ...] = ()
    user: str = ""
    program: str = ""

    def __str__(self) -> str:
        """Return it in a person's words."""
        if not self.pid:
            return f"the kernel, listening on {', '.join(self.listens)}"
        of = f" of {self.unit}" if self.unit else ""
        by = f", run by {self.user}" if self.user else ""
        program = f", {self.program}" if self.program else ""
        listens = f", listening on {', '.join(self.listens)}" if self.listens else ""
        return f"{self.name} (process {self.pid}){of}{by}{program}{listens}"


def find_intruders(
    muted: frozenset[str], programs: frozenset[str], proc: Path = PROC, kept: Kept = _NOTHING_KEPT
) -> list[Intruder]:
    """Given muted units and the programs of production's packages, return what runs of them."""
    found = [
        each
        for each in _processes(proc)
        if (each.unit and covers(muted, each.unit)) or (each.program in programs and not _is_machines(each.unit, kept))
    ]
    listeners = _listeners() if found else {}
    return [_named(each, listeners, proc) for each in found]


def find_listeners(
    known: Iterable[Intruder],
    kept: Kept,
    proc: Path = PROC,
    *,
    certain: frozenset[int] = frozenset(),
    wait: Callable[[], None],
) -> list[Intruder]:
    """Given the intruders that are known, return who else listens and belongs neither to the machine nor to HotSync,
    nor is kept.

    A UDP port that the kernel gives to whoever asks somebody something may be that of one who waits for an answer. It
    counts if it is certain that production listens there, or if a process still holds it after the wait.
    """
    listeners, ports, passing = _listeners(), socket_units(), passing_ports(proc)
    named = {each.pid for each in known}
    processes = {each.pid: each for each in _processes(proc)} | {0: Intruder("", 0, "")}
    strange = [
        (processes[pid], address)
        for pid, addresses in sorted(listeners.items())
        if pid in processes and pid not in named  # else it ended meanwhile, or is told already
        for address in addresses
        if not _may_listen(processes[pid], address, ports, kept)
    ]
    doubtful = {(one.pid, address) for one, address in strange if is_passing(address, passing, certain)}
    if any(pid for pid, _ in doubtful):  # the kernel's own, as of a tunnel that only calls, hold still anyway
        wait()
        doubtful -= {(pid, address) for pid, addresses in _listeners().items() if pid for address in addresses}
    found: dict[int, list[str]] = {}
    for one, address in strange:
        if (one.pid, address) not in doubtful:
            found.setdefault(one.pid, []).append(address)
    return [_named(processes[pid], found, proc) for pid in found]


def _may_listen(process: Intruder, address: str, ports: Ports, kept: Kept) -> bool:
    protocol, port = address.partition(" ")[0], int(address.rpartition(":")[2])
    if not process.pid:  # WireGuard's socket is the kernel's
        return protocol == "udp" and any(pattern.startswith("wg-") for pattern in kept.tunnels)
    unit = ports.get((protocol, port), "") if process.pid == 1 else process.unit
    if not unit or unit.startswith("user@"):
        if process.program in _WAYS_IN:
            return True
        return process.pid != os.getpid() and bool(_LOOPBACK.match(address))  # a session's own: a forwarded X11 display
    return bool(base_reason(unit)) or is_watcher(unit) or bool(kept.reason(unit))


def socket_units() -> dict[tuple[str, int], str]:
    """Return for which socket units the init system itself listens; nothing where it cannot be asked."""
    words = ["systemctl", "list-sockets", "--show-types", "--plain", "--no-legend", "--full"]
    try:
        return parse_sockets(command.run(words, ok=range(256)).text)
    except CommandFailed:
        return {}


def parse_sockets(text: str) -> dict[tuple[str, int], str]:
    """Given `systemctl list-sockets --show-types`, return the unit of each TCP and UDP port."""
    found: dict[tuple[str, int], str] = {}
    for line in text.splitlines():
        fields = line.split()
        port = fields[0].rpartition(":")[2] if len(fields) >= 3 else ""
        protocol = {"Stream": "tcp", "Datagram": "udp"}.get(fields[1]) if port.isdigit() else None
        if protocol is not None and not fields[0].startswith("/"):
            found[protocol, int(port)] = fields[2]
    return found


def is_listening(protocol: str, port: int) -> bool:
    """Return whether anything of this machine listens on a port, at whatever address."""
    found = (address for addresses in _listeners().values() for address in addresses)
    return any(address.startswith(f"{protocol} ") and address.endswith(f":{port}") for address in found)


def _listeners() -> dict[int, list[str]]:
    listeners: dict[int, list[str]] = {}
    for address, pid, _ in parse_listeners(command.run(["ss", "-H", "-tulnp"], ok=range(256)).text):
        addresses = listeners.setdefault(pid, [])
        if address not in addresses:
            addresses.append(address)
    return listeners


def _processes(proc: Path) -> Iterator[Intruder]:
    """Return every process but our own, and those of waiting servers, which can reach nothing."""
    for folder in sorted(proc.iterdir()):
        if not folder.name.isdigit() or int(folder.name) == os.getpid():
            continue
        try:
            unit = unit_of_cgroup((folder / "cgroup").read_text())
            name = (folder / "comm").read_text().strip()
        except OSError:
            continue  # it ended meanwhile
        if not unit.startswith(waiting_servers.PREFIX):
            yield Intruder(unit, int(folder.name), name, program=_program(folder))


def _named(process: Intruder, listeners: Mapping[int, list[str]], proc: Path) -> Intruder:
    """Return a process with its sockets, its user, and what it runs: the program, and of an interpreter the script."""
    folder = proc / str(process.pid)
    program = " ".join(word for word in (process.program, _script(folder)) if word)
    user = _user(folder) if process.pid else ""
    return Intruder(process.unit, process.pid, process.name, tuple(listeners.get(process.pid, ())), user, program)


def _user(folder: Path) -> str:
    try:
        number = folder.stat().st_uid
    except OSError:
        return ""  # it ended meanwhile
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"number {number}"


def _script(folder: Path) -> str:
    """Return the first argument if it is a path; no other one: some hold passwords, and this is shown and mailed."""
    try:
        words = (folder / "cmdline").read_bytes().split(b"\0")
    except OSError:
        return ""
    return words[1].decode("utf-8", "replace") if len(words) > 1 and words[1].startswith(b"/") else ""


def _is_machines(unit: str, kept: Kept) -> bool:
    # what a package's script started by hand while it was installed lives on in HotSync's own unit
    return (bool(base_reason(unit)) or bool(kept.reason(unit))) and not unit.startswith(("hotsync", "user@"))


def _program(folder: Path) -> str:
    try:
        return os.readlink(folder / "exe").removesuffix(" (deleted)")
    except OSError:
        return ""  # the kernel's own, or it ended meanwhile


def daemons_among(paths: Iterable[str]) -> frozenset[str]:
    """Given the paths of packages, return those where programs lie that run by themselves, as /proc names them."""
    return frozenset(path if path.startswith("/usr/") else f"/usr{path}" for path in paths if _DAEMON_PLACE.match(path))


def unit_of_cgroup(text: str) -> str:
    """Given /proc/PID/cgroup, return the outermost service that the process belongs to, "" for a session's or none.

    What a service makes below itself (a user's or a container's own units) has names that it chose itself.
    """
    for path in paths_of_cgroup(text):
        units = [part for part in path.split("/") if part.endswith((".service", ".scope"))]
        if units and units[0].endswith(".service"):
            return units[0]
    return ""


def parse_listeners(text: str) -> list[tuple[str, int, str]]:
    """Given `ss -H -tulnp`, return (protocol and address, pid, program) of each listening socket and each owner of it
    (pid 0: the kernel's)."""
    found: list[tuple[str, int, str]] = []
    for line in text.splitlines():
        fields = line.split()
        if len(fields) < 5:
            continue
        address = f"{fields[0]} {fields[4]}"
        owners = re.findall(r'\("([^"]+)",pid=(\d+)', line)
        found += [(address, int(pid), program) for program, pid in owners] or [(address, 0, "")]
    return found
