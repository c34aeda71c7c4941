"""What netplan's files say: /etc/netplan/*.yaml, one put over the other in the order of their names."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from operator import itemgetter
from typing import Any

from hotsync.backends.network.netplan_links import link_of
from hotsync.backends.network.netplan_words import ID, NO, OPAQUE, SECTION, SECTIONS, TUNNEL, YES
from hotsync.backends.network.plain_yaml import Node, parse_yaml
from hotsync.errors import ConfigError
from hotsync.model.network.links import DEFAULT_ROUTES, Route, Vlan, network_of
from hotsync.model.network.values import Interface, NetworkState, parse_address


@dataclass(frozen=True, slots=True)
class Definition:
    """One interface as the files define it: its section and id there, its name on the system ("": by `mac` only)."""

    section: str
    id: str
    name: str
    mac: str
    said: Mapping[str, Node]
    match: Node | None
    where: str


def parse(texts: Mapping[str, str]) -> NetworkState:
    """Given the files (path -> text), return the state; raise ConfigError at the first line that is not understood."""
    found = definitions(texts)
    names = {each.id: each.name for each in found}
    masters: dict[str, str] = {}
    for each in found:
        if each.section in ("bonds", "bridges"):
            for port in _items(each.said.get("interfaces")):
                masters[_text(port)] = each.name
    return NetworkState(tuple(_interface(each, names, masters.get(each.id, "")) for each in found))


def definitions(texts: Mapping[str, str], *, all_understood: bool = True) -> list[Definition]:
    """Given the files, return every interface that they define, all files taken together.

    Not `all_understood`: what is not understood beside them is told elsewhere, and left out here.
    """
    merged = Node("/etc/netplan", pairs={})
    for path, text in texts.items():
        merged = _merged(merged, parse_yaml(f"/etc/{path}", text))
    top = _pairs(merged, ("network",)).get("network", Node("/etc/netplan", pairs={}))
    network = _pairs(top, ("version", "renderer", *SECTIONS) if all_understood else None)
    version = network.get("version")
    if version is not None and version.text != "2":
        raise version.refuse("this version of the format is not understood")
    renderer = {"renderer": network["renderer"]} if "renderer" in network else {}
    found: list[Definition] = []
    for section in SECTIONS:
        for key, node in _pairs(network.get(section)).items():
            found.append(_definition(section, key, node, renderer, ("name", "macaddress") if all_understood else None))
    return found


def _definition(
    section: str, key: str, node: Node, renderer: Mapping[str, Node], known: Iterable[str] | None
) -> Definition:
    said = {**renderer, **_pairs(node)}
    place = said.pop("match", None)
    match = _pairs(place, known)
    name = _text(match["name"]) if "name" in match else "" if match else key
    name = _text(said["set-name"]) if "set-name" in said else name
    mac = _text(match["macaddress"]).lower() if "macaddress" in match else ""
    return Definition(section, key, name, mac, said, place, node.where)


def _merged(below: Node, above: Node) -> Node:
    if below.pairs is not None and above.pairs is not None:
        both = {key: _merged(node, above.pairs[key]) for key, node in below.pairs.items() if key in above.pairs}
        return Node(above.where, pairs={**below.pairs, **above.pairs, **both})
    if below.items is not None and above.items is not None:
        return Node(above.where, items=(*below.items, *above.items))
    return above


def _interface(definition: Definition, names: Mapping[str, str], master: str) -> Interface:
    said = dict(definition.said)
    link, said = link_of(definition.section, said, names)
    if isinstance(link, Vlan) and not link.parent:
        raise ConfigError(document=definition.where, faults="its parent interface is known by no name")
    interface = Interface(definition.name, definition.mac, master=master, link=link)
    options: list[tuple[str, str]] = [(ID, _json(definition.id))] if definition.id != definition.name else []
    options += [(SECTION, _json(definition.section))] if definition.section == "wifis" else []
    known = OPAQUE | TUNNEL if definition.section == "tunnels" else OPAQUE
    for key, node in said.items():
        taken = _take(interface, key, node)
        if taken is not None:
            interface = taken
        elif key in known or key.startswith("parameters/"):
            options.append((key, _json(_plain(node))))
        elif key in ("addresses", "routes"):
            interface, further = (_with_addresses if key == "addresses" else _with_routes)(interface, node)
            options += further
        else:
            raise node.refuse(f"the setting {key!r} is not understood")
    return replace(interface, options=tuple(sorted(options, key=itemgetter(0))))


def _take(interface: Interface, key: str, node: Node) -> Interface | None:
    match key:
        case "dhcp4":
            return replace(interface, dhcp4=_yes(node))
        case "dhcp6":
            return replace(interface, dhcp6=_yes(node))
        case "accept-ra":
            return replace(interface, accept_ra=_yes(node))
        case "mtu":
            return replace(interface, mtu=_number(node))
        case "activation-mode" if node.text == "manual":
            return replace(interface, start=False)
        case "gateway4" | "gateway6":
            gateway = parse_address(interface.name, _text(node), node.where)
            return replace(interface, gateways=(*interface.gateways, gateway))
        case "nameservers":
            servers = _pairs(node, ("addresses", "search"))
            dns, domains = (tuple(map(_text, _items(servers.get(each)))) for each in ("addresses", "search"))
            return replace(interface, dns=(*interface.dns, *dns), domains=(*interface.domains, *domains))
        case _:
            return None


Options = list[tuple[str, str]]


def _with_addresses(interface: Interface, node: Node) -> tuple[Interface, Options]:
    options: Options = []
    for item in _items(node):
        words = _pairs(item) if item.pairs is not None else {_text(item): Node(item.where, pairs={})}
        for text, further in words.items():
            address = parse_address(interface.name, text, item.where)
            interface = replace(interface, addresses=(*interface.addresses, address))
            if _pairs(further, ("label", "lifetime")):
                options.append((f"addresses/{address}", _json(_plain(further))))
    return interface, options


def _with_routes(interface: Interface, node: Node) -> tuple[Interface, Options]:
    options: Options = []
    for item in _items(node):
        route = _route(item)
        if route is None:
            options.append(("routes", _json(_plain(item))))
        elif route.gateway and route == Route(route.destination, route.gateway) and route.destination in DEFAULT_ROUTES:
            gateway = parse_address(interface.name, route.gateway, item.where)
            interface = replace(interface, gateways=(*interface.gateways, gateway))
        else:
            interface = replace(interface, routes=(*interface.routes, route))
    return interface, options


def _route(item: Node) -> Route | None:
    """Return a route, None if it says more than a route here can hold."""
    known = ("to", "via", "metric", "from", "table", "on-link", "type", "scope", "mtu")
    said = _pairs(item, (*known, "congestion-window", "advertised-receive-window"))
    via = _text(said["via"]) if "via" in said else ""
    if via:
        parse_address("", via, said["via"].where)
    to = _text(said["to"]) if "to" in said else ""
    network = DEFAULT_ROUTES[":" in via] if to == "default" else network_of(to)
    if network is None:
        raise item.refuse("a route leads to no network")
    on_wire = not via and "scope" in said and said.pop("scope").text == "link"
    if not said.keys() <= set(known[:6]) or (not via and not on_wire):
        return None
    return Route(
        network,
        via,
        _number(said["metric"]) if "metric" in said else None,
        _text(said["from"]) if "from" in said else "",
        _text(said["table"]) if "table" in said else "",
        on_link="on-link" in said and _yes(said["on-link"]),
    )


def _pairs(node: Node | None, known: Iterable[str] | None = None) -> dict[str, Node]:
    if node is None or (node.text == "" and node.pairs is None):
        return {}
    if node.pairs is None:
        raise node.refuse("a mapping should stand here")
    for key, value in node.pairs.items():
        if known is not None and key not in tuple(known):
            raise value.refuse(f"the setting {key!r} is not understood")
    return dict(node.pairs)


def _items(node: Node | None) -> tuple[Node, ...]:
    if node is None:
        return ()
    if node.items is None:
        raise node.refuse("a list should stand here")
    return node.items


def _text(node: Node) -> str:
    if not node.text:
        raise node.refuse("a value should stand here")
    return node.text


def _number(node: Node) -> int:
    if not _text(node).isdecimal():
        raise node.refuse("a number should stand here")
    return int(_text(node))


def _yes(node: Node) -> bool:
    text = _text(node).lower()
    if text not in (*YES, *NO):
        raise node.refuse("yes or no should stand here")
    return text in YES


def _plain(node: Node) -> Any:
    if node.pairs is not None:
        return {key: _plain(value) for key, value in node.pairs.items()}
    return [_plain(item) for item in node.items] if node.items is not None else node.text


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
