"""On the MASTER: its former MASTER came back as SLAVE, so it lets the standby address go, and sends to it again."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

from hotsync.backends.network import giving_up
from hotsync.engine.network.standby_address import files_without
from hotsync.engine.rejoin.network import write_files
from hotsync.errors import ConfigError
from hotsync.flows.save import Surroundings, save
from hotsync.model.identity import Role
from hotsync.model.network.values import Address
from hotsync.state import store
from hotsync.state.configdb import configuration
from hotsync.state.promotion import claimed_promotion, set_network
from hotsync.state.returned import drop_returned, load_returned
from hotsync.system import lock
from hotsync.system.paths import Paths

_log = logging.getLogger("hotsync.rejoin")
Say = Callable[[str], None]


@dataclass(frozen=True)
class Machine:
    """What of this server changes besides documents and settings."""

    paths: Paths
    give_up: Callable[[Iterable[Address]], None] = giving_up.give_up
    save: Callable[[Surroundings, Say], None] = field(default=save)


def take_back(machine: Machine, say: Say) -> bool:
    """Make true what returned.json says, if it is there; return whether it was. Cut anywhere, again does the rest.

    The address goes first from the running network, since the SLAVE waits for it, then from the files; last come the
    settings, which start the timer.
    """
    paths = machine.paths
    with lock.held(paths.run / "returned.lock", "return of the SLAVE", wait=True):
        returned = load_returned(paths)
        record = store.load_role(paths)
        if returned is None:
            return False
        if record.role is not Role.MASTER:
            drop_returned(paths)
            return False
        promotion = claimed_promotion(paths, record)
        standby = promotion.network.standby if promotion is not None else ()
        if returned.address in {address.address for address in standby}:
            machine.give_up(standby)
            assert promotion is not None
            _drop_from_files(paths, standby, promotion.epoch, say)
            set_network(paths, replace(promotion.network, standby=()))
            say(f"The standby address ({', '.join(map(str, standby))}) is the SLAVE's now.")
        configuration(paths).set_props("hotsync", {"SlaveHost": returned.address})
        if (peer := store.load_peer(paths)) is not None:
            store.save_peer(paths, replace(peer, address=returned.address))
        machine.save(Surroundings(paths), say)
        drop_returned(paths)
        return True


def _drop_from_files(paths: Paths, standby: tuple[Address, ...], epoch: int, say: Say) -> None:
    """Take the address out of this server's network files; where that cannot be done, say that it must be."""
    etc = paths.at("/etc")
    try:
        write_files(etc, files_without(etc, standby, paths), paths.state / f"network.{epoch}")
    except ConfigError as error:
        shown = ", ".join(map(str, standby))
        say(f"Take {shown} out of this server's network files: at its next boot both servers would have it.")
        _log.warning("%s", error.sentence)
