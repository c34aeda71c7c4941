"""The network of a server that becomes SLAVE: its files without production's addresses, and its own one live.

What the files were lies in the vault. The MASTER has let the address go before this server takes it.
"""

from __future__ import annotations

import logging
import os
import socket
import stat
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from hotsync.backends.network import addresses as live
from hotsync.backends.network import esmith, giving_up
from hotsync.backends.network.detect import network_system
from hotsync.backends.network.files import access_for, read_text
from hotsync.engine.network import ways
from hotsync.engine.network.own_network import configured_in
from hotsync.engine.network.writing import same_network
from hotsync.errors import AddressTaken, CommandFailed, ConfigError
from hotsync.model.facts import NetworkFacts
from hotsync.model.network.cards import is_card
from hotsync.model.network.leases import name_servers
from hotsync.model.network.rename import resolved
from hotsync.model.network.values import Address, NetworkState, is_on_link
from hotsync.model.rejoin_addresses import as_slave
from hotsync.system import files
from hotsync.system.clock import Clock
from hotsync.system.paths import Paths
from hotsync.system.trees import remove

_log = logging.getLogger("hotsync.rejoin")
FREE_SECONDS = 20
Texts = Mapping[str, str | None]


def network_files(
    etc: Path,
    given_up: Iterable[Address],
    own: Iterable[Address],
    gateways: Iterable[Address] = (),
    told: NetworkFacts | None = None,
) -> dict[str, str | None]:
    """Given an /etc, return the files of its network without production's addresses (None: to be removed).

    `gateways` (the preferred one first) and what was `told` of the network are what was in use: where a DHCP server
    gave it, no file says it.
    None of them, if they say so already, and on a NethServer, where its database does. Raise ConfigError where they are
    not understood, or cannot be said anew.
    """
    gone, ours = tuple(given_up), tuple(own)
    system = network_system(etc)
    if system is None:
        raise ConfigError(
            document="/etc",
            faults="no network system that HotSync knows configures this server",
            hint="Take production's addresses out of its network files yourself, and give it one of its own.",
        )
    if system.name == esmith.NAME:
        return {}
    state = system.read(etc)
    network = told or NetworkFacts()
    if state.uses_dhcp and network.interfaces:
        state = resolved(state, tuple((card.mac.lower(), card.name) for card in network.interfaces if is_card(card)))
    wanted = as_slave(state, gone, ours, reversed(tuple(gateways)), name_servers(network))
    if same_network(state, wanted):
        return {}
    texts = system.render(wanted)
    if not same_network(system.parse(texts), wanted):
        raise ConfigError(
            document="/etc",
            faults=f"{system.name} would not say all of this server's network",
            hint="Take production's addresses out of its network files yourself, and give it one of its own.",
        )
    return {**dict.fromkeys(system.files(etc)), **texts}


def write_files(etc: Path, texts: Texts, keep: Path) -> None:
    """Write files below /etc, each whole, and keep what they were; done already is fine."""
    for path, text in texts.items():
        source, kept = etc / path, keep / path
        if source.is_file() and not kept.exists() and (text is None or read_text(etc, path) != text):
            kept.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            status = source.stat()
            owner = (status.st_uid, status.st_gid)
            files.write_atomic(kept, source.read_bytes(), mode=stat.S_IMODE(status.st_mode), owner=owner)
    for path, text in texts.items():
        target = etc / path
        if text is None:
            remove(target)
        elif read_text(etc, path) != text:
            target.parent.mkdir(parents=True, exist_ok=True)
            mode, group = access_for(path, etc)
            files.write_atomic(target, text.encode("utf-8", "surrogateescape"), mode=mode, owner=(0, group))
    for folder in {(etc / path).parent for path in texts}:
        if folder.is_dir():
            files.sync_directory(folder)


def write_host_name(etc: Path, name: str) -> None:
    """Make `name` this host's over every boot, and known to itself."""
    files.write_atomic(etc / "hostname", f"{name}\n".encode())
    hosts = read_text(etc, "hosts") or "127.0.0.1 localhost\n"
    if name not in hosts.split():
        line = f"127.0.1.1 {name}\n"
        files.write_atomic(etc / "hosts", f"{hosts.rstrip()}\n{line}".encode("utf-8", "surrogateescape"))


@dataclass(frozen=True)
class LiveNetwork:
    """This server's running network, as far as a rejoin changes it."""

    paths: Paths
    clock: Clock
    set_name: Callable[[str], None] = socket.sethostname

    def holders(self, own: Iterable[Address]) -> Mapping[str, str]:
        """Return which of these addresses somebody else has, each with that one's hardware address."""
        return live.holders(own, 1.0)

    def take(self, own: Iterable[Address], gateways: Iterable[Address]) -> None:
        """Take addresses, once nobody else has them, and let the network manager look after interfaces again.

        Raise AddressTaken while somebody has one: nothing has changed then.
        """
        ours = tuple(own)
        self.wait_until_free(ours)
        self.paths.held_flag.unlink(missing_ok=True)
        etc = self.paths.at("/etc")
        system = network_system(etc)
        self._try(giving_up.start_managers)
        if system is not None:
            self._try(partial(system.activate, etc))
        here = live.read_interfaces()
        for address in ours:  # whatever the manager made of them
            if address.interface in here:
                live.add(address)
        for gateway in gateways:
            if gateway.interface in here and is_on_link(gateway, ours):
                self._try(partial(live.set_gateway, gateway, None, on_link=True))
        # those that had production's address as their source went with it
        ways.take_routes(configured_in(etc) or NetworkState(), ours, lambda _what, change: self._try(change))
        live.announce(address for address in ours if address.interface in here)

    def wait_until_free(self, own: Iterable[Address]) -> None:
        """Wait until nobody else has any of these addresses; raise AddressTaken if that takes too long."""
        ours = tuple(own)
        there = self.holders(ours)
        for _ in range(FREE_SECONDS):
            if not there:
                return
            _log.info("Still held by the MASTER: %s.", ", ".join(sorted(there)))
            self.clock.sleep(1.0)  # who holds them says so at once
            there = self.holders(ours)
        if there:
            raise AddressTaken(addresses=", ".join(f"{address} (at {mac})" for address, mac in sorted(there.items())))

    def _try(self, change: Callable[[], None]) -> None:
        try:
            change()
        except CommandFailed as error:
            _log.warning("%s", error.sentence)


def keep_place(vault: Path) -> Path:
    """Given a vault, return where the network's files are kept as they were."""
    return Path(os.fspath(vault)) / "network"
