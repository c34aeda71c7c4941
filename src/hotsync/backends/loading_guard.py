"""Nobody gets in from the network while databases are loaded: a table of our own in nftables, gone at the next boot.

A server is up while its dumps are loaded, at production's addresses: what a client wrote into a half loaded database
would be lost, or be in the way. What listened before goes on to answer (the administrator's way in).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable

from hotsync.backends.intruders import parse_listeners
from hotsync.errors import CommandFailed
from hotsync.system import command

TABLE = "inet hotsync_loading"
_DATABASES = frozenset(("mariadbd", "mysqld", "postgres"))
Nft = Callable[[str], object]


def render_rules(ports: Collection[int]) -> str:
    """Given the ports that stay open, return what `nft -f -` makes the table of, in one transaction."""
    listed = ", ".join(str(port) for port in sorted(ports))
    allowed = f"    tcp dport {{ {listed} }} accept\n" if listed else ""
    return (
        f"{render_removal()}table {TABLE} {{\n"
        "  chain input {\n"
        "    type filter hook input priority filter - 10; policy accept;\n"
        '    iifname "lo" accept\n'
        f"{allowed}"
        # dropped, not refused: a client that tries again by itself is let in a moment later
        "    tcp flags & (syn | ack) == syn drop\n"
        "  }\n"
        "}\n"
    )


def render_removal() -> str:
    """Return what `nft -f -` removes the table by, whether it is there or not."""
    return f"add table {TABLE}\ndelete table {TABLE}\n"


def open_ports(listeners: Iterable[tuple[str, int, str]]) -> frozenset[int]:
    """Given what listens (protocol and address, pid, program), return the TCP ports of all but database servers."""
    ports: set[int] = set()
    for address, _, program in listeners:
        protocol, _, place = address.partition(" ")
        port = place.rpartition(":")[2]
        if protocol == "tcp" and port.isdigit() and program not in _DATABASES:
            ports.add(int(port))
    return frozenset(ports)


def _nft(rules: str) -> object:
    return command.run(["nft", "-f", "-"], input=rules.encode("ascii"), timeout=30)


def hold(nft: Nft = _nft) -> None:
    """Let no new connection in but to what listens now; raise CommandFailed if nftables does not do that here."""
    nft(render_rules(open_ports(parse_listeners(command.run(["ss", "-H", "-tulnp"], ok=range(256)).text))))


def admit(nft: Nft = _nft) -> None:
    """Let connections in again; raise CommandFailed if nftables does not let go of the table."""
    nft(render_removal())


def is_held() -> bool:
    """Return whether connections are held off."""
    try:
        command.run(["nft", "list", "table", *TABLE.split()], timeout=30)
    except CommandFailed:
        return False
    return True
