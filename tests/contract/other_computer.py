"""Another computer at the other end of a card's cable: a network namespace of its own, with a real kernel's answers."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from hotsync.system import command


@dataclass(frozen=True)
class Computer:
    """It has one card, whose name there is `card`."""

    process: subprocess.Popen[bytes]
    card: str

    def run(self, *words: str) -> str:
        return command.run(["nsenter", "-t", str(self.process.pid), "-n", *words]).text

    def take(self, address: str, *, carefully: bool = False) -> None:
        """Give it an address, at once, or `carefully`: as a system does that asks first whether somebody has it."""
        extra = ["nodad"] if ":" in address and not carefully else []
        self.run("ip", "address", "add", address, "dev", self.card, *extra)

    def mac(self) -> str:
        (link,) = json.loads(self.run("ip", "-j", "link", "show", "dev", self.card))
        return str(link["address"])

    def flags_of(self, address: str) -> set[str]:
        """Return what it says of an address of its own, {"gone"} if it has no such address."""
        shown = json.loads(self.run("ip", "-j", "address", "show", "dev", self.card))
        found = [info for link in shown for info in link["addr_info"] if info["local"] == address]
        return {flag for flag in ("tentative", "dadfailed") if found[0].get(flag)} if found else {"gone"}

    def knows(self, address: str) -> str:
        """Return the hardware address that it believes an address to be at."""
        seen = json.loads(self.run("ip", "-j", "neighbour", "show", "dev", self.card) or "[]")
        return next((str(each.get("lladdr", "")) for each in seen if each["dst"] == address), "")

    def falls_silent(self) -> None:
        """Keep the cable in and its addresses, and answer nothing any more."""
        self.run("ip", "link", "set", self.card, "down")


@contextmanager
def other_computer(*addresses: str, card: str = "eth7", ours: tuple[str, ...] = ()) -> Iterator[Computer]:
    """Lay a cable from our `card`, which gets the addresses `ours`, to another computer, which has these addresses."""
    process = subprocess.Popen(["unshare", "-n", "sleep", "600"])
    try:
        there = Computer(process, f"far-{card}")
        command.run(["ip", "link", "add", card, "type", "veth", "peer", "name", there.card])
        while os.readlink(f"/proc/{process.pid}/ns/net") == os.readlink("/proc/thread-self/ns/net"):
            os.sched_yield()
        command.run(["ip", "link", "set", there.card, "netns", str(process.pid)])
        for address in addresses:
            there.take(address)
        there.run("ip", "link", "set", there.card, "up")
        command.run(["sysctl", "-qw", f"net.ipv6.conf.{card}.accept_dad=0"])
        command.run(["ip", "link", "set", card, "up"])
        for address in ours:
            extra = ["nodad"] if ":" in address else []
            command.run(["ip", "address", "add", address, "dev", card, *extra])
        yield there
    finally:
        process.kill()
        process.wait()
