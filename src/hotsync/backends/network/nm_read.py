"""What NetworkManager's profiles say."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from hotsync.backends.network.keyfile import Setting, settings_of
from hotsync.backends.network.nm_routes import parse_route
from hotsync.backends.network.nm_words import BRIDGE_WORDS, DEFAULTS, PARTS, SECTIONS, TYPES, VIRTUAL, own_uuid
from hotsync.errors import ConfigError
from hotsync.model.network.links import (
    DEFAULT_ROUTES,
    Bond,
    Bridge,
    Link,
    Route,
    Virtual,
    Vlan,
    bond_mode,
    bond_setting,
)
from hotsync.model.network.values import Address, Interface, NetworkState, parse_address


@dataclass(slots=True)
class _Profile:
    path: str
    said: dict[tuple[str, str], Setting] = field(default_factory=dict[tuple[str, str], Setting])

    def get(self, section: str, key: str) -> Setting | None:
        """Return a setting, None if it is not said."""
        return self.said.get((section, key))

    def value(self, section: str, key: str) -> str:
        """Return what a setting says, "" if it is not said; it counts as read."""
        found = self.said.pop((section, key), None)
        return found.value if found else ""

    def take(self, section: str, key: str) -> Setting | None:
        """Return a setting, None if it is not said; it counts as read."""
        return self.said.pop((section, key), None)


def parse(texts: Mapping[str, str]) -> NetworkState:
    """Given the profiles (path -> text), return the state; raise ConfigError at the first odd line."""
    profiles = [_profile(path, text) for path, text in texts.items()]
    names: dict[str, str] = {}
    for profile in profiles:
        uuid, name = profile.get("connection", "uuid"), profile.get("connection", "interface-name")
        if uuid and name:
            names[uuid.value] = name.value
    return NetworkState(tuple(_interface(profile, names) for profile in profiles))


def _profile(path: str, text: str) -> _Profile:
    profile = _Profile(path)
    for setting in settings_of(path, text):
        section = SECTIONS.get(setting.section, setting.section)
        if section not in PARTS and not section.startswith("wireguard-peer."):
            raise ConfigError(document=setting.where, faults=f"[{setting.section}] is not understood")
        if DEFAULTS.get((section, setting.key)) != setting.value:
            profile.said[(section, setting.key)] = replace(setting, section=section)
    return profile


def _interface(profile: _Profile, names: Mapping[str, str]) -> Interface:
    kind, said_type = TYPES.get(profile.value("connection", "type"), ""), f"/etc/{profile.path}"
    if not kind:
        raise ConfigError(document=said_type, faults="the type of this connection is not understood")
    name, mac = profile.value("connection", "interface-name"), profile.value("ethernet", "mac-address").lower()
    link = _link(profile, kind, names)
    if isinstance(link, Vlan) and not name:
        name = f"{link.parent}.{link.number}"
    name = name or ("" if mac else "*")
    start, mtu = profile.take("connection", "autoconnect"), profile.take("ethernet", "mtu")
    interface = Interface(
        name,
        mac,
        master=_master(profile, names),
        link=link,
        start=start is None or start.boolean,
        mtu=mtu.number if mtu else 0,
    )
    interface = _with_six(_with_four(interface, profile), profile)
    for section, version in (("ipv4", 4), ("ipv6", 6)):
        interface = _with_addresses(interface, profile, section, version)
    kept = [] if kind in ("ethernet", "vlan", "bond", "bridge", *VIRTUAL) else [("[connection] type", kind)]
    for own in (("id", name), ("uuid", own_uuid(name))):
        found = profile.get("connection", own[0])
        if found and found.value == own[1]:
            profile.take("connection", own[0])
    kept += [(f"[{section}] {key}", setting.value) for (section, key), setting in profile.said.items()]
    return replace(interface, options=tuple(kept))


def _master(profile: _Profile, names: Mapping[str, str]) -> str:
    kind = profile.take("connection", "slave-type") or profile.take("connection", "port-type")
    if kind is not None and kind.value not in ("bond", "bridge"):
        raise kind.refuse()
    master = profile.value("connection", "master") or profile.value("connection", "controller")
    return names.get(master, master)


def _link(profile: _Profile, kind: str, names: Mapping[str, str]) -> Link | None:
    match kind:
        case "vlan":
            number, parent = profile.take("vlan", "id"), profile.value("vlan", "parent")
            if number is None:
                raise ConfigError(document=f"/etc/{profile.path}", faults="it has no id in [vlan]")
            return Vlan(names.get(parent, parent), number.number)
        case "bond":
            return _bond(profile)
        case "bridge":
            stp = profile.take("bridge", "stp")
            settings: list[tuple[str, str]] = []
            for setting, key in BRIDGE_WORDS.items():
                if (found := profile.take("bridge", key)) is not None:
                    flag = setting == "vlan_filtering"
                    settings.append((setting, ("yes" if found.boolean else "no") if flag else str(found.number)))
            return Bridge(stp is None or stp.boolean, tuple(settings))
        case _:
            return Virtual(kind) if kind in VIRTUAL else None


def _bond(profile: _Profile) -> Bond:
    mode = profile.take("bond", "mode")
    name = bond_mode(mode.value) if mode else Bond().mode
    if name is None:
        raise ConfigError(document=mode.where if mode else "", faults="the mode of a bond is not understood")
    primary = profile.value("bond", "primary")
    rest = sorted(key for section, key in profile.said if section == "bond")
    return Bond(name, primary, tuple((key, bond_setting(key, profile.value("bond", key))) for key in rest))


def _with_four(interface: Interface, profile: _Profile) -> Interface:
    method = profile.get("ipv4", "method")
    match method.value if method else "auto":
        case "auto":
            interface = replace(interface, dhcp4=not interface.master)
        case "manual" | "disabled":
            pass
        case _:
            return interface
    profile.take("ipv4", "method")
    return interface


def _with_six(interface: Interface, profile: _Profile) -> Interface:
    method = profile.get("ipv6", "method")
    match method.value if method else "auto":
        case "auto":
            interface = replace(interface, accept_ra=None if interface.master else True)
        case "dhcp":
            interface = replace(interface, dhcp6=True)
        case "link-local":
            interface = replace(interface, accept_ra=False)
        case "manual":
            interface = replace(interface, accept_ra=False)
        case "ignore":
            pass
        case _:
            return interface
    profile.take("ipv6", "method")
    return interface


def _with_addresses(interface: Interface, profile: _Profile, section: str, version: int) -> Interface:
    """Return the interface with the addresses, gateways, routes and name servers of one section."""
    for (_, key), setting in [each for each in profile.said.items() if each[0][0] == section]:
        if re.fullmatch(r"addresses\d*|address|routes\d*|route", key):
            raise setting.refuse("has a form that is not understood")
        if re.fullmatch(r"address\d+", key):
            interface = _with_address(interface, setting, version)
        elif key == "gateway":
            interface = _with_gateway(interface, setting.value, setting)
        elif key == "dns":
            interface = replace(interface, dns=(*interface.dns, *setting.words))
        elif key == "dns-search":
            new = tuple(word for word in setting.words if word not in interface.domains)
            interface = replace(interface, domains=(*interface.domains, *new))
        elif re.fullmatch(r"route\d+", key):
            route = parse_route(setting, profile.get(section, f"{key}_options"))
            if route is None:
                continue
            profile.take(section, f"{key}_options")
            interface = _with_route(interface, route, setting)
        else:
            continue
        profile.take(section, key)
    return interface


def _with_address(interface: Interface, setting: Setting, version: int) -> Interface:
    text, _, gateway = setting.value.partition(",")
    address = parse_address(interface.name, text.strip(), setting.where)
    if address.version != version:
        raise setting.refuse("is of the other family")
    interface = replace(interface, addresses=(*interface.addresses, address))
    return _with_gateway(interface, gateway.strip(), setting) if gateway else interface


def _with_gateway(interface: Interface, text: str, setting: Setting) -> Interface:
    gateway: Address = parse_address(interface.name, text, setting.where)
    return replace(interface, gateways=(*interface.gateways, gateway))


def _with_route(interface: Interface, route: Route, setting: Setting) -> Interface:
    if route.gateway and route == Route(route.destination, route.gateway) and route.destination in DEFAULT_ROUTES:
        return _with_gateway(interface, route.gateway, setting)
    return replace(interface, routes=(*interface.routes, route))
