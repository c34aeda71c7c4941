"""The ports that the kernel gives to programs that do not ask for a certain one: whoever has one may only wait for an
answer."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

PROC = Path("/proc")
_USUAL = range(32768, 61000)


def passing_ports(proc: Path = PROC) -> range:
    """Return them, as the kernel is set."""
    try:
        first, last = (int(word) for word in (proc / "sys/net/ipv4/ip_local_port_range").read_text().split())
    except (OSError, ValueError):
        return _USUAL
    return range(first, last + 1)


def is_passing(address: str, passing: range, certain: Collection[int] = ()) -> bool:
    """Given `udp 0.0.0.0:40000`, and the ports that are certainly somebody's, return whether it may be a client's."""
    port = address.rpartition(":")[2]
    return address.startswith("udp") and port.isdigit() and int(port) in passing and int(port) not in certain
