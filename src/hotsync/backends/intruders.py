"""The proof of the mute: processes by cgroup and by program, and listening sockets; never the state of units alone."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from hotsync.backends import waiting_servers
from hotsync.model.machine_units import base_reason
from hotsync.model.mute import covers
from hotsync.system import command

_DAEMON_PLACE = re.compile(r"^(?:/usr)?/(?:sbin|lib|libexec)/")


@dataclass(frozen=True, slots=True)
class Intruder:
    """A process that should not run on a SLAVE: whose, and the sockets that it listens on."""

    unit: str
    pid: int
    name: str
    listens: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Return it in a person's words."""
        of = f" of {self.unit}" if self.unit else ""
        listens = f", listening on {', '.join(self.listens)}" if self.listens else ""
        return f"{self.name} (process {self.pid}){of}{listens}"


def find_intruders(muted: frozenset[str], programs: frozenset[str], proc: Path = Path("/proc")) -> list[Intruder]:
    """Given muted units and the programs of production's packages, return what runs of them."""
    listeners: dict[int, list[str]] = {}
    for address, pid, _ in parse_listeners(command.run(["ss", "-H", "-tulnp"], ok=range(256)).text):
        listeners.setdefault(pid, []).append(address)
    return [
        Intruder(each.unit, each.pid, each.name, tuple(listeners.get(each.pid, ())))
        for each in _processes(muted, programs, proc)
    ]


def _processes(muted: frozenset[str], programs: frozenset[str], proc: Path) -> Iterator[Intruder]:
    for folder in sorted(proc.iterdir()):
        if not folder.name.isdigit() or int(folder.name) == os.getpid():
            continue
        try:
            unit = unit_of_cgroup((folder / "cgroup").read_text())
            name = (folder / "comm").read_text().strip()
        except OSError:
            continue  # it ended meanwhile
        if unit.startswith(waiting_servers.PREFIX):
            continue  # HotSync's own, which can reach nothing
        if (unit and covers(muted, unit)) or (_program(folder) in programs and not _is_machines(unit)):
            yield Intruder(unit, int(folder.name), name)


def _is_machines(unit: str) -> bool:
    # what a package's script started by hand while it was installed lives on in HotSync's own unit
    return bool(base_reason(unit)) and not unit.startswith("hotsync")


def _program(folder: Path) -> str:
    try:
        return os.readlink(folder / "exe").removesuffix(" (deleted)")
    except OSError:
        return ""  # the kernel's own, or it ended meanwhile


def daemons_among(paths: Iterable[str]) -> frozenset[str]:
    """Given the paths of packages, return those where programs lie that run by themselves, as /proc names them."""
    return frozenset(path if path.startswith("/usr/") else f"/usr{path}" for path in paths if _DAEMON_PLACE.match(path))


def unit_of_cgroup(text: str) -> str:
    """Given /proc/PID/cgroup, return the innermost service that the process belongs to, or ""."""
    for line in text.splitlines():
        controllers, _, path = line.partition(":")[2].partition(":")
        if controllers in ("", "name=systemd"):
            services = [part for part in path.split("/") if part.endswith(".service")]
            if services:
                return services[-1]
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
