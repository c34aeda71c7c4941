"""What NethServer's events are the like of on another system: which actions, decided from what runs on the host.

Each action may be repeated; each checks a service's files, where it can, before the service reads them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

_SSS_NOTHING_CACHED = 2


@dataclass(frozen=True, slots=True)
class HostCommand:
    """One command, and the statuses with which it did well."""

    argv: tuple[str, ...]
    ok: tuple[int, ...] = (0,)


@dataclass(frozen=True, slots=True)
class HostAction:
    """One part of an event, named by the service; the first command that fails ends it."""

    name: str
    commands: tuple[HostCommand, ...]


@dataclass(frozen=True, slots=True)
class EventFacts:
    """What the decision needs of a host.

    `running` and `enabled` are units, `programs` those that are installed, `devices` what NetworkManager has
    connected, `nftables` the file that its unit loads; `netplan`, `ifupdown`: it has files that configure something.
    """

    running: frozenset[str] = frozenset()
    enabled: frozenset[str] = frozenset()
    programs: frozenset[str] = frozenset()
    devices: tuple[str, ...] = ()
    nftables: str = "/etc/nftables.conf"
    netplan: bool = False
    ifupdown: bool = False

    def uses(self, unit: str) -> bool:
        """Return whether a unit runs, or would after a boot."""
        return unit in self.running or unit in self.enabled


Decision = Callable[[EventFacts], Iterator[HostAction]]


def _action(name: str, *commands: tuple[str, ...] | HostCommand) -> HostAction:
    return HostAction(name, tuple(each if isinstance(each, HostCommand) else HostCommand(each) for each in commands))


def _renewed(unit: str) -> tuple[str, ...]:
    return ("systemctl", "reload-or-restart", f"{unit}.service")


def _restarted(unit: str) -> tuple[str, ...]:
    return ("systemctl", "restart", f"{unit}.service")


def _firewall(facts: EventFacts) -> Iterator[HostAction]:
    """Load the rules anew, then what puts its own beside them: the rules may begin with emptying everything."""
    found = list(_rules(facts))
    yield from found
    if found:
        if "fail2ban.service" in facts.running:
            yield _action("fail2ban", _restarted("fail2ban"))
        if "hotsyncd.service" in facts.running:
            yield _action("hotsyncd", ("systemctl", "reload", "hotsyncd.service"))


def _rules(facts: EventFacts) -> Iterator[HostAction]:
    for name in ("shorewall", "shorewall6"):
        if facts.uses(f"{name}.service"):
            yield _action(name, (name, "check"), _renewed(name))
    if "firewalld.service" in facts.running:
        yield _action("firewalld", ("firewall-cmd", "--check-config"), ("firewall-cmd", "--reload"))
    elif facts.uses("firewalld.service"):
        yield _action("firewalld", _restarted("firewalld"))
    if facts.uses("nftables.service"):
        yield _action("nftables", ("nft", "--check", "--file", facts.nftables), _renewed("nftables"))
    for name in ("netfilter-persistent", "iptables", "ip6tables"):
        if facts.uses(f"{name}.service"):
            yield _action(name, _restarted(name))
    if facts.uses("ufw.service") and "ufw" in facts.programs:
        yield _action("ufw", ("ufw", "reload"))


def _network(facts: EventFacts) -> Iterator[HostAction]:
    yield from _interfaces(facts)
    yield from _hosts(facts)
    yield from _firewall(facts)


def _interfaces(facts: EventFacts) -> Iterator[HostAction]:
    if facts.netplan and "netplan" in facts.programs:  # it lets those follow that it writes for
        yield _action("netplan", ("netplan", "generate"), ("netplan", "apply"))
        return
    if "systemd-networkd.service" in facts.running:
        yield _action("networkd", ("networkctl", "reload"))
    if "NetworkManager.service" in facts.running:
        yield _action("NetworkManager", ("nmcli", "connection", "reload"))
        for device in facts.devices:
            yield _action(f"NetworkManager:{device}", ("nmcli", "device", "reapply", device))
    if facts.ifupdown and facts.uses("networking.service"):
        yield _action("ifupdown", _restarted("networking"))
    if facts.uses("network.service"):
        yield _action("network-scripts", _restarted("network"))


def _hosts(facts: EventFacts) -> Iterator[HostAction]:
    if facts.uses("dnsmasq.service"):
        yield _action("dnsmasq", ("dnsmasq", "--test"), _restarted("dnsmasq"))
    if "systemd-resolved.service" in facts.running:
        yield _action("resolved", ("resolvectl", "flush-caches"))
    if "nscd.service" in facts.running:
        yield _action("nscd", ("nscd", "--invalidate=hosts"))


def _domain_controller(facts: EventFacts) -> Iterator[HostAction]:
    for name in ("samba-ad-dc", "samba"):
        if facts.uses(f"{name}.service"):
            yield _action(name, ("testparm", "--suppress-prompt"), _restarted(name))
            return


def _accounts(facts: EventFacts) -> Iterator[HostAction]:
    if facts.uses("sssd.service"):
        checks = [("sssctl", "config-check")] if "sssctl" in facts.programs else []
        emptied = [HostCommand(("sss_cache", "--everything"), (0, _SSS_NOTHING_CACHED))]
        emptied = emptied if "sss_cache" in facts.programs else []
        yield _action("sssd", *checks, *emptied, _restarted("sssd"))
    if facts.uses("winbind.service"):
        flush = [("net", "cache", "flush")] if "net" in facts.programs else []
        yield _action("winbind", *flush, _restarted("winbind"))


EVENTS: Mapping[str, tuple[Decision, str]] = MappingProxyType(
    {
        "interface-update": (_network, "netplan, networkd, NetworkManager, ifupdown or network-scripts"),
        "nethserver-firewall-base-update": (
            _firewall,
            "Shorewall, firewalld, nftables, netfilter-persistent, iptables or ufw",
        ),
        "nethserver-hosts-save": (_hosts, "dnsmasq, systemd-resolved or nscd"),
        "nethserver-dc-save": (_domain_controller, "Samba AD DC"),
        "nethserver-sssd-save": (_accounts, "sssd or winbind"),
    }
)
"""Events of NethServer that are answered elsewhere: how it is decided, and which services are looked for."""

UNITS = tuple(
    f"{name}.service"
    for name in (
        "shorewall", "shorewall6", "firewalld", "nftables", "netfilter-persistent", "iptables", "ip6tables", "ufw",
        "fail2ban", "hotsyncd", "systemd-networkd", "NetworkManager", "networking", "network", "dnsmasq",
        "systemd-resolved", "nscd", "samba-ad-dc", "samba", "sssd", "winbind",
    )
)  # fmt: skip
"""Every unit that a decision asks for."""

PROGRAMS = ("netplan", "net", "sss_cache", "sssctl", "ufw")
"""Every program that a decision asks for."""


def actions_at(event: str, facts: EventFacts) -> tuple[HostAction, ...]:
    """Given one of these events and a host, return what is to be done, in this order."""
    decide, _ = EVENTS[event]
    return tuple(decide(facts))


def nothing_to_do(event: str) -> str:
    """Given one of these events, return what is said where nothing on the host belongs to it."""
    return f"Nothing to do: {EVENTS[event][1]} is not in use here."
