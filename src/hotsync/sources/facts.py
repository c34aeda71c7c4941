"""The MASTER's facts for the SLAVE: packages, accounts, units, network, mounts, settings; equal while nothing changes.

What comes and goes by itself (a service that a timer started, a lease's remaining time, a container's cable) is left
out, so that a run in which nothing happened sends nothing.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from hotsync.backends.handmade import handmade_units
from hotsync.backends.packages import rpm_state
from hotsync.backends.packages.apt_text import parse_automatic
from hotsync.backends.packages.module_streams import read_streams
from hotsync.backends.quotas import read_quotas
from hotsync.backends.selinux import read_guard
from hotsync.errors import CommandFailed, ReplicaError, SourceError
from hotsync.model.facts import (
    AccountFact,
    AddressFact,
    GroupFact,
    InterfaceFact,
    MasterFacts,
    MountFact,
    NetworkFacts,
    PackageFact,
    RouteFact,
    UnitFact,
)
from hotsync.model.generation import DatasetPoint
from hotsync.model.lines import lines_of
from hotsync.model.network.cards import CABLES_OF_CONTAINERS, is_card
from hotsync.model.production import is_handmade
from hotsync.model.report import Check, Verdict
from hotsync.model.unit_names import is_passing
from hotsync.sources.disk_tables import read_shares
from hotsync.sources.source import Context, Dataset
from hotsync.sources.spool import collecting
from hotsync.sources.system_facts import read_system
from hotsync.sources.unit_files import list_unit_files
from hotsync.state.facts import load_facts, render_facts
from hotsync.state.handover import load_units
from hotsync.system.command import run
from hotsync.system.paths import Paths

NAME: str = "facts"
IS_DATABASE: bool = False

_DPKG = r"${db:Status-Status}\t${Package}\t${Version}\t${Architecture}\t${db:Status-Want}\n"
_APT_STATES = Path("/var/lib/apt/extended_states")
_STUB = "127.0.0.53"
_HOST = Paths(Path("/"))
_KINDS = ("service", "socket", "timer", "path")
_PROPERTIES = "Id,ActiveState,Transient,WantedBy,RequiredBy,UpheldBy"
# units of logins, and our own: they run while this is read
_PASSING = re.compile(r"^(?:user@|user-runtime-dir@|getty@|serial-getty@|hotsync)")
_DISKS = frozenset({"zfs", "btrfs", "nfs", "nfs4", "cifs", "ceph", "glusterfs"})
_NO_DISKS = frozenset({"squashfs", "iso9660", "udf", "fuse.sshfs"})


def inspect(context: Context) -> tuple[Dataset, ...]:
    """Given the host, return the one dataset of this source."""
    del context
    return (Dataset(NAME),)


def collect(context: Context, dataset: Dataset) -> list[DatasetPoint]:
    """Given the host, write what it is into the spool; raise SourceError if it cannot be read."""
    taken_at = context.clock.now()
    try:
        documents = render_facts(read_facts(context.paths))
    except (CommandFailed, ValueError, KeyError, OSError) as error:
        raise SourceError(dataset=dataset.name, reason=str(error)) from error
    with collecting(context.paths, dataset.name) as collection:
        for name, data in documents.items():
            collection.put(name, data)
        collection.publish()
    return [DatasetPoint(dataset.name, taken_at)]


def restore(folder: Path, dataset: Dataset) -> str:
    """Do nothing: facts are planned with, not loaded."""
    del folder, dataset
    return ""


def verify(folder: Path) -> list[Check]:
    """Given the collected facts, return whether they can be read."""
    title = "the MASTER's facts can be read"
    try:
        load_facts(folder.parent)
    except ReplicaError as error:
        return [Check("facts", title, Verdict.RED, error.sentence, error.hint)]
    return [Check("facts", title, Verdict.GREEN)]


def read_facts(paths: Paths) -> MasterFacts:
    """Return what this host is now; raise CommandFailed, ValueError or OSError if it cannot be read."""
    passwd, group = _read(paths.at("/etc/passwd")), _read(paths.at("/etc/group"))
    return MasterFacts(
        packages=read_packages(),
        users=tuple(sorted(parse_users(passwd), key=lambda user: (user.uid, user.name))),
        groups=tuple(sorted(parse_groups(group), key=lambda group: (group.gid, group.name))),
        units=read_units(paths),
        network=read_network(paths),
        mounts=tuple(parse_mounts(_read(Path("/proc/1/mountinfo")))),
        system=read_system(paths),
        quotas=read_quotas(),
        streams=read_streams(paths),
        guard=read_guard(paths),
        shares=read_shares(paths),
    )


def parse_packages(text: str, states: str) -> tuple[PackageFact, ...]:
    """Given dpkg-query's lines and apt's extended_states, return the installed packages, sorted, with apt's marks."""
    automatic = parse_automatic(states)
    found: list[PackageFact] = []
    for line in text.splitlines():
        fields = line.split("\t")
        if len(fields) == 5 and fields[0] == "installed":
            _, name, version, architecture, want = fields
            found.append(
                PackageFact(name, version, architecture, (name, architecture) not in automatic, want == "hold")
            )
    return tuple(sorted(found, key=lambda package: (package.name, package.architecture)))


def parse_users(text: str) -> Iterator[AccountFact]:
    """Given passwd, return the users; lines that are not understood are left out."""
    for line in lines_of(text):
        fields = line.split(":")
        if len(fields) == 7 and fields[2].isdigit() and fields[3].isdigit():
            yield AccountFact(fields[0], int(fields[2]), int(fields[3]), fields[5], fields[6])


def parse_groups(text: str) -> Iterator[GroupFact]:
    """Given group, return the groups with their members; lines that are not understood are left out."""
    for line in lines_of(text):
        fields = line.split(":")
        if len(fields) == 4 and fields[2].isdigit():
            yield GroupFact(fields[0], int(fields[2]), tuple(sorted(name for name in fields[3].split(",") if name)))


def parse_units(shown: str, listed: str, handmade: Collection[str] = ()) -> tuple[UnitFact, ...]:
    """Given `systemctl show` of all loaded units and `systemctl list-unit-files`, return the units that matter.

    `handmade`: those that the administrator wrote though they are called like the machine's. They all matter: a timer's
    service is held with it.
    """
    enabled = dict(line.split()[:2] for line in listed.splitlines() if len(line.split()) >= 2)
    active = {unit["Id"] for unit in _blocks(shown) if _is_wanted(unit)}
    names = {name for name in (*enabled, *active) if name.rpartition(".")[2] in _KINDS and not _is_passing(name)}
    units = (
        UnitFact(name, enabled.get(name, ""), name in active, is_handmade(name, handmade)) for name in sorted(names)
    )
    return tuple(
        unit for unit in units if unit.active or unit.handmade or unit.enabled.startswith(("enabled", "masked"))
    )


def _is_passing(unit: str) -> bool:
    return is_passing(unit) or _PASSING.match(unit) is not None


def _is_wanted(unit: Mapping[str, str]) -> bool:
    """Return whether a unit is up, and not only for a moment."""
    if unit.get("ActiveState") != "active" or unit.get("Transient") == "yes":
        return False
    return any(unit.get(wants) for wants in ("WantedBy", "RequiredBy", "UpheldBy"))


def parse_interfaces(text: str) -> tuple[InterfaceFact, ...]:
    """Given `ip -j -d address show`, return the interfaces, without lo and cables of containers; raise ValueError."""
    links: list[dict[str, Any]] = json.loads(text or "[]")
    found: list[InterfaceFact] = []
    for link in links:
        kind, master = str(link.get("linkinfo", {}).get("info_kind", "")), str(link.get("master", ""))
        if link["ifname"] == "lo" or (kind == "veth" and master and link["ifname"].startswith(CABLES_OF_CONTAINERS)):
            continue
        addresses = tuple(
            AddressFact(str(info["local"]), int(info["prefixlen"]), bool(info.get("dynamic", False)))
            for info in link.get("addr_info", ())
            if info.get("scope") in ("global", "site") and not info.get("temporary") and "local" in info
        )
        up = "UP" in link.get("flags", ())
        mac = str(link.get("permaddr") or link.get("address", "")) if link.get("link_type") == "ether" else ""
        found.append(InterfaceFact(str(link["ifname"]), mac, kind, master, up, addresses))
    return tuple(sorted(found, key=lambda interface: interface.name))


def parse_routes(text: str) -> Iterator[RouteFact]:
    """Given `ip -j route show`, return the routes that somebody gave (not the kernel's own); raise ValueError."""
    routes: list[dict[str, Any]] = json.loads(text or "[]")
    for route in routes:
        if route.get("protocol") != "kernel" and "dev" in route:
            yield RouteFact(
                str(route["dst"]), str(route["dev"]), str(route.get("gateway", "")), int(route.get("metric", 0))
            )


def parse_resolver(text: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Given resolv.conf, return name servers and search domains."""
    words = [line.split() for line in text.splitlines() if line.strip() and line.strip()[0] not in "#;"]
    servers = tuple(line[1] for line in words if line[0] == "nameserver" and len(line) > 1)
    domains = next((tuple(line[1:]) for line in reversed(words) if line[0] in ("search", "domain")), ())
    return servers, domains


def parse_mounts(text: str) -> Iterator[MountFact]:
    """Given /proc/PID/mountinfo, return the mounted disks and shares, sorted; of two at one place the upper one."""
    found: dict[str, MountFact] = {}
    for line in text.splitlines():
        before, _, after = line.partition(" - ")
        fields, kinds = before.split(" "), after.split(" ")
        if len(fields) < 6 or len(kinds) < 3:
            continue
        point, kind, source = _unescape(fields[4]), kinds[0], _unescape(kinds[1])
        whole = fields[3] == "/" or kind == "btrfs"  # anything else is a bind mount of a part
        if kind not in _NO_DISKS and whole and (source.startswith("/dev/") or kind in _DISKS):
            found[point] = MountFact(point, source, kind, fields[5])
        else:
            found.pop(point, None)
    yield from (found[point] for point in sorted(found))


def read_packages(paths: Paths = _HOST) -> tuple[PackageFact, ...]:
    """Return the installed packages, sorted; raise CommandFailed. None where there is no package manager."""
    if rpm_state.is_here(paths) and not paths.at("/var/lib/dpkg/status").exists():
        found = (
            PackageFact(each.name, each.version, each.architecture, each.manual, each.held)
            for each in rpm_state.read_installed(paths)
        )
        return tuple(sorted(found, key=lambda package: (package.name, package.architecture, package.version)))
    try:
        listed = run(["dpkg-query", "--show", f"--showformat={_DPKG}"]).text
    except CommandFailed as error:
        if error.returncode is None:
            return ()  # a host without dpkg
        raise
    try:
        # what `apt-mark showmanual` reads, which takes a second where apt keeps no cache
        states = _read(_APT_STATES)
    except FileNotFoundError:
        states = ""  # a host on which apt has never installed anything by itself
    return parse_packages(listed, states)


def read_units(paths: Paths) -> tuple[UnitFact, ...]:
    """Return the units that matter; none where systemd cannot be asked.

    While this MASTER hands over they are what they were before production was stopped.
    """
    if before := load_units(paths):
        return before
    patterns = [f"*.{kind}" for kind in _KINDS]
    try:
        listed = list_unit_files(paths, patterns, time.time_ns())
    except CommandFailed:
        return ()
    try:
        shown = run(["systemctl", "show", "--no-pager", f"--property={_PROPERTIES}", *patterns]).text
    except CommandFailed:
        shown = ""  # not booted with systemd
    return parse_units(shown, listed, handmade_units(paths.root))


def read_interfaces(paths: Paths = _HOST) -> tuple[InterfaceFact, ...]:
    """Return the interfaces of this host with their addresses and the speed of their wires; raise CommandFailed."""
    found = parse_interfaces(run(["ip", "-j", "-d", "address", "show"]).text)
    return tuple(replace(each, speed=_speed(paths, each.name)) if is_card(each) else each for each in found)


def _speed(paths: Paths, name: str) -> int:
    try:
        return max(0, int(_read(paths.at(f"/sys/class/net/{name}/speed"))))
    except (OSError, ValueError):
        return 0  # what has no wire, or no link, tells none


def read_network(paths: Paths) -> NetworkFacts:
    """Return the network as it is now; raise CommandFailed."""
    interfaces = read_interfaces(paths)
    routes = {route for version in ("-4", "-6") for route in parse_routes(run(["ip", "-j", version, "route"]).text)}
    try:
        dns, domains = parse_resolver(_read(paths.at("/etc/resolv.conf")))
        if dns == (_STUB,):  # the file of systemd-resolved, which has another with those that it asks
            dns, _ = parse_resolver(_read(paths.at("/run/systemd/resolve/resolv.conf")))
    except OSError:
        dns, domains = (), ()
    return NetworkFacts(
        run(["uname", "--nodename"]).text.strip(),
        interfaces,
        tuple(sorted(routes, key=lambda route: (route.destination, route.metric, route.interface, route.gateway))),
        dns,
        domains,
    )


def _blocks(text: str) -> Iterable[dict[str, str]]:
    for block in text.split("\n\n"):
        unit = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
        if "Id" in unit:
            yield unit


def _unescape(text: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), text)


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")
