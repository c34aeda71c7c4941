"""Gives this server an address again: at once, proven like a promotion's, and in the files of its network program."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from hotsync.backends.network import addresses as live
from hotsync.backends.network import esmith
from hotsync.backends.network.detect import NetworkSystem, network_system
from hotsync.backends.network.files import access_for
from hotsync.backends.network.live_links import read_masters
from hotsync.engine.network.rollback import checked_settings, guard_by_settings
from hotsync.errors import CommandFailed, ConfigError, Refused
from hotsync.model.network.recovery import Wanted, recovered
from hotsync.model.network.values import Address, NetworkState, is_on_link
from hotsync.system import files
from hotsync.system.clock import Clock
from hotsync.system.paths import Paths
from hotsync.system.trees import copy_exactly

_ASK_SECONDS = 1.5
_log = logging.getLogger("hotsync.network")
RESOLVER = "resolv.conf"


@dataclass(frozen=True, slots=True)
class Seen:
    """The network as it is: interfaces that can carry an address with those they have, and the program's files.

    `system` is None where no known program configures it; `fault` says what of its files is not understood.
    """

    interfaces: dict[str, tuple[str, ...]]
    system: NetworkSystem | None
    state: NetworkState = field(default_factory=NetworkState)
    fault: str = ""


def look(paths: Paths) -> Seen:
    """Return the network of this server; raise Refused on a NethServer, which has a program of its own for this, and
    ConfigError where a setting is wrong that `take` will need."""
    checked_settings(paths)
    etc = paths.at("/etc")
    own = live.read_addresses()
    names = sorted(name for name, master in read_masters().items() if name != "lo" and not master)
    interfaces = {name: tuple(str(each) for each in own if each.interface == name) for name in names}
    system = network_system(etc)
    if system is None:
        return Seen(interfaces, None)
    if system.name == esmith.NAME:
        raise Refused(
            reason="this server's network stands in NethServer's database",
            hint="Set it there: `db networks setprop`, then signal-event interface-update.",
        )
    try:
        return Seen(interfaces, system, system.read(etc))
    except ConfigError as error:
        return Seen(interfaces, system, fault=error.sentence)


def holder_of(address: Address) -> str:
    """Return the hardware address of who else has an address on its wire, "" if nobody says so."""
    return live.holders([address], _ASK_SECONDS).get(address.address, "")


def take(paths: Paths, wanted: Wanted, clock: Clock, tell: Callable[[str], None]) -> None:
    """Give the running system the address and gateway; raise CommandFailed if it does not take them, or NetworkSilent,
    with the network as it was, if nobody answers any more. `tell` is told where no timer guards that."""
    rollback = guard_by_settings(paths, clock, tell)
    gateways = [wanted.gateway] if wanted.gateway else []
    before = rollback.arm((), gateways)
    live.add(wanted.address)
    live.prefer(wanted.address)
    if wanted.gateway is not None:
        on_link = is_on_link(wanted.gateway, live.read_addresses())
        live.set_gateway(wanted.gateway, wanted.address if on_link else None, on_link=on_link)
    live.announce([wanted.address])
    if before is not None:
        rollback.prove(before, gateways, [wanted.address])


def keep(paths: Paths, seen: Seen, wanted: Wanted, now: float) -> Path | None:
    """Write the files that give the server the address at every boot; return where those that they replace lie now.

    None where no known program configures the network: then it lasts until the next boot. Raise ConfigError for what
    the program has no words for, with nothing changed.
    """
    if seen.system is None:
        return None
    etc = paths.at("/etc")
    texts = seen.system.render(recovered(seen.state, wanted))
    old = list(seen.system.files(etc))
    aside = paths.state / "network-files" / str(int(now))
    for path in old:
        (aside / path).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        copy_exactly(etc / path, aside / path)
    for path, text in texts.items():
        (etc / path).parent.mkdir(parents=True, exist_ok=True)
        mode, group = access_for(path, etc)
        files.write_atomic(etc / path, text.encode("utf-8", "surrogateescape"), mode=mode, owner=(0, group))
    for path in (path for path in old if path not in texts):
        (etc / path).unlink(missing_ok=True)
    resolver = etc / RESOLVER
    if wanted.servers and not resolver.is_symlink():  # a link is some program's, which reads what was written above
        lines = "".join(f"nameserver {server}\n" for server in wanted.servers)
        files.write_atomic(resolver, lines.encode(), mode=0o644)
    try:
        seen.system.activate(etc)
    except CommandFailed as error:  # the address is there, and the files are for the next boot
        _log.warning("%s", error.sentence)
    return aside if old else None
