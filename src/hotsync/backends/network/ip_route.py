"""Static routes as `ip route add ...` says them: how ifupdown's files have them, for want of a word of its own."""

from __future__ import annotations

import ipaddress

from hotsync.model.network.links import Route, network_of

_PROGRAMS = ("ip", "/sbin/ip", "/bin/ip", "/usr/sbin/ip", "/usr/bin/ip")


def parse_route_command(line: str, interface: str) -> Route | None:
    """Given a command of an interface, return the route that it adds and nothing else, None for any other command."""
    words = line.split()
    if not words or words.pop(0) not in _PROGRAMS:
        return None
    version = words.pop(0)[1:] if words and words[0] in ("-4", "-6") else ""
    if len(words) < 3 or words[0] not in ("route", "r", "ro") or words[1] not in ("add", "a", "replace"):
        return None
    said = _said(words[3:], interface)
    if said is None:
        return None
    gateway, source = said.get("via", ""), said.get("src", "")
    destination = words[2]
    if destination == "default":
        six = version == "6" or ":" in gateway
        destination = "::/0" if six else "0.0.0.0/0"
    network, metric = network_of(destination), said.get("metric")
    if network is None or not all(_is_address(each) for each in (gateway, source) if each):
        return None
    if metric is not None and not metric.isdecimal():
        return None
    return Route(
        network, gateway, int(metric) if metric else None, source, said.get("table", ""), on_link="onlink" in said
    )


def route_command(route: Route) -> str:
    """Given a route, return the command of its interface that adds it; `parse_route_command` gives the same back."""
    words = ["ip", *(["-6"] if route.version == 6 else []), "route", "add", route.destination]
    words += ["via", route.gateway] if route.gateway else []
    words += ["dev", "$IFACE"]
    words += ["metric", str(route.metric)] if route.metric is not None else []
    words += ["src", route.source] if route.source else []
    words += ["table", route.table] if route.table else []
    words += ["onlink"] if route.on_link else []
    return " ".join(words)


def _said(words: list[str], interface: str) -> dict[str, str] | None:
    """Return the further words of a route by their keys, None if one of them is not known or of another interface."""
    said: dict[str, str] = {}
    rest = iter(words)
    for word in rest:
        if word == "onlink":
            said[word] = ""
        elif word in ("via", "dev", "metric", "src", "table") and word not in said:
            said[word] = next(rest, "")
            if not said[word]:
                return None
        else:
            return None
    if said.get("dev", interface) not in (interface, "$IFACE", '"$IFACE"', "${IFACE}"):
        return None
    return said if "via" in said or "dev" in said else None


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
