"""Networks that every system can say: hypothesis draws them, each back end's files must give them back."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import strategies as st

from hotsync.model.network.links import BOND_MODES, Bond, Bridge, Link, Route, Vlan
from hotsync.model.network.values import Address, Interface, NetworkState

FOURS = st.ip_addresses(v=4).map(str).filter(lambda text: not text.startswith("0."))
SIXES = st.ip_addresses(v=6, network="2001:db8::/32").map(str)
NETWORKS = st.sampled_from(["10.9.0.0/16", "192.0.2.64/26", "2001:db8:5::/48"])
DOMAINS = st.lists(st.sampled_from(["example.org", "lab.example"]), max_size=2, unique=True).map(tuple)
BOND_SETTINGS = {"arp_ip_target": "10.0.0.1,10.0.0.2", "lacp_rate": "fast", "miimon": "100", "updelay": "200"}
BRIDGE_SETTINGS = {"ageing_time": "300", "forward_delay": "4", "hello_time": "2", "max_age": "12", "priority": "4096"}


def _subset(settings: dict[str, str]) -> st.SearchStrategy[tuple[tuple[str, str], ...]]:
    return st.sets(st.sampled_from(sorted(settings))).map(
        lambda names: tuple((name, settings[name]) for name in sorted(names))
    )


@st.composite
def _route(draw: st.DrawFn) -> Route:
    destination = draw(NETWORKS)
    gateway = draw(SIXES if ":" in destination else FOURS)
    metric = draw(st.none() | st.integers(1, 9999))
    return Route(destination, gateway, metric, table=draw(st.sampled_from(["", "100"])), on_link=draw(st.booleans()))


@st.composite
def _interface(draw: st.DrawFn, name: str, link: Link | None) -> Interface:
    fours = draw(st.lists(st.tuples(FOURS, st.integers(8, 30)), max_size=2, unique=True))
    sixes = draw(st.lists(st.tuples(SIXES, st.integers(16, 64)), max_size=2, unique=True))
    gateways = draw(st.lists(FOURS, max_size=1)) if fours else []
    routes = draw(st.lists(_route(), max_size=2, unique_by=lambda route: route.destination))
    return Interface(
        name,
        addresses=tuple(Address(name, text, prefix) for text, prefix in (*fours, *sixes)),
        gateways=tuple(Address(name, text, 32) for text in gateways),
        dns=tuple(draw(st.lists(FOURS, max_size=2, unique=True))),
        domains=draw(DOMAINS),
        dhcp4=not fours and draw(st.booleans()),
        dhcp6=not sixes and draw(st.booleans()),
        routes=tuple(sorted(routes, key=lambda route: route.version)),
        mtu=draw(st.sampled_from([0, 1400, 9000])),
        accept_ra=draw(st.sampled_from([None, True, False])),
        link=link,
        start=draw(st.booleans()),
    )


@st.composite
def network_states(draw: st.DrawFn) -> NetworkState:
    """Return a network of cards, and perhaps of a bond, a bridge and a VLAN made of them."""
    cards = draw(st.lists(st.sampled_from(["eth0", "eth1", "ens3", "enp1s0"]), unique=True, max_size=4))
    found = {card: draw(_interface(card, None)) for card in cards}
    free = list(cards)
    with_bond, with_vlan, with_bridge = draw(st.tuples(st.booleans(), st.booleans(), st.booleans()))
    if len(free) >= 2 and with_bond:
        ports = [free.pop(), free.pop()]
        mode = draw(st.sampled_from(BOND_MODES))
        primary = draw(st.sampled_from(ports)) if mode == "active-backup" and draw(st.booleans()) else ""
        found["bond0"] = draw(_interface("bond0", Bond(mode, primary, draw(_subset(BOND_SETTINGS)))))
        found |= {port: Interface(port, mtu=found[port].mtu, master="bond0") for port in ports}
        free.append("bond0")
    if free and with_vlan:
        parent = draw(st.sampled_from(free))
        number = draw(st.integers(1, 4094))
        vlan = f"{parent}.{number}"
        found[vlan] = draw(_interface(vlan, Vlan(parent, number)))
        free = [name for name in (*free, vlan) if name != parent]
    if free and with_bridge:
        port = draw(st.sampled_from(free))
        found["br0"] = draw(_interface("br0", Bridge(draw(st.booleans()), draw(_subset(BRIDGE_SETTINGS)))))
        found[port] = replace(Interface(port, mtu=found[port].mtu, link=found[port].link), master="br0")
    return NetworkState(tuple(found.values()))
