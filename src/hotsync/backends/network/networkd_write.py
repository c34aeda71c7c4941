"""A network written as networkd's .network and .netdev files."""

from __future__ import annotations

from hotsync.backends.network.networkd_lines import BLOCKS, OPAQUE
from hotsync.backends.network.networkd_links import NETDEV, netdev_lines
from hotsync.backends.network.networkd_read import UNMANAGED
from hotsync.errors import ConfigError
from hotsync.model.network.crossing import says_nothing
from hotsync.model.network.links import Bond, Route, Vlan
from hotsync.model.network.values import Address, Interface, NetworkState

FOLDER = "systemd/network"
"""Below /etc."""

_HEAD = "# Written by HotSync."


def render(state: NetworkState) -> dict[str, str]:
    """Given a state, return the files (below /etc) that say it; `parse` gives the same state back.

    Raise ConfigError with the interface for what networkd has no words for.
    """
    texts: dict[str, str] = {}
    for number, interface in enumerate(state.interfaces):
        if interface.name == "lo" and says_nothing(interface):
            continue  # the kernel brings it up by itself
        path = f"{FOLDER}/10-hotsync-{number:03}-{_safe(interface.name)}"
        _check(interface)
        if interface.link is not None:
            mine = [option for option in interface.options if option[0].startswith(NETDEV) and option != UNMANAGED]
            lines = netdev_lines(interface.name, interface.link, mine)
            texts[f"{path}.netdev"] = "\n".join([_HEAD, *lines]) + "\n"
        if UNMANAGED not in interface.options:
            texts[f"{path}.network"] = _render(interface, _relations(interface, state))
    return texts


def _check(interface: Interface) -> None:
    for key, _ in interface.options:
        if not key.startswith(NETDEV) and key.partition(".")[0] not in OPAQUE:
            raise ConfigError(document=interface.name, faults=f"networkd has no word for {key!r}")
    if interface.role:
        raise ConfigError(document=interface.name, faults="networkd has no word for the role of an interface")


def _relations(interface: Interface, state: NetworkState) -> list[str]:
    """Return the lines that say which bridge, bond and VLANs an interface belongs to."""
    lines: list[str] = []
    links = {each.name: each.link for each in state.interfaces}
    if interface.master:
        link = links.get(interface.master)
        lines.append(f"{'Bond' if isinstance(link, Bond) else 'Bridge'}={interface.master}")
        if isinstance(link, Bond) and interface.name in link.primary.split()[:1]:
            lines.append("PrimarySlave=yes")
    vlans = [name for name, link in links.items() if isinstance(link, Vlan) and link.parent == interface.name]
    return lines + [f"VLAN={name}" for name in vlans if interface.name]


def _render(interface: Interface, relations: list[str]) -> str:
    lines = [_HEAD, "[Match]"]
    lines += [f"Name={interface.name}"] if interface.name else []
    lines += [f"MACAddress={interface.mac}"] if interface.mac else []
    lines += _options(interface, "Match")
    link = [f"MTUBytes={interface.mtu}"] if interface.mtu else []
    link += [] if interface.start else ["ActivationPolicy=manual"]
    link += _options(interface, "Link")
    lines += ["", "[Link]", *link] if link else []
    lines += ["", "[Network]", *_network(interface), *relations, *_options(interface, "Network")]
    for route in interface.routes:
        lines += ["", "[Route]", *_route(route)]
    for section in (section for section in OPAQUE if section not in ("Match", "Link", "Network")):
        lines += _section(interface, section)
    return "\n".join(lines) + "\n"


def _network(interface: Interface) -> list[str]:
    lines: list[str] = []
    if interface.dhcp4 or interface.dhcp6:
        both = interface.dhcp4 and interface.dhcp6
        lines.append(f"DHCP={'yes' if both else 'ipv4' if interface.dhcp4 else 'ipv6'}")
    if interface.accept_ra is not None:
        lines.append(f"IPv6AcceptRA={'yes' if interface.accept_ra else 'no'}")
    lines += [f"Address={address}" for address in interface.addresses if not _in_block(interface, address)]
    lines += [f"Gateway={gateway.address}" for gateway in interface.gateways]
    lines += [f"DNS={server}" for server in interface.dns]
    return lines + ([f"Domains={' '.join(interface.domains)}"] if interface.domains else [])


def _route(route: Route) -> list[str]:
    lines = [f"Destination={route.destination}"]
    lines += [f"Gateway={route.gateway}"] if route.gateway else []
    lines += [f"Metric={route.metric}"] if route.metric is not None else []
    lines += [f"PreferredSource={route.source}"] if route.source else []
    lines += [f"Table={route.table}"] if route.table else []
    return lines + (["GatewayOnLink=yes"] if route.on_link else [])


def _in_block(interface: Interface, address: Address) -> bool:
    """Return whether an address stands in a block that is kept whole."""
    values = [value for name, value in interface.options if name == "Address.Address"]
    return any(value in (str(address), address.address) for value in values)


def _options(interface: Interface, section: str) -> list[str]:
    prefix = f"{section}."
    return [f"{key.removeprefix(prefix)}={value}" for key, value in interface.options if key.startswith(prefix)]


def _section(interface: Interface, section: str) -> list[str]:
    """Return a section with its further lines; of those that come several times a bare option begins another one."""
    lines: list[str] = []
    for key, value in interface.options:
        if not key.startswith(f"{section}."):
            continue
        name = key.partition(".")[2]
        if not lines or (section in BLOCKS and not name):
            lines += ["", f"[{section}]"]
        if name:
            lines.append(f"{name}={value}")
    return lines


def _safe(name: str) -> str:
    return "".join(sign if sign.isalnum() or sign in "._-" else "_" for sign in name) or "any"
