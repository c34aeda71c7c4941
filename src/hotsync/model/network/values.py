"""The network as neutral values, and the words that configuration files and the kernel use for them."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from hotsync.errors import ConfigError
from hotsync.model.network.links import Link, Route

_OF_PROGRAMS = re.compile(
    r"docker\d+|docker_gwbridge|br-[0-9a-f]{12}|virbr\d+(-nic)?|lxcbr\d+|lxdbr\d+|podman\d+|cni\d+|cni-podman\d+"
    r"|veth[0-9a-f]{7,8}"
)
"""How container programs and hypervisors call what they make, to the letter: `br-lan` is an administrator's bridge."""


@dataclass(frozen=True, slots=True, order=True)
class Address:
    """An address of an interface. A gateway is one, too, with the prefix length of a single host."""

    interface: str
    address: str
    prefix: int

    def __str__(self) -> str:
        return f"{self.address}/{self.prefix}"

    @property
    def version(self) -> int:
        """Return 4 or 6."""
        return ipaddress.ip_address(self.address).version

    @property
    def is_link_local(self) -> bool:
        """Return whether it is one of IPv6 that is known on its own wire only; every wire may have the same."""
        return self.version == 6 and ipaddress.ip_address(self.address).is_link_local

    @property
    def scoped(self) -> str:
        """Return the address as a program needs it to reach it: a link-local one with its interface."""
        return f"{self.address}%{self.interface}" if self.is_link_local else self.address


def parse_address(interface: str, text: str, document: str = "the network") -> Address:
    """Given `1.2.3.4/24` or a bare address, return it; raise ConfigError if it is none."""
    try:
        parsed = ipaddress.ip_interface(text)
    except ValueError as error:
        raise ConfigError(document=document, faults=f"{text!r} is no address") from error
    return Address(interface, str(parsed.ip), parsed.network.prefixlen)


def is_on_link(gateway: Address, addresses: Iterable[Address]) -> bool:
    """Given a gateway, return whether it is in the network of one of these addresses, or needs none."""
    there = ipaddress.ip_address(gateway.address)
    return there.is_link_local or any(
        address.interface == gateway.interface and there in ipaddress.ip_interface(str(address)).network
        for address in addresses
        if address.version == gateway.version
    )


def is_name(text: str) -> bool:
    """Given what a file calls an interface, return whether that is one name, not a pattern or several of them."""
    return bool(text) and not set(text) & set("*?[]! \t")


def is_made_by_programs(name: str, configured: Collection[str] = ()) -> bool:
    """Given an interface, return whether a container program or hypervisor made it for itself, by its name.

    `configured` are those that the network's files make (`NetworkState.made`): none of them, whatever they are called.
    """
    return name not in configured and _OF_PROGRAMS.fullmatch(name) is not None


@dataclass(frozen=True, slots=True)
class Interface:
    """One interface as it is configured to be.

    `mac` is set where the configuration names it by that; `dhcp4`, `dhcp6` ask for addresses, `accept_ra` for those of
    routers (None: as the system does by itself); `gateways` are default routes without further words, `routes` all
    others; `master` is the bridge or bond that it is a port of; `link` says how it is made if it is no card; `start`:
    it comes up at boot; `role` is a firewall's word for it (green, red ...); `options` are further lines that are
    understood but have no meaning here: the same system's files get them back as they were.
    """

    name: str
    mac: str = ""
    addresses: tuple[Address, ...] = ()
    gateways: tuple[Address, ...] = ()
    dns: tuple[str, ...] = ()
    domains: tuple[str, ...] = ()
    dhcp4: bool = False
    dhcp6: bool = False
    options: tuple[tuple[str, str], ...] = ()
    routes: tuple[Route, ...] = ()
    mtu: int = 0
    accept_ra: bool | None = None
    master: str = ""
    link: Link | None = None
    start: bool = True
    role: str = ""


@dataclass(frozen=True, slots=True)
class NetworkState:
    """What a host's configuration files say about its interfaces, in the order of the files."""

    interfaces: tuple[Interface, ...] = ()

    @property
    def addresses(self) -> tuple[Address, ...]:
        """Return every fixed address of every interface."""
        return tuple(address for interface in self.interfaces for address in interface.addresses)

    @property
    def gateways(self) -> tuple[Address, ...]:
        """Return every default gateway, the most preferred one last: that of the smallest metric."""
        with_metric = [
            (route.metric or 0, Address(interface.name, route.gateway, 32 if route.version == 4 else 128))
            for interface in self.interfaces
            for route in interface.routes
            if route.is_default and route.gateway
        ]
        with_metric.sort(key=lambda found: -found[0])
        plain = (gateway for interface in self.interfaces for gateway in interface.gateways)
        return (*(gateway for _, gateway in with_metric), *plain)

    @property
    def uses_dhcp(self) -> tuple[str, ...]:
        """Return the interfaces that ask for their address."""
        return tuple(interface.name for interface in self.interfaces if interface.dhcp4 or interface.dhcp6)

    @property
    def made(self) -> frozenset[str]:
        """Return the interfaces that the configuration itself makes."""
        return frozenset(interface.name for interface in self.interfaces if interface.link is not None)

    def ports_of(self, name: str) -> tuple[str, ...]:
        """Given a bridge or bond, return its ports."""
        return tuple(interface.name for interface in self.interfaces if interface.master == name)
