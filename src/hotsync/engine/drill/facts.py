"""What a drill reads of this host before its sandbox is planned, and the tree that it keeps for itself meanwhile."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Iterable, Iterator
from pathlib import Path

from hotsync.backends import container
from hotsync.backends.network import addresses as live
from hotsync.config.schema import Settings
from hotsync.engine.drill.room import PIN, copy_manifest, pinned_manifest
from hotsync.engine.open_replica import open_replica
from hotsync.engine.promotion.ground import Ground
from hotsync.engine.promotion.network import read_master_network
from hotsync.engine.standby.standbys import follower_of
from hotsync.errors import ConfigError
from hotsync.model.facts import InterfaceFact
from hotsync.model.network.cards import is_card
from hotsync.model.network.values import Address, NetworkState
from hotsync.model.promotion import ETC, DatabaseDump
from hotsync.replica.layout import Layout
from hotsync.replica.pin import pin_tree, unpin
from hotsync.sources.facts import read_interfaces
from hotsync.system.clock import Clock
from hotsync.system.mounts import read_mounts
from hotsync.system.paths import Paths

_HEAR_SECONDS = 1.5


def free_bytes(paths: Paths) -> int:
    """Return what is free where a drill writes."""
    return shutil.disk_usage(paths.state).free


def host_name() -> str:
    """Return this host's name."""
    return socket.gethostname()


def mounted_folders() -> tuple[tuple[str, str], ...]:
    """Return the mount points of this host that are folders, with the kind of each."""
    return tuple((mount.point, mount.kind) for mount in read_mounts() if os.path.isdir(mount.point))


def cards_here(paths: Paths) -> tuple[tuple[str, str], ...]:
    """Return the cards of this host with their hardware addresses."""
    return tuple((each.name, each.mac.lower()) for each in read_interfaces(paths) if is_card(each))


def wires(ground: Ground) -> dict[str, str]:
    """Return for each bridge or bond of the MASTER's network, and of this host's, the first card that is a port of
    it."""
    found = {each.master: each.name for each in _ports(read_interfaces(ground.paths))}
    try:
        state = read_master_network(ground.tree / ETC) or NetworkState()
    except ConfigError:
        return found  # told by the check of the network
    ports = {each.master: each.name for each in reversed(state.interfaces) if each.master}
    return {**found, **{name: _last(name, ports) for name in ports}}


def _ports(interfaces: Iterable[InterfaceFact]) -> Iterator[InterfaceFact]:
    return (each for each in interfaces if each.master and is_card(each))


def _last(name: str, ports: dict[str, str]) -> str:
    for _ in ports:
        name = ports.get(name, name)
    return name


def heard_on(cards: Iterable[tuple[str, str]], addresses: Iterable[Address]) -> dict[str, frozenset[str]]:
    """Given the cards of this host and addresses, return on whose wires each of them answers now."""
    asked = [address.address for address in addresses]
    found = live.heard([name for name, _ in cards], asked, _HEAR_SECONDS)
    return {each: frozenset(name for name, answers in found.items() if each in answers) for each in asked}


def streamed(paths: Paths, dumps: Iterable[DatabaseDump]) -> tuple[tuple[str, str], ...]:
    """Return the servers whose standby runs here, with the folder of each below the root."""
    followers = (follower_of(paths, dump) for dump in dumps)
    return tuple(
        (each.name, f"/{Path(each.data).relative_to(paths.root)}")
        for each in followers
        if each is not None and each.is_ours
    )


def fences_of(settings: Settings) -> tuple[str, ...]:
    """Return the settings that reach a MASTER to keep it from serving."""
    named = (("FenceSsh", settings.fence_ssh), ("FenceCommand", settings.fence_command))
    return ("its HotSync", *(name for name, value in named if value))


def keep_tree(paths: Paths, clock: Clock) -> None:
    """Keep the tree and the manifest as they are until they are discarded; the replica is held only meanwhile, so that
    generations go on arriving."""
    with open_replica(paths, clock).hold():
        pin_tree(Layout(paths.replica), PIN)
        copy_manifest(paths)


def discard(paths: Paths) -> None:
    """Take away whatever a drill that was ended has left; done already is fine."""
    container.end(container.SCOPE)
    pinned_manifest(paths).unlink(missing_ok=True)
    unpin(Layout(paths.replica), PIN)
    if paths.drill_room.is_dir():
        os.rmdir(paths.drill_room)
