"""A network written as netplan's file."""

from __future__ import annotations

import json
from collections.abc import Mapping

from hotsync.backends.network.netplan_links import parameters
from hotsync.backends.network.netplan_words import ID, OPAQUE, SECTION, SECTIONS, TUNNEL
from hotsync.errors import ConfigError
from hotsync.model.network.crossing import says_nothing
from hotsync.model.network.links import DEFAULT_ROUTES, Bond, Bridge, Route, Virtual, Vlan
from hotsync.model.network.values import Interface, NetworkState

FOLDER = "netplan"
"""Below /etc."""

FILE = f"{FOLDER}/10-hotsync.yaml"


def render(state: NetworkState) -> dict[str, str]:
    """Given a state, return the file (below /etc) that says it; `parse` gives the same state back.

    Raise ConfigError with the interface for what netplan has no words for.
    """
    interfaces = [each for each in state.interfaces if each.name != "lo" or not says_nothing(each)]
    ids = {each.name: _id(each) for each in interfaces if each.name}
    network: dict[str, dict[str, dict[str, object]]] = {section: {} for section in SECTIONS}
    for interface in interfaces:
        ports = [_id(each) for each in interfaces if each.master == interface.name]
        network[_section(interface)][_id(interface)] = _settings(interface, ports, ids)
    lines = ["# Written by HotSync.", "network:", "  version: 2"]
    for section, defined in network.items():
        lines += [f"  {section}:"] if defined else []
        for key, settings in defined.items():
            lines.append(f"    {_json(key)}:{'' if settings else ' {}'}")
            lines += [f"      {word}: {_json(value)}" for word, value in settings.items()]
    return {FILE: "\n".join(lines) + "\n"}


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)  # which is YAML, too


def _id(interface: Interface) -> str:
    own = interface.name or f"id-{interface.mac.replace(':', '')}"
    return str(json.loads(dict(interface.options).get(ID, _json(own))))


def _section(interface: Interface) -> str:
    match interface.link:
        case None:
            return str(json.loads(dict(interface.options).get(SECTION, '"ethernets"')))
        case Virtual():
            return "tunnels"
        case _:
            return f"{type(interface.link).__name__.lower()}s"


def _settings(interface: Interface, ports: list[str], ids: Mapping[str, str]) -> dict[str, object]:
    if interface.role or (isinstance(interface.link, Virtual) and "mode" not in dict(interface.options)):
        raise ConfigError(document=interface.name, faults="netplan has no words for such an interface")
    found: dict[str, object] = _match(interface)
    match interface.link:
        case Bond() | Bridge():
            found |= {"interfaces": ports, "parameters": parameters(interface.name, interface.link, ids)}
        case Vlan():
            found |= {"id": interface.link.number, "link": ids.get(interface.link.parent, interface.link.parent)}
        case _:
            pass
    said: dict[str, object] = {
        "mtu": interface.mtu,
        "dhcp4": interface.dhcp4,
        "dhcp6": interface.dhcp6,
        "accept-ra": interface.accept_ra,
        "addresses": [_address(str(address), interface) for address in interface.addresses],
        "nameservers": _servers(interface),
        "routes": _routes(interface),
        "activation-mode": "" if interface.start else "manual",
    }
    found |= {key: value for key, value in said.items() if value or (key == "accept-ra" and value is False)}
    _add_options(interface, found)
    return found


def _match(interface: Interface) -> dict[str, object]:
    """Return how the card is found: by its hardware address, or by its name where that is not the id."""
    options = dict(interface.options)
    if interface.mac:
        named = {"name": interface.name} if interface.name and "set-name" not in options else {}
        return {"match": {**named, "macaddress": interface.mac}}
    if interface.link is None and interface.name != _id(interface):
        return {"match": {"name": interface.name}}
    return {}


def _address(text: str, interface: Interface) -> object:
    further = dict(interface.options).get(f"addresses/{text}")
    return {text: json.loads(further)} if further else text


def _servers(interface: Interface) -> dict[str, list[str]]:
    for server in interface.dns:
        if set(server) & set("#[]%"):
            raise ConfigError(document=interface.name, faults=f"netplan has no word for the name server {server!r}")
    both = {"addresses": list(interface.dns), "search": list(interface.domains)}
    return {key: values for key, values in both.items() if values}


def _routes(interface: Interface) -> list[dict[str, object]]:
    routes = [Route(DEFAULT_ROUTES[gateway.version == 6], gateway.address) for gateway in interface.gateways]
    return [_route(route) for route in (*routes, *interface.routes)]


def _route(route: Route) -> dict[str, object]:
    said: dict[str, object] = {"to": "default" if route.destination in DEFAULT_ROUTES else route.destination}
    said |= {"via": route.gateway} if route.gateway else {"scope": "link"}
    said |= {"metric": route.metric} if route.metric is not None else {}
    said |= {"from": route.source} if route.source else {}
    said |= {"table": int(route.table) if route.table.isdecimal() else route.table} if route.table else {}
    return said | ({"on-link": True} if route.on_link else {})


def _add_options(interface: Interface, found: dict[str, object]) -> None:
    known = OPAQUE | TUNNEL if isinstance(interface.link, Virtual) else OPAQUE
    for key, value in interface.options:
        if key in (ID, SECTION) or key.startswith("addresses/"):
            continue
        if key == "routes":
            more = found.setdefault("routes", [])
            assert isinstance(more, list)
            more.append(json.loads(value))  # pyright: ignore[reportUnknownMemberType] -- a list of what json read
        elif key.startswith("parameters/"):
            settings = found["parameters"]
            assert isinstance(settings, dict)
            settings[key.removeprefix("parameters/")] = json.loads(value)
        elif key in known:
            found[key] = json.loads(value)
        else:
            raise ConfigError(document=interface.name, faults=f"netplan has no word for {key!r}")
