"""What of a host belongs to NethServer's events, and doing what was decided."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Sequence

from hotsync.backends.network import ifupdown
from hotsync.model.host_events import PROGRAMS, UNITS, EventFacts, HostAction
from hotsync.system import command
from hotsync.system.paths import Paths
from hotsync.system.platform import Kind

Run = Callable[[Sequence[str]], str]
_SECONDS = 600.0


def _run(argv: Sequence[str]) -> str:
    return command.run(argv).text


def read_event_facts(paths: Paths, run: Run = _run) -> EventFacts:
    """Return what of this host belongs to events; raise CommandFailed if systemd or NetworkManager does not answer."""
    shown = run(["systemctl", "show", "--property=Id,Names,ActiveState,UnitFileState", "--", *UNITS])
    running, enabled = parse_states(shown)
    etc = paths.at("/etc")
    rhel = paths.platform().kind is Kind.RHEL
    return EventFacts(
        running=running,
        enabled=enabled,
        programs=frozenset(name for name in PROGRAMS if shutil.which(name, path=command.ENVIRONMENT["PATH"])),
        devices=parse_devices(run(["nmcli", "--terse", "--fields", "DEVICE,STATE", "device", "status"]))
        if "NetworkManager.service" in running
        else (),
        nftables="/etc/sysconfig/nftables.conf" if rhel else "/etc/nftables.conf",
        netplan=any((etc / "netplan").glob("*.yaml")),
        ifupdown=ifupdown.available(etc),
    )


def parse_states(text: str) -> tuple[frozenset[str], frozenset[str]]:
    """Given `systemctl show` of several units, return which run and which would after a boot."""
    running: set[str] = set()
    enabled: set[str] = set()
    for record in text.split("\n\n"):
        fields = dict(line.split("=", 1) for line in record.splitlines() if "=" in line)
        names = fields.get("Names", "").split() or fields.get("Id", "").split()
        if fields.get("ActiveState") in ("active", "activating", "reloading"):
            running.update(names)
        if fields.get("UnitFileState") in ("enabled", "enabled-runtime", "alias", "generated"):
            enabled.update(names)
    return frozenset(running), frozenset(enabled)


def parse_devices(text: str) -> tuple[str, ...]:
    """Given `nmcli --terse --fields DEVICE,STATE device status`, return the devices that are connected by it."""
    found: list[str] = []
    for line in text.splitlines():
        name, _, state = line.rpartition(":")
        if state == "connected" and name:
            found.append(re.sub(r"\\(.)", r"\1", name))
    return tuple(found)


def perform(action: HostAction) -> None:
    """Do one action; raise CommandFailed with the command that ended it."""
    for each in action.commands:
        command.run(each.argv, ok=each.ok, timeout=_SECONDS)
