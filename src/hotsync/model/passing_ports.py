"""The ports that the kernel gives to programs that do not ask for a certain one: whoever has one may only wait for an
answer."""

from __future__ import annotations

from collections.abc import Collection

USUAL = range(32768, 61000)
"""As the kernel is set where nobody changed it."""


def is_passing(address: str, passing: range, certain: Collection[int] = ()) -> bool:
    """Given `udp 0.0.0.0:40000`, and the ports that are certainly somebody's, return whether it may be a client's."""
    port = address.rpartition(":")[2]
    return address.startswith("udp") and port.isdigit() and int(port) in passing and int(port) not in certain
