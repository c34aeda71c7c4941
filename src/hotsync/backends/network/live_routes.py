"""Static routes and sizes of packets on the running interfaces: set by `ip`, and which of a network's are not there."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Collection, Mapping
from typing import Any

from hotsync.model.network.links import DEFAULT_ROUTES, Route, network_of
from hotsync.model.network.values import Interface, NetworkState
from hotsync.system import command


def set_route(interface: str, route: Route, source: str = "") -> None:
    """Give an interface a route, in the place of another one that leads to the same network with the same metric.

    What is sent there has the route's own source, or else `source`. Raise CommandFailed.
    """
    words = [*_words(route), "dev", interface, "proto", "static"]  # as networkd sets it, which finds its own then
    words += ["metric", str(route.metric)] if route.metric is not None else []
    words += ["src", route.source or source] if route.source or source else []
    words += ["table", route.table] if route.table else []
    words += ["onlink"] if route.on_link else []
    command.run(["ip", f"-{route.version}", "route", "replace", *words])


def shown(interface: str, route: Route) -> str:
    """Return a route in words for people."""
    return " ".join([*_words(route), "dev", interface, *(["table", route.table] if route.table else [])])


def _words(route: Route) -> list[str]:
    destination = "default" if route.destination in DEFAULT_ROUTES else route.destination
    return [destination, *(["via", route.gateway] if route.gateway else [])]


def missing_routes(state: NetworkState, here: Collection[str]) -> tuple[tuple[str, Route], ...]:
    """Given a network, return each static route of the interfaces here which the running system does not have.

    A metric is not compared: network programs have one of their own where a file says none.
    """
    wanted = [(each.name, route) for each in state.interfaces if each.name in here for route in each.routes]
    tables = {(route.version, route.table or "main") for _, route in wanted}
    there = {table: _read(*table) for table in tables}
    return tuple(
        (name, route)
        for name, route in wanted
        if (network_of(route.destination), name, _address(route.gateway))
        not in there[route.version, route.table or "main"]
    )


def _read(version: int, table: str) -> set[tuple[str | None, str, str]]:
    """Return the routes of a table: where to, on which interface, through whom ("": on the wire)."""
    # the kernel has no table without a route
    done = command.run(["ip", "-j", f"-{version}", "route", "show", "table", table], ok=range(256))
    routes: list[dict[str, Any]] = json.loads(done.text or "[]") if done.returncode == 0 else []
    found: set[tuple[str | None, str, str]] = set()
    for route in routes:
        to = DEFAULT_ROUTES[version == 6] if route["dst"] == "default" else network_of(route["dst"])
        ways: list[dict[str, Any]] = route.get("nexthops", [route])
        found |= {(to, str(way.get("dev", "")), _address(str(way.get("gateway", "")))) for way in ways}
    return found


def _address(text: str) -> str:
    return str(ipaddress.ip_address(text)) if text else ""


def read_mtus() -> dict[str, int]:
    """Return the size of the largest packet of every interface of this host, those that others stand on first."""
    links: list[dict[str, Any]] = json.loads(command.run(["ip", "-j", "link", "show"]).text)
    return {str(link["ifname"]): int(link["mtu"]) for link in links}


def set_mtu(interface: str, mtu: int) -> None:
    """Set the size of the largest packet of an interface; raise CommandFailed where its card cannot do it."""
    command.run(["ip", "link", "set", "dev", interface, "mtu", str(mtu)])


def other_mtus(state: NetworkState, here: Mapping[str, int]) -> tuple[Interface, ...]:
    """Given a network and `read_mtus`, return the interfaces with another MTU than they should, in the order to set."""
    wrong = [each for each in state.interfaces if each.mtu and here.get(each.name, each.mtu) != each.mtu]
    # none is larger than that of what it stands on, which was there before it
    place = {name: number for number, name in enumerate(here)}
    return tuple(sorted(wrong, key=lambda each: (-each.mtu, place[each.name])))
