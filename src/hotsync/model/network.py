"""The network as neutral values, and the words that configuration files and the kernel use for them."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass

from hotsync.errors import ConfigError


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


@dataclass(frozen=True, slots=True)
class Interface:
    """One interface as it is configured to be.

    `mac` is set where the configuration names it by that; `dhcp4`, `dhcp6` ask for addresses; `options` are further
    lines that are understood but have no meaning here: they are written back as they were.
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
        """Return every default gateway."""
        return tuple(gateway for interface in self.interfaces for gateway in interface.gateways)

    @property
    def uses_dhcp(self) -> tuple[str, ...]:
        """Return the interfaces that ask for their address."""
        return tuple(interface.name for interface in self.interfaces if interface.dhcp4 or interface.dhcp6)
