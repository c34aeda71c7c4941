"""What hotsyncd.service runs beside the daemon, with rights that the daemon lacks: the firewall and the folders."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence

from hotsync.agent.here import Here, Surroundings
from hotsync.backends import firewall, nftables
from hotsync.errors import CommandFailed, HotSyncError
from hotsync.model.identity import Role
from hotsync.system import log, paths
from hotsync.system.clock import SystemClock
from hotsync.system.paths import Paths
from hotsync.transport.addresses import addresses_of

_log = logging.getLogger("hotsync.agent")


def prepare(places: Paths, here: Here) -> None:
    """Make what both units need before they can be confined to it."""
    folders = [places.run, places.state]
    if here.role is Role.SLAVE:
        folders += [places.replica, places.replica / "staging"]
    for folder in folders:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)


def open_for_peer(here: Here) -> None:
    """Let only the peer reach the port; where that cannot be, say so and leave it to the daemon."""
    if not here.settings.enabled or here.role is Role.NONE:
        close()
        return
    if not nftables.available():
        _log.warning("nftables is not installed: hotsyncd itself turns strangers away.")
        return
    addresses = here.peer_addresses
    if not addresses or (here.peer_host and not addresses_of(here.peer_host)):
        # its name cannot be resolved now: rules without it would shut it out
        _log.warning("%s has no address now: hotsyncd itself turns strangers away.", here.peer_host or "The peer")
        close()
        return
    firewall.open_port(here.settings.slave_port, addresses, neighbours=here.peer is not None)


def close() -> None:
    """Take our rules away."""
    if nftables.available():
        firewall.close_port()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `open` or `close`; a firewall that does not obey is named and keeps nothing from starting."""
    log.set_up("hotsyncd")
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words not in (["open"], ["close"]):
        print("usage: python -m hotsync.agent.port open|close", file=sys.stderr)
        return 2
    try:
        if words == ["close"]:
            close()
        else:
            places = paths.from_environment()
            here = Surroundings(places, SystemClock()).here()
            prepare(places, here)
            open_for_peer(here)
    except (HotSyncError, CommandFailed, OSError) as error:
        _log.error("the port is not guarded: %s", error)
    return 0


if __name__ == "__main__":
    sys.exit(main())
