"""Production stands still for a while: its units do not start, and nobody reaches the database servers that still run.

All of it lies in /run and in the kernel: a boot forgets it, and the host is what it was before.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable
from pathlib import Path

from hotsync.backends.intruders import parse_listeners, unit_of_cgroup
from hotsync.backends.mute import UNIT_NAME, Systemctl, systemctl
from hotsync.backends.nftables import Nft, apply, is_there, render_removal
from hotsync.system import command, files
from hotsync.system.paths import Paths

DROP_IN = "zz-hotsync-handover.conf"
TABLE = "inet hotsync_handover"
TEXT = b"""# Written by HotSync while this MASTER hands over to its SLAVE; the next boot knows nothing of it.
[Unit]
ConditionPathExists=!/run/hotsync/handing-over
AssertPathExists=!/run/hotsync/handing-over
"""
_LOOPBACK = re.compile(r"^\w+ (?:127\.[0-9.]+|\[::1\]|\[::ffff:127\.[0-9.]+\])(?:%lo)?:\d+\Z")


class Standstill:
    """What keeps production from starting in this boot, as long as its flag is there."""

    def __init__(self, paths: Paths, ask: Systemctl = systemctl, nft: Nft = apply) -> None:
        self._folder = paths.at("/run/systemd/system")
        self._flag = paths.run / "handing-over"
        self._ask = ask
        self._nft = nft

    def block(self, units: Iterable[str]) -> None:
        """Let none of these units start; what runs goes on. Raise OSError or CommandFailed."""
        self._flag.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        files.write_atomic(self._flag, b"", mode=0o644)
        for unit in sorted(unit for unit in units if UNIT_NAME.match(unit)):
            folder = self._folder / f"{unit}.d"
            folder.mkdir(mode=0o755, parents=True, exist_ok=True)
            files.write_atomic(folder / DROP_IN, TEXT)
        self._ask(["daemon-reload"])

    def unblock(self) -> None:
        """Let all units start again, and clients reach the databases; done already is fine."""
        if not self._flag.exists():
            return
        drop_ins = list(self._folder.glob(f"*.d/{DROP_IN}"))
        for drop_in in drop_ins:
            drop_in.unlink()
            if not any(drop_in.parent.iterdir()):
                drop_in.parent.rmdir()
        if drop_ins:
            self._ask(["daemon-reload"])
        if is_there(TABLE):
            self._nft(render_removal(TABLE))
        self._flag.unlink()

    def cut_off(self, ports: Collection[int]) -> None:
        """Let nobody reach these ports from another host, nor go on with a connection; raise CommandFailed."""
        if not ports:
            return
        self._nft(render_rules(ports))
        # who waits for an answer sends nothing that could be refused: the connection itself is ended, on both ends
        wanted = " or ".join(f"sport = :{port}" for port in sorted(ports))
        command.run(["ss", "-H", "-K", "-t", "state", "connected", f"( {wanted} )"], ok=range(256))


def render_rules(ports: Collection[int]) -> str:
    """Given the TCP ports of database servers, return what `nft -f -` makes the table of, in one transaction.

    New connections are dropped, so that a client tries again until the other server answers; the rest is refused.
    """
    listed = ", ".join(str(port) for port in sorted(ports))
    return (
        f"{render_removal(TABLE)}table {TABLE} {{\n"
        "  chain input {\n"
        "    type filter hook input priority filter - 10; policy accept;\n"
        '    iifname "lo" accept\n'
        f"    tcp dport {{ {listed} }} tcp flags & (syn | ack) == syn drop\n"
        f"    tcp dport {{ {listed} }} reject with tcp reset\n"
        "  }\n"
        "  chain output {\n"
        "    type filter hook output priority filter - 10; policy accept;\n"
        '    oifname "lo" accept\n'
        "    tcp flags & rst == rst accept\n"
        # whatever a server finishes after this must not look to a client as if it had been kept
        f"    tcp sport {{ {listed} }} drop\n"
        "  }\n"
        "}\n"
    )


def ports_of(units: Collection[str], proc: Path = Path("/proc")) -> frozenset[int]:
    """Given units, return the TCP ports at which their processes answer other hosts."""
    found: set[int] = set()
    for address, pid, _ in parse_listeners(command.run(["ss", "-H", "-tulnp"], ok=range(256)).text):
        protocol, _, place = address.partition(" ")
        port = place.rpartition(":")[2]
        if protocol == "tcp" and port.isdigit() and not _LOOPBACK.match(address) and _unit(proc / str(pid)) in units:
            found.add(int(port))
    return frozenset(found)


def left_of(units: Collection[str], proc: Path = Path("/proc")) -> dict[int, str]:
    """Given units that were stopped, return which processes of them still run, with the unit (a job of cron's)."""
    found: dict[int, str] = {}
    for folder in proc.iterdir():
        if folder.name.isdigit() and int(folder.name) != os.getpid() and (unit := _unit(folder)) in units:
            found[int(folder.name)] = unit
    return found


def _unit(folder: Path) -> str:
    try:
        return unit_of_cgroup((folder / "cgroup").read_text())
    except OSError:
        return ""  # it has ended
