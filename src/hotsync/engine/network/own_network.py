"""Which addresses are production's on a MASTER that has none of them now: its files say it, and its last generation."""

from __future__ import annotations

import logging
from pathlib import Path

from hotsync.backends.network.detect import network_system
from hotsync.errors import ConfigError, ReplicaError
from hotsync.model.facts import NetworkFacts
from hotsync.model.network.leases import addresses_of
from hotsync.model.network.values import Address, NetworkState, is_name
from hotsync.state.facts import load_facts
from hotsync.state.promotion import load_promotion
from hotsync.system.paths import Paths

_log = logging.getLogger("hotsync.network")


def configured(paths: Paths) -> NetworkState | None:
    """Return what this server's files say of its network; None where they are not understood."""
    return configured_in(paths.at("/etc"))


def configured_in(etc: Path) -> NetworkState | None:
    """Given an /etc, return what its files say of the network; None where they are not understood."""
    system = network_system(etc)
    try:
        return system.read(etc) if system is not None else NetworkState()
    except ConfigError as error:
        _log.warning("%s", error.sentence)
        return None


def made_by_files(paths: Paths) -> frozenset[str]:
    """Return the bridges and the like that this server's network files make; none where they cannot be read."""
    try:
        state = configured(paths)
    except OSError as error:  # no address stays for that
        _log.warning("The network's files cannot be read: %s", error)
        return frozenset()
    return state.made if state is not None else frozenset()


def named_addresses(paths: Paths) -> tuple[Address, ...]:
    """Return the fixed addresses that this server's files give to interfaces by their names."""
    state = configured(paths)
    found = state.addresses if state is not None else ()
    return tuple(address for address in found if address.interface != "lo" and is_name(address.interface))


def last_told(paths: Paths) -> NetworkFacts:
    """Return this server's network as its last generation told it; empty if there was none, or it is another's."""
    promotion = load_promotion(paths)
    if promotion is not None and not promotion.network.choice.takes_addresses:
        return NetworkFacts()  # the spool is that of its former MASTER, whose addresses it does not have
    try:
        return load_facts(paths.spool).network
    except ReplicaError as error:
        _log.warning("%s", error.sentence)
        return NetworkFacts()


def last_leases(paths: Paths, state: NetworkState | None) -> tuple[Address, ...]:
    """Given what the files say (None: not understood), return what a DHCP server had lent, as far as they ask one."""
    if state is not None and not state.uses_dhcp:
        return ()
    return addresses_of(last_told(paths), lent_only=state is not None, configured=state.made if state else ())
