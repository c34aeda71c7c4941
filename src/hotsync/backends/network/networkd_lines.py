"""networkd's files as lines in sections: which are known, which have a meaning here, and where each one stands."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from hotsync.errors import ConfigError

OPAQUE: Mapping[str, set[str] | None] = {
    "Match": {"Type", "Kind", "Driver", "Path", "PermanentMACAddress", "Virtualization"},
    "Link": {
        "RequiredForOnline", "ARP", "Multicast", "Unmanaged", "MACAddress", "ActivationPolicy", "AllMulticast",
        "Promiscuous", "RequiredFamilyForOnline", "Group",
    },
    "Network": {
        "Description", "LinkLocalAddressing", "LLMNR", "MulticastDNS", "LLDP", "EmitLLDP", "NTP",
        "IPForward", "IPv6PrivacyExtensions", "IPMasquerade", "Bridge", "Bond", "VLAN", "DNSSEC", "DNSOverTLS",
        "DNSDefaultRoute", "ConfigureWithoutCarrier", "KeepConfiguration", "IPv6DuplicateAddressDetection",
        "DefaultRouteOnDevice", "MACVLAN", "BindCarrier", "IgnoreCarrierLoss", "ActiveSlave", "IPv6SendRA",
        "IPv6LinkLocalAddressGenerationMode", "IPv6ProxyNDP", "ProxyARP", "VRF", "VXLAN", "Tunnel", "DHCPServer",
        "DHCPPrefixDelegation", "DNSSECNegativeTrustAnchors", "IPv4AcceptLocal", "IPv4LLRoute", "IPv4RouteLocalnet",
        "IPv6HopLimit", "IPv6MTUBytes", "IPv6ProxyNDPAddress", "IPv6StableSecretAddress", "IPVLAN", "MACVTAP", "Xfrm",
    },
    "Address": {
        "Label", "Broadcast", "Peer", "Scope", "PreferredLifetime", "RouteMetric", "AddPrefixRoute", "AutoJoin",
        "DuplicateAddressDetection", "HomeAddress", "ManageTemporaryAddress",
    },
    "Route": {
        "Scope", "Source", "Type", "InitialCongestionWindow", "InitialAdvertisedReceiveWindow", "MTUBytes", "Protocol",
        "FastOpenNoCookie", "IPv6Preference", "MultiPathRoute", "QuickAck", "TCPAdvertisedMaximumSegmentSize",
        "TTLPropagate",
    },
    "DHCPv4": None, "DHCPv6": None, "DHCP": None, "IPv6AcceptRA": None, "Bridge": None, "IPv6SendRA": None,
    "RoutingPolicyRule": None, "DHCPServer": None, "BridgeVLAN": None, "DHCPPrefixDelegation": None, "Neighbor": None,
    "DHCPServerStaticLease": None, "IPv6Prefix": None, "IPv6RoutePrefix": None,
}  # fmt: skip
"""Sections and keys of .network files that are understood and have no meaning here; None: every key of the section."""

PLAIN: Mapping[str, frozenset[str]] = defaultdict(
    frozenset,
    {
        "Match": frozenset(("Name", "MACAddress")),
        "Link": frozenset(("MTUBytes",)),
        "Network": frozenset(("Address", "Gateway", "DNS", "Domains", "DHCP", "IPv6AcceptRA", "PrimarySlave")),
        "Address": frozenset(("Address",)),
        "Route": frozenset(("Gateway", "Destination", "Metric", "PreferredSource", "Table", "GatewayOnLink")),
    },
)
"""Keys of .network files that have a meaning here."""

BLOCKS = frozenset((
    "Address", "Route", "RoutingPolicyRule", "BridgeVLAN", "WireGuardPeer", "Neighbor", "DHCPServerStaticLease",
    "IPv6Prefix", "IPv6RoutePrefix",
))  # fmt: skip
"""Sections that come several times, each for another thing."""

NETDEV_OPAQUE: Mapping[str, set[str] | None] = {
    "NetDev": {"Description", "MACAddress", "MTUBytes"},
    "VLAN": {"Protocol", "GVRP", "MVRP", "LooseBinding", "ReorderHeader"},
    "Bridge": {"MulticastQuerier", "MulticastSnooping", "GroupForwardMask", "DefaultPVID", "VLANProtocol"},
    "Bond": set(),
    "WireGuard": None, "WireGuardPeer": None, "VXLAN": None, "Tunnel": None, "Peer": None, "Tun": None, "Tap": None,
    "MACVLAN": None, "MACVTAP": None, "IPVLAN": None, "VRF": None, "GENEVE": None, "FooOverUDP": None, "L2TP": None,
}  # fmt: skip
"""Sections and keys of .netdev files that are understood and have no meaning here."""

_BOOLEANS = {
    **dict.fromkeys(("yes", "true", "on", "1", "y", "t"), True),
    **dict.fromkeys(("no", "false", "off", "0", "n", "f"), False),
}


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a file: a key with its value in its section, or (without a key) the section's beginning."""

    section: str
    key: str
    value: str
    where: str

    def refuse(self) -> ConfigError:
        """Return the error that says that this line is not understood."""
        said = f"[{self.section}] {self.key}=" if self.key else f"[{self.section}]"
        return ConfigError(document=self.where, faults=f"{said} is not understood")

    @property
    def boolean(self) -> bool:
        """Return the value as a boolean; raise ConfigError if it is none."""
        found = _BOOLEANS.get(self.value.lower())
        if found is None:
            raise ConfigError(document=self.where, faults=f"{self.key}={self.value} is neither yes nor no")
        return found

    @property
    def number(self) -> int:
        """Return the value as a number; raise ConfigError if it is none."""
        if not self.value.isdecimal():
            raise ConfigError(document=self.where, faults=f"{self.key}={self.value} is no number")
        return int(self.value)


def lines_of(path: str, text: str) -> Iterator[Line]:
    """Given a file, return its lines; raise ConfigError at one that is neither section, setting nor comment."""
    section = ""
    for number, line in _joined(text):
        where = f"/etc/{path} line {number}"
        if line.startswith("[") and line.endswith("]"):
            section = line[1:-1]
            yield Line(section, "", "", where)
        elif "=" in line and section:
            key, _, value = line.partition("=")
            yield Line(section, key.strip(), value.strip(), where)
        else:
            raise ConfigError(document=where, faults=f"{line!r} is not understood")


def _joined(text: str) -> Iterator[tuple[int, str]]:
    """Return each line with its number, comments and empty ones left out, continued ones put together."""
    pending, first = "", 0
    for number, raw in enumerate(text.splitlines(), start=1):
        line = raw.strip()
        if not pending and (not line or line[0] in "#;"):
            continue
        first = first if pending else number
        if line.endswith("\\"):
            pending += line[:-1] + " "
        elif line[:1] not in ("#", ";"):
            yield first, pending + line
            pending = ""
    if pending:
        yield first, pending.strip()


def blocks_of(lines: list[Line]) -> Iterator[list[Line]]:
    """Given the lines of a file, return them section by section."""
    block: list[Line] = []
    for line in lines:
        if not line.key and block:
            yield block
            block = []
        block.append(line)
    if block:
        yield block


def check(line: Line, known: Mapping[str, set[str] | None], plain: frozenset[str]) -> None:
    """Given a line, raise ConfigError if it is not known, or if it takes back what was said before it."""
    keys = known.get(line.section, set())
    if line.section not in known or (line.key and keys is not None and line.key not in keys | plain):
        raise line.refuse()
    if line.key and not line.value:
        raise ConfigError(document=line.where, faults=f"an empty {line.key}= takes back what stands elsewhere")
