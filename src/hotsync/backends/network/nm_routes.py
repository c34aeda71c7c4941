"""Routes in NetworkManager's profiles: `route1=NETWORK,GATEWAY,METRIC` with `route1_options=...`."""

from __future__ import annotations

from hotsync.backends.network.keyfile import Setting
from hotsync.model.network.links import Route, network_of
from hotsync.model.network.values import parse_address

_NOWHERE = ("", "0.0.0.0", "::")  # noqa: S104 -- "no gateway", nothing is bound to it


def parse_route(setting: Setting, options: Setting | None) -> Route | None:
    """Given a route and its options, return it, None if they say more than a route here can hold."""
    words = [word.strip() for word in setting.value.split(",")]
    network = network_of(words[0])
    if network is None or len(words) > 3 or not all(word.isdecimal() for word in words[2:]):
        raise setting.refuse("is no route")
    gateway = words[1] if len(words) > 1 and words[1] not in _NOWHERE else ""
    if gateway:
        parse_address("", gateway, setting.where)
    said: dict[str, str] = {}
    for word in options.words if options else ():
        key, _, said[key] = word.partition("=")
    if not said.keys() <= {"onlink", "src", "table"} or said.get("onlink", "true") not in ("true", "false"):
        return None
    metric = int(words[2]) if len(words) > 2 else None
    on_link = said.get("onlink") == "true"
    return Route(network, gateway, metric, said.get("src", ""), said.get("table", ""), on_link=on_link)


def route_lines(number: int, route: Route) -> list[str]:
    """Given a route, return its lines; `parse_route` gives the same back."""
    words = [route.destination]
    if route.gateway or route.metric is not None:
        words.append(route.gateway or _NOWHERE[1 if route.version == 4 else 2])
    words += [str(route.metric)] if route.metric is not None else []
    options = ["onlink=true"] if route.on_link else []
    options += [f"src={route.source}"] if route.source else []
    options += [f"table={route.table}"] if route.table else []
    lines = [f"route{number}={','.join(words)}"]
    return lines + ([f"route{number}_options={','.join(options)}"] if options else [])
