"""Is the MASTER really silent? Its agent, its services, ping, and who holds its addresses, all asked at once."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from hotsync.backends.network import addresses as live
from hotsync.errors import CommandFailed
from hotsync.model.network.values import Address
from hotsync.system import command

SECONDS = 1.5
_PING_SECONDS = 0.3
"""Between the first of two pings and the second: both are waited for together with all else that is asked."""


def signs_of_life(
    peer: str, port: int, master: Iterable[Address], services: Iterable[int] = (), seconds: float = SECONDS
) -> tuple[str, ...]:
    """Given the MASTER's address, port, production addresses and its services' TCP ports, return what of it answers,
    in words."""
    own = {address.address for address in live.read_addresses()}
    theirs = [address for address in master if address.address not in own]
    asked = {address.address for address in theirs} | {address for address in (peer,) if address and address not in own}
    questions: list[Callable[[], str]] = [partial(_holders, theirs, seconds)]
    for address in sorted(asked):
        questions += [partial(_agent, address, port, seconds), partial(_ping, address, seconds)]
        # who drops ping and keeps HotSync's port to itself may serve all the same
        questions += [partial(_service, address, each, seconds) for each in sorted({*services} - {port})]
    # each has a thread of its own: who waits for another's silence would make a promotion wait for both
    with ThreadPoolExecutor(max_workers=len(questions)) as pool:
        asking = [pool.submit(question) for question in questions]
        return tuple(sorted({answer for each in asking if (answer := each.result())}))


def _agent(address: str, port: int, seconds: float) -> str:
    try:
        with socket.create_connection((address, port), timeout=seconds):
            return f"HotSync answers at {address} port {port}"
    except ConnectionRefusedError:
        return f"{address} refuses connections to port {port}, so it is on"
    except OSError:
        return ""


def _service(address: str, port: int, seconds: float) -> str:
    try:
        with socket.create_connection((address, port), timeout=seconds):
            return f"a service answers at {address} port {port}"
    except OSError:
        return ""  # that it is refused is said once, of HotSync's port


def _ping(address: str, seconds: float) -> str:
    pace, patience = f"{_PING_SECONDS:g}", f"{seconds - _PING_SECONDS:g}"
    try:
        answer = command.run(["ping", "-n", "-q", "-c", "2", "-i", pace, "-W", patience, address], ok=range(256))
    except CommandFailed:
        return ""  # there is no ping here: the neighbours' word and the agent must do
    return f"{address} answers ping" if answer.returncode == 0 else ""


def _holders(addresses: Iterable[Address], seconds: float) -> str:
    here = live.read_interfaces()
    found = live.holders([address for address in addresses if address.interface in here], seconds)
    return ", ".join(f"{mac} holds {address}" for address, mac in sorted(found.items()))


def internet_answers(probe: str, seconds: float = SECONDS) -> bool:
    """Given HOST:PORT, or nothing (then the default gateway is asked, on its wire or by ping), return whether it
    answers."""
    if probe:
        host, _, port = probe.rpartition(":")
        try:
            with socket.create_connection((host.strip("[]"), int(port)), timeout=seconds * 2):
                return True
        except (OSError, ValueError):
            return False
    gateways = live.read_gateways()
    return bool(live.holders(gateways, seconds)) or any(_ping(gateway.scoped, seconds) for gateway in gateways)
