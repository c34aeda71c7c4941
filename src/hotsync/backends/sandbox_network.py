"""The network that a sandbox has alone: cables between its cards and the client's seat, and no way to anywhere else.

Both ends are namespaces that were born with a loopback and nothing else; all that is ever put into them are the two
ends of these cables. The client also answers for the gateways, and says of everything behind them: unreachable.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from hotsync.backends.container_entry import bounded
from hotsync.backends.network.addresses import give
from hotsync.model.drill_room import Card
from hotsync.system import command

_RIGHTS = ("net_admin", "net_raw", "dac_read_search")
"""Of a client: to lay its end of a cable, to knock, and to read what this host knows of the MASTER's services."""
_HAS_IPV6 = Path("/proc/sys/net/ipv6")


@contextmanager
def client_seat() -> Iterator[int]:
    """Return, for the block, a process that holds the client's network."""
    words = ["setpriv", "--pdeathsig=KILL", "unshare", "--net", "--", "sleep", "infinity"]
    with command.spawn(words, stdout=command.DEVNULL, stderr=command.DEVNULL) as holder:
        own = os.readlink("/proc/self/ns/net")
        while os.readlink(f"/proc/{holder.pid}/ns/net") == own:
            if holder.poll() is not None:
                raise command.failure(words, holder.returncode, "")
            os.sched_yield()
        yield holder.pid


def as_client(seat: int, argv: Iterable[str]) -> list[str]:
    """Given the process that holds the client's network, return the command line that runs a command there.

    It asks services of the MASTER's: whatever they answer it with can change nothing but that network.
    """
    return ["nsenter", f"--net=/proc/{seat}/ns/net", "--", *bounded(_RIGHTS), *argv]


def lay_cables(seat: int, cards: Iterable[Card]) -> None:
    """Make the cards in this process's network, and the client's end of each cable; raise CommandFailed."""
    command.run(["ip", "link", "set", "dev", "lo", "up"])
    command.run(as_client(seat, ["ip", "link", "set", "dev", "lo", "up"]))
    for number, card in enumerate(cards):
        end = f"drill{number}"
        near = ["ip", "link", "add", "name", card.name, *(["address", card.hardware] if card.hardware else [])]
        command.run([*near, "type", "veth", "peer", "name", end, "netns", str(seat)])
        command.run(as_client(seat, ["ip", "link", "set", "dev", end, "up"]))
        for address in card.addresses:
            if address.version == 6 and not _HAS_IPV6.exists():
                continue  # nor will the sandbox have production's: that no client reaches it is red, and right
            command.run(as_client(seat, ["ip", *give(replace(address, interface=end))]))
    _refuse_all_else(seat)


def _refuse_all_else(seat: int) -> None:
    """Answer at once for what is not there: a name server that keeps silent would cost a promotion its time."""
    for version, forwarding in (("-4", "net/ipv4/ip_forward"), ("-6", "net/ipv6/conf/all/forwarding")):
        with suppress(OSError):
            if Path("/proc/sys", forwarding).exists():
                # /proc/sys shows the network of whoever opens it
                writes = ["sh", "-c", 'echo 1 >"$1"', "sh", f"/proc/sys/{forwarding}"]
                command.run(as_client(seat, writes), ok=range(256))
        command.run(as_client(seat, ["ip", version, "route", "add", "unreachable", "default"]), ok=range(256))
