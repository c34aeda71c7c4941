"""The network of a promotion that is undone: production's addresses go, this server's own stay and come back."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from hotsync.backends.network import addresses as live
from hotsync.backends.network import giving_up
from hotsync.backends.network.detect import network_system
from hotsync.backends.network.snapshot import restore
from hotsync.engine.network import before as network_before
from hotsync.engine.network import ways
from hotsync.engine.one_master.hold import Lines, LiveLines
from hotsync.engine.promotion.network import attempt
from hotsync.errors import ConfigError
from hotsync.model.network.values import NetworkState, is_on_link
from hotsync.model.promotion import Promotion
from hotsync.system.paths import Paths

_log = logging.getLogger("hotsync.network")


class UndoNetwork:
    """This server's network; what it does not take is noted, and stops nothing."""

    def __init__(
        self, paths: Paths, promotion: Promotion, note: Callable[[str], None], lines: Lines | None = None
    ) -> None:
        self._paths = paths
        self._plan = promotion.network
        self._epoch = promotion.epoch
        self._try = partial(attempt, note)
        self._lines = lines or LiveLines()

    def give_up(self) -> None:
        """Take production's addresses away so that nothing brings them back; this server's own stay."""
        standby = {(address.interface, address.address) for address in self._plan.standby}
        gone = tuple(address for address in self._plan.addresses if (address.interface, address.address) not in standby)
        self._lines.give_up(gone, self._plan.standby)
        before = network_before.load(self._paths, self._epoch)
        if before is None:
            return
        for fault in restore(before):  # also what was made for production's network, and its routes
            _log.warning("%s", fault)
        live.announce(before.addresses)

    def own(self) -> None:
        """Take the host name and the network that /etc says; addresses first, so that nobody is cut off meanwhile."""
        etc = self._paths.at("/etc")
        with suppress(OSError):
            name = (etc / "hostname").read_text(encoding="utf-8").strip()
            if name and name != socket.gethostname():
                socket.sethostname(name)
        if not self._plan.choice.takes_addresses:
            return
        system = network_system(etc)
        try:
            state = system.read(etc) if system is not None else NetworkState()
        except ConfigError as error:
            _log.warning("%s", error.sentence)
            state = NetworkState()
        ways.take_mtus(state, self._try)
        here = live.read_interfaces()
        for address in (*state.addresses, *self._plan.standby):
            if address.interface in here and address.interface != "lo":
                self._try(f"address {address}", partial(live.add, address))
        giving_up.start_managers()
        if system is not None:
            self._try(f"configuration of {system.name}", partial(system.activate, etc))
        own = live.read_addresses()
        for gateway in state.gateways:
            if gateway.interface in here:
                on_link = is_on_link(gateway, own)
                setting = partial(live.set_gateway, gateway, None, on_link=on_link)
                self._try(f"gateway {gateway.address}", setting)
        ways.take_routes(state, (), self._try)
