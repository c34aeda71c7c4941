"""HotSync's port is open for the other server only: a table of our own in nftables, gone when hotsyncd stops.

A table of ours can keep strangers out; it cannot let anybody in whom another table turns away.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection

from hotsync.backends.nftables import Nft, apply, available, is_there, render_removal

TABLE = "inet hotsync"


def render_rules(port: int, addresses: Collection[str], *, neighbours: bool = False) -> str:
    """Given the port and the peer's addresses, return what `nft -f -` makes the table of, in one transaction.

    `neighbours`: any link-local address of IPv6 may, too.

    Raise ValueError for what is no address: nothing else may get into the rules.
    """
    if any("%" in address for address in addresses):  # ip_address lets anything through as a scope
        raise ValueError("an address with a scope is no address for a rule")
    parsed = sorted({ipaddress.ip_address(address) for address in addresses}, key=lambda item: (item.version, item))
    allowed = [
        f"    tcp dport {port:d} {'ip' if item.version == 4 else 'ip6'} saddr {item} accept\n" for item in parsed
    ]
    if neighbours:
        allowed.append(f"    tcp dport {port:d} ip6 saddr fe80::/10 accept\n")
    return (
        f"{render_removal(TABLE)}table {TABLE} {{\n"
        "  chain input {\n"
        "    type filter hook input priority filter - 10; policy accept;\n"
        f'    tcp dport {port:d} iifname "lo" accept\n'
        f"{''.join(allowed)}"
        f"    tcp dport {port:d} drop\n"
        "  }\n"
        "}\n"
    )


def open_port(port: int, addresses: Collection[str], nft: Nft = apply, *, neighbours: bool = False) -> None:
    """Let only these addresses reach the port; raise CommandFailed if nftables does not take it."""
    nft(render_rules(port, addresses, neighbours=neighbours))


def close_port(nft: Nft = apply) -> None:
    """Take the table away; raise CommandFailed if nftables does not let go of it."""
    nft(render_removal(TABLE))


def is_guarded() -> bool:
    """Return whether our table is in force."""
    return available() and is_there(TABLE)
