"""Switches, cables and the client's seat: bridges in a namespace of their own, a veth pair for each cable.

Addresses are each host's own business; only the client, which is no machine, gets its address from here.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from lab.command import LabError, run
from lab.places import HOSTS, locked

CLIENT = "client"
CLIENT_ADDRESS = "10.77.0.100"
ADDRESSES = {"master": "10.77.0.1/24", "slave": "10.77.0.2/24", CLIENT: f"{CLIENT_ADDRESS}/24"}
MAIN_SWITCH = "lan"
_SEATS = (*HOSTS, CLIENT)


@dataclass(frozen=True, slots=True)
class Nic:
    """One network card: whose, its name there, the switch its cable leads to, the address it should be given."""

    host: str
    name: str
    switch: str = MAIN_SWITCH
    address: str = ""


def parse_nics(spec: str) -> tuple[Nic, ...]:
    """Given `master=eth1:dmz@10.78.0.1/24,ens9:red;slave=enp3s0:dmz`, return every card of the three parties.

    A card on the switch `lan` replaces the host's eth0, under its own name and by default with eth0's address.
    Raise LabError if the text is not of that form.
    """
    nics = [Nic(host, "eth0", MAIN_SWITCH, ADDRESSES[host]) for host in _SEATS]
    for part in filter(None, spec.split(";")):
        host, equals, cards = part.partition("=")
        if host not in HOSTS or not equals:
            raise LabError(f"--nics: {part!r} does not begin with master= or slave=")
        for card in cards.split(","):
            found = re.fullmatch(r"([a-z][a-z0-9._-]{0,14}):([a-z][a-z0-9]{0,9})(?:@([0-9.]+/\d+))?", card)
            if not found:
                raise LabError(f"--nics: {card!r} is not NAME:SWITCH or NAME:SWITCH@ADDRESS/LENGTH")
            name, switch, address = found.groups(default="")
            if switch == MAIN_SWITCH:
                nics = [nic for nic in nics if (nic.host, nic.switch) != (host, MAIN_SWITCH)]
                address = address or ADDRESSES[host]
            nics.append(Nic(host, name, switch, address))
    if len({(nic.host, nic.name) for nic in nics}) != len(nics):
        raise LabError("--nics: one host has two cards of the same name")
    return tuple(nics)


def mac(nic: Nic) -> str:
    """The card's hardware address: always the same, also in a twin of a lab, whose servers know each other by it.

    No two labs are on one wire.
    """
    digest = hashlib.sha256(f"{nic.host}/{nic.name}".encode()).digest()
    return ":".join(f"{byte:02x}" for byte in (0x02, *digest[:5]))


def namespace(lab: str, seat: str) -> str:
    """The name of a party's network namespace, or of the switches' (`switch`)."""
    return f"hotsync-{lab}-{seat}"


def lay(lab: str, nics: Sequence[Nic]) -> None:
    """Put up the switches and seat the client; hosts are connected when they are switched on."""
    switch = namespace(lab, "switch")
    _add_namespace(switch)
    for bridge in sorted({nic.switch for nic in nics}):
        run(["ip", "-n", switch, "link", "add", bridge, "type", "bridge", "mcast_snooping", "0"])
        run(["ip", "-n", switch, "link", "set", "dev", bridge, "up"])
    connect(lab, nics, CLIENT)
    client = namespace(lab, CLIENT)
    run(["ip", "-n", client, "address", "add", ADDRESSES[CLIENT], "dev", "eth0"])
    run(["ip", "-n", client, "link", "set", "dev", "eth0", "up"])


def connect(lab: str, nics: Sequence[Nic], host: str, cut: Collection[str] = ()) -> None:
    """Give a host that is switched on a network without any memory, its cables plugged in except the cut ones."""
    disconnect(lab, nics, host)
    switch = namespace(lab, "switch")
    _add_namespace(namespace(lab, host))
    for port, nic in ports_of(nics, host):
        card = ["name", nic.name, "address", mac(nic), "netns", namespace(lab, host)]
        state = "down" if nic.name in cut else "up"
        run(["ip", "link", "add", *card, "type", "veth", "peer", "name", port, "netns", switch])
        run(["ip", "-n", switch, "link", "set", "dev", port, "master", nic.switch, state])


def disconnect(lab: str, nics: Sequence[Nic], host: str) -> None:
    """Take a host's network away: a kernel answers for a machine that is off as long as there is a cable."""
    switch = namespace(lab, "switch")
    if _exists(switch):
        for port, _ in ports_of(nics, host):
            run(["ip", "-n", switch, "link", "delete", "dev", port], check=False)
    _delete_namespace(namespace(lab, host))


def set_cable(lab: str, nics: Sequence[Nic], host: str, cut: Collection[str]) -> None:
    """Pull the cables of these cards and plug in all others: at the switch's end, so that the host sees its link go."""
    for port, nic in ports_of(nics, host):
        state = "down" if nic.name in cut else "up"
        run(["ip", "-n", namespace(lab, "switch"), "link", "set", "dev", port, state])


def tear_down(lab: str) -> None:
    """Take all of a lab's network away, ending whatever still runs in its namespaces."""
    for seat in (*_SEATS, "switch"):
        _delete_namespace(namespace(lab, seat))
    with locked("netns"):
        # `ip netns add` mounted that folder upon itself for all namespaces; with the last of them the mount goes.
        if _is_mounted("/run/netns") and not os.listdir("/run/netns"):
            run(["umount", "/run/netns"], check=False)


def ports_of(nics: Sequence[Nic], host: str) -> list[tuple[str, Nic]]:
    """A host's cards, each with the name of its port at the switch."""
    return [(f"{host}-{number}", nic) for number, nic in enumerate(nic for nic in nics if nic.host == host)]


def _is_mounted(path: str) -> bool:
    """Whether something is mounted there; os.path.ismount does not see a folder that is mounted upon itself."""
    return any(line.split()[1] == path for line in Path("/proc/self/mounts").read_text().splitlines())


def _exists(name: str) -> bool:
    return Path("/run/netns", name).exists()


def _add_namespace(name: str) -> None:
    with locked("netns"):
        run(["ip", "netns", "add", name])
    run(["ip", "-n", name, "link", "set", "dev", "lo", "up"])


def _delete_namespace(name: str) -> None:
    if not _exists(name):
        return
    for process in run(["ip", "netns", "pids", name], check=False).stdout.split():
        run(["kill", "-9", process], check=False)
    run(["ip", "netns", "delete", name])
