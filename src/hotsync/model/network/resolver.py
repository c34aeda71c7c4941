"""A plain resolv.conf in place of a link that would lead nowhere on this server, as a promotion writes it. Pure."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable

from hotsync.model.report import Check, Verdict

RESOLVER = "resolv.conf"
_OF_RESOLVED = frozenset(("127.0.0.53", "127.0.0.54"))
_DOMAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,252}\Z")
_MOST = 6
_NAME = "network.resolver"
_TITLE = "names can be looked up after a promotion"


def servers_for(told: Iterable[str], own: Iterable[str]) -> tuple[str, ...]:
    """Given the name servers that the MASTER had in use, and those that this server has, return whom a promoted server
    asks: the MASTER's, without systemd-resolved's own address, which answers only where that runs; else its own."""
    return _usable(told) or _usable(own)


def asks_itself(servers: Iterable[str]) -> bool:
    """Given the name servers of a host, return whether one of them is that host."""
    return any(ipaddress.ip_address(server).is_loopback for server in _usable(servers))


def check_names(servers: Iterable[str], *, answers: bool) -> Check:
    """Given the name servers of this SLAVE, and whether something here answers for names, return whether it can look
    its own names up: the mute holds a name server that the MASTER runs, too."""
    asked, name, title = tuple(servers), "network.names", "this server can look names up"
    if answers or not asks_itself(asked):
        return Check(name, title, Verdict.GREEN)
    said = (
        f"/etc/{RESOLVER} names {', '.join(asked)}, and nothing answers here: what does so on the MASTER, too, is held"
    )
    hint = (
        "Name another name server there, or name the unit of this one under services.keep of a profile in "
        "/etc/hotsync/profiles.d on this server, run hotsync-slave, and start it."
    )
    return Check(name, title, Verdict.AMBER, said, hint)


def _usable(servers: Iterable[str]) -> tuple[str, ...]:
    return tuple(server for server in servers if _is_address(server) and server not in _OF_RESOLVED)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return "%" not in text  # a link's name is another one here, and anything passes as one


def plain_text(target: str, servers: Iterable[str], domains: Iterable[str]) -> str:
    """Given where the link leads, name servers and search domains, return the file."""
    searched = [domain for domain in domains if _DOMAIN.match(domain)][:_MOST]
    return "".join((
        f"# HotSync: the MASTER's {RESOLVER} is a link to {ascii(target)[1:-1]}, which nothing makes on this server.\n",
        f"search {' '.join(searched)}\n" if searched else "",
        *(f"nameserver {server}\n" for server in servers),
    ))  # fmt: skip


def check_resolver(target: str, servers: Iterable[str]) -> Check:
    """Given where the MASTER's link leads that leads nowhere here ("": there is none), and whom a promoted server would
    ask, return whether it could look names up."""
    asked = ", ".join(servers)
    if not target:
        return Check(_NAME, _TITLE, Verdict.GREEN)
    shown = f"the MASTER's /etc/{RESOLVER} leads to {ascii(target)[1:-1]}, which nothing makes on this server"
    if asked:
        return Check(_NAME, _TITLE, Verdict.GREEN, f"{shown}: a promotion writes a plain one with {asked}")
    hint = f"Name a name server in this server's /etc/{RESOLVER}, or run hotsync on the MASTER while its own works."
    return Check(_NAME, _TITLE, Verdict.AMBER, f"{shown}, and no name server is known for a plain one", hint)
