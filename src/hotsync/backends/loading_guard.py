"""Nobody gets in from the network while databases are loaded: a table of our own in nftables, gone at the next boot.

A server is up while its dumps are loaded, at production's addresses: what a client wrote into a half loaded database
would be lost, or be in the way. What listened before goes on to answer (the administrator's way in).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from hotsync.backends.intruders import parse_listeners
from hotsync.backends.nftables import Nft, apply, is_there, render_removal
from hotsync.system import command

TABLE = "inet hotsync_loading"
_DATABASES = frozenset(("mariadbd", "mysqld", "postgres"))


def render_rules(ports: Collection[int]) -> str:
    """Given the ports that stay open, return what `nft -f -` makes the table of, in one transaction."""
    listed = ", ".join(str(port) for port in sorted(ports))
    allowed = f"    tcp dport {{ {listed} }} accept\n" if listed else ""
    return (
        f"{render_removal(TABLE)}table {TABLE} {{\n"
        "  chain input {\n"
        "    type filter hook input priority filter - 10; policy accept;\n"
        '    iifname "lo" accept\n'
        f"{allowed}"
        # dropped, not refused: a client that tries again by itself is let in a moment later
        "    tcp flags & (syn | ack) == syn drop\n"
        "  }\n"
        "}\n"
    )


def open_ports(listeners: Iterable[tuple[str, int, str]]) -> frozenset[int]:
    """Given what listens (protocol and address, pid, program), return the TCP ports of all but database servers."""
    ports: set[int] = set()
    for address, _, program in listeners:
        protocol, _, place = address.partition(" ")
        port = place.rpartition(":")[2]
        if protocol == "tcp" and port.isdigit() and program not in _DATABASES:
            ports.add(int(port))
    return frozenset(ports)


def hold(nft: Nft = apply) -> None:
    """Let no new connection in but to what listens now; raise CommandFailed if nftables does not do that here."""
    nft(render_rules(open_ports(parse_listeners(command.run(["ss", "-H", "-tulnp"], ok=range(256)).text))))


def admit(nft: Nft = apply) -> None:
    """Let connections in again; raise CommandFailed if nftables does not let go of the table."""
    nft(render_removal(TABLE))


def is_held() -> bool:
    """Return whether connections are held off."""
    return is_there(TABLE)
