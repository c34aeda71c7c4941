"""The network of a server that holds itself: production's addresses go, nothing brings them back, links stay up."""

from __future__ import annotations

import ipaddress
import json
import logging
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from hotsync.backends.network import addresses as live
from hotsync.backends.network import dhcp_clients, ifupdown, snapshot
from hotsync.errors import CommandFailed
from hotsync.model.network.cards import CABLES_OF_CONTAINERS
from hotsync.model.network.values import Address
from hotsync.system import command

_log = logging.getLogger("hotsync.network")
PROMOTE = Path("/proc/sys/net/ipv4/conf")
MANAGERS = ("NetworkManager.service", "systemd-networkd.socket", "systemd-networkd.service", "dhcpcd.service",
            "connman.service", "wicked.service", "wickedd.service")  # fmt: skip
"""What would give an interface its addresses back, for instance when its cable is pulled and put in again."""


def stop_managers() -> None:
    """Stop what looks after interfaces, and what renews their leases; the flag in /run keeps it from starting. What it
    set up stays for now."""
    interfaces = live.read_interfaces()
    dhcp_clients.end_clients(interfaces)
    known = [unit for unit in MANAGERS if _is_active(unit)]
    if known:
        command.run(["systemctl", "stop", "--", *known], ok=range(256), timeout=60)
    dhcp_clients.end_clients(interfaces)  # a manager may have started one again before it was stopped


def start_managers(etc: Path = Path("/etc")) -> None:
    """Start what this server uses to look after its interfaces, as its files say now."""
    wanted = [unit for unit in (*MANAGERS, "networking.service") if _is_enabled(unit)]
    fresh = "networking.service" in wanted and not _is_active("networking.service")
    moved = ifupdown.make_room(etc) if fresh else ()
    try:
        if wanted:
            command.run(["systemctl", "start", "--", *wanted], ok=range(256), timeout=120)
    finally:
        for address in moved:  # whatever became of it
            live.add(address)
    if "networking.service" in wanted:
        dhcp_clients.start_clients(etc, live.read_interfaces())


def give_up(addresses: Iterable[Address]) -> None:
    """Take these addresses from their interfaces, and no others; one that is gone already is fine."""
    gone = tuple(addresses)
    before = snapshot.read_before()
    for address in gone:
        with _later_ones_kept(address.interface):
            command.run(["ip", "address", "del", str(address), "dev", address.interface], ok=range(256))
    _bring_back(before, gone)


def _bring_back(before: snapshot.Before, gone: tuple[Address, ...]) -> None:
    """Give back what went along with the addresses.

    Where /proc/sys is not to be written (in containers) the kernel knows no mercy for later ones. And every way whose
    source was an address that goes, went with it: also the one into the network of an address that stays.
    """
    texts = {address.address for address in gone}
    kept = tuple(address for address in before.addresses if address.address not in texts)
    ways = (route for route in before.routes if not _went_with(route, gone, kept))
    routes = tuple(filter(None, (_without_source(route, texts, kept) for route in ways)))
    if set(kept) <= set(live.read_addresses()) and set(routes) <= set(before.routes):
        return
    for fault in snapshot.restore(replace(before, addresses=kept, routes=routes)):
        _log.warning("%s", fault)


def _went_with(route: str, gone: Iterable[Address], kept: Iterable[Address]) -> bool:
    """Return whether a route is the kernel's own into a network in which no address stays (of IPv6 it names none)."""
    words = route.split()
    if "proto kernel" not in route or "via" in words or "dev" not in words:
        return False
    card = words[words.index("dev") + 1]

    def leads_to(address: Address) -> bool:
        return address.interface == card and str(ipaddress.ip_interface(str(address)).network) in words

    return any(map(leads_to, gone)) and not any(map(leads_to, kept))


def _without_source(route: str, gone: Collection[str], kept: Iterable[Address]) -> str:
    """Return a route as it is without the addresses that go, "" if it is of no use then."""
    words = route.split()
    if not set(words) & set(gone):
        return route
    source = words.index("src") if "src" in words else -1
    if source < 0 or "dev" not in words or "nexthop" in words or set(words[:source] + words[source + 2 :]) & set(gone):
        return ""
    rest = words[:source] + words[source + 2 :]
    card, via = rest[rest.index("dev") + 1], rest[rest.index("via") + 1] if "via" in rest else ""
    for address in (each for each in kept if each.interface == card):
        network = ipaddress.ip_interface(str(address)).network
        if str(network) in rest and not via:
            return " ".join((*rest, "src", address.address))  # as the kernel's own
        if via and "inet6" not in rest and ipaddress.ip_address(via) in network:
            return " ".join(rest)
    return ""


@contextmanager
def _later_ones_kept(interface: str) -> Iterator[None]:
    """Within the block the first address of a network that goes leaves those that were added to it later.

    Without this the kernel takes them, too: a promoted MASTER that gives the standby address away has all of
    production's behind it. They could be given back afterwards, but there would be a moment without them.
    """
    switch = PROMOTE / interface / "promote_secondaries"
    before = ""
    with suppress(OSError):
        before = switch.read_text().strip()
        switch.write_text("1\n")
    try:
        yield
    finally:
        with suppress(OSError):
            if before == "0":
                switch.write_text("0\n")


def links_up(names: Iterable[str]) -> None:
    """Bring interfaces up: each has its link-local address then, and no other."""
    for name in names:
        command.run(["ip", "link", "set", "dev", name, "up"], ok=range(256))


def wait_for_cards() -> None:
    """Wait, early in a boot, until udev has named the cards: one that is up cannot be renamed."""
    with suppress(CommandFailed):  # a container has no udev
        command.run(["udevadm", "settle", "--timeout=20"], ok=range(256))


def parse_cards(text: str) -> tuple[str, ...]:
    """Given the output of `ip -j -d link show`, return the cards: what is Ethernet and no program or file has made.

    In a container the card is one end of a pair (link_netnsid: the other end is outside).
    """
    links: list[dict[str, Any]] = json.loads(text or "[]")
    return tuple(str(link["ifname"]) for link in links if link.get("link_type") == "ether" and _is_card(link))


def _is_card(link: dict[str, Any]) -> bool:
    made = bool(link.get("linkinfo", {}).get("info_kind"))
    return not made or ("link_netnsid" in link and not str(link["ifname"]).startswith(CABLES_OF_CONTAINERS))


def read_cards() -> tuple[str, ...]:
    """Return the names of this server's cards."""
    return parse_cards(command.run(["ip", "-j", "-d", "link", "show"]).text)


def restore(addresses: Iterable[Address]) -> None:
    """Give interfaces their addresses again, and tell the neighbours."""
    here = live.read_interfaces()
    back = [address for address in addresses if address.interface in here]
    for address in back:
        live.add(address)
    live.announce(back)


def _is_active(unit: str) -> bool:
    return command.run(["systemctl", "is-active", "--quiet", unit], ok=range(256)).returncode == 0


def _is_enabled(unit: str) -> bool:
    return command.run(["systemctl", "is-enabled", "--quiet", unit], ok=range(256)).returncode == 0
