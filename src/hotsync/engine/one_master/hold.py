"""Makes true what held.json says: a MASTER that was superseded serves nothing, and lets its addresses go.

Addresses go first: that takes a moment, however long systemd needs to tell what belongs to production, and a database
to stop. Cut anywhere, doing it again does the rest, in this boot or the next one: what ran is written down before it
is stopped, and nothing starts without the production flag.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Protocol

from hotsync.backends import production_units
from hotsync.backends.mute import Mute
from hotsync.backends.network import addresses as live
from hotsync.backends.network import giving_up
from hotsync.backends.production_units import ProductionUnits
from hotsync.backends.standstill import Standstill
from hotsync.backends.units import COVERAGE_TIMER, MASTER_TIMER, STREAM, WATCH, Units
from hotsync.engine.network import ways
from hotsync.engine.network.own_network import configured_in, made_by_files
from hotsync.errors import CommandFailed, NotServing, StaleEpoch
from hotsync.model.facts import UnitFact
from hotsync.model.hold import Hold, hint_of, to_give_up
from hotsync.model.mute import ALWAYS_MUTED, covers, of_master
from hotsync.model.network.values import Address, NetworkState
from hotsync.sources.facts import read_units
from hotsync.state import promotion as document
from hotsync.state import store
from hotsync.state.handover import current, forget_left, note_left
from hotsync.state.hold import drop_hold, held, hold_network, load_hold, save_hold, save_hold_for_good
from hotsync.system.paths import Paths

RUN = "hotsync.service"
_OWN = (MASTER_TIMER, COVERAGE_TIMER, STREAM, WATCH)
_log = logging.getLogger("hotsync.hold")


class Lines(Protocol):
    """What a hold asks of the network."""

    def served(self) -> tuple[Address, ...]:
        """Return what a promotion takes over as fixed: the addresses that interfaces were given, or lent by DHCP."""
        ...

    def gateways(self) -> tuple[Address, ...]:
        """Return the default gateways in use."""
        ...

    def give_up(self, addresses: tuple[Address, ...], standby: tuple[Address, ...]) -> None:
        """Take addresses away so that nothing brings them back, keeping the standby ones and every link up."""
        ...

    def restore(self, addresses: tuple[Address, ...], gateways: tuple[Address, ...]) -> None:
        """Give them back, and let the network manager look after them again."""
        ...


@dataclass(frozen=True, slots=True)
class LiveLines:
    """This server's network."""

    etc: Path = Path("/etc")

    def served(self) -> tuple[Address, ...]:
        """Return what a promotion takes over as fixed: the addresses that interfaces were given, or lent by DHCP."""
        return live.read_addresses(without_routers=True)

    def gateways(self) -> tuple[Address, ...]:
        """Return the default gateways in use."""
        return live.read_gateways()

    def give_up(self, addresses: tuple[Address, ...], standby: tuple[Address, ...]) -> None:
        """Take addresses away so that nothing brings them back, keeping the standby ones and every link up."""
        giving_up.give_up(addresses)  # at once: stopping a manager may take seconds
        giving_up.stop_managers()
        giving_up.give_up(addresses)  # what it has brought back until then
        giving_up.links_up(giving_up.read_cards())
        here = live.read_interfaces()
        for address in standby:
            if address.interface in here:
                live.add(address)

    def restore(self, addresses: tuple[Address, ...], gateways: tuple[Address, ...]) -> None:
        """Give them back, and let the network manager look after them again."""
        giving_up.start_managers()
        giving_up.restore(addresses)
        for gateway in gateways:
            _attempt(f"gateway {gateway.address}", partial(live.set_gateway, gateway, None, on_link=True))
        # ifupdown has set its interfaces up in this boot, and does not do it again
        ways.take_routes(configured_in(self.etc) or NetworkState(), addresses, _attempt)


def _attempt(what: str, change: Callable[[], None]) -> None:
    """Change one thing of the network; the network manager may have one of its own in the way."""
    try:
        change()
    except CommandFailed as error:
        _log.warning("The %s: %s", what, error.sentence)


@dataclass(frozen=True)
class Holding:
    """This server, as far as holding it goes."""

    paths: Paths
    mute: Mute
    lines: Lines = field(default_factory=LiveLines)
    own: Units = field(default_factory=Units)
    read_units: Callable[[Paths], tuple[UnitFact, ...]] = read_units
    active_units: Callable[[], frozenset[str]] = production_units.active_units
    wanted_units: Callable[[], frozenset[str]] = production_units.wanted_at_boot
    still: Standstill | None = None
    made: Callable[[Paths], frozenset[str]] = made_by_files

    def apply(self) -> Hold | None:
        """Make true what held.json says, and return it; None if this server does not hold itself.

        Raise OSError or CommandFailed; doing it again does the rest.
        """
        hold = self.leave()
        if hold is None:
            return None
        # of a second start it may be the remainder: nothing is forgotten
        hold = replace(hold, ran=self._ran(hold, self.active_units()))
        production = self.production()
        self._stop_own()
        try:
            save_hold_for_good(self.paths, hold)
            for unit in _OWN:
                self.own.disable(unit)
            self.mute.apply(production)
        except (OSError, CommandFailed):
            save_hold(self.paths, hold)
            self._stand_still(production)
            raise
        return hold

    def _stand_still(self, production: frozenset[str]) -> None:
        """The disk takes nothing: let nothing of production run in this boot; the next try does the rest."""
        _log.error("What keeps production from starting cannot be written; it stands still in this boot.")
        self._standstill().block(production)
        self.mute.stop(unit for unit in self.active_units() if covers(production, unit))

    def _standstill(self) -> Standstill:
        return self.still or Standstill(self.paths)

    def leave(self) -> Hold | None:
        """Do the part of it that cannot wait: give production's addresses up, with what ran written down before.

        Only what is answered at once is asked: what of it is production's is found out when it is started again.
        """
        hold = held(self.paths)
        if hold is None:
            return None
        hold_network(self.paths)
        try:
            store.set_production(self.paths, False)
        except OSError as error:  # a disk that takes nothing: that must not keep the addresses
            _log.error("The production flag is still there: %s", error)
        if not hold.begun:
            hold = replace(
                hold,
                begun=True,
                ran=self._ran(hold, self._active()),
                addresses=self.staying(),
                gateways=self.lines.gateways(),
            )
            save_hold(self.paths, hold)
        self.lines.give_up(self.staying(), self._standby())
        if staying := self.staying():
            _log.error("Addresses of production are still up: %s", ", ".join(map(str, staying)))
            forget_left(self.paths)
        else:
            note_left(self.paths)
        return hold

    def staying(self) -> tuple[Address, ...]:
        """Return production's addresses that are up here now: those that a held server is to give up."""
        return to_give_up(self.lines.served(), self._standby(), self.made(self.paths))

    def _active(self) -> frozenset[str]:
        """Return the units that run; none where systemd does not answer: no address stays for that."""
        try:
            return self.active_units()
        except CommandFailed as error:
            _log.error("%s", error.sentence)
            return frozenset()

    def _ran(self, hold: Hold, active: frozenset[str]) -> tuple[str, ...]:
        """Given the units that run, return them with those that are known to have run, and were stopped since."""
        handover = current(self.paths, store.load_role(self.paths).highest_epoch)
        stopped = handover.ran if handover is not None and not handover.resumed else ()
        return tuple(sorted({*hold.ran, *stopped, *active}))

    def _standby(self) -> tuple[Address, ...]:
        """Return the addresses that were this server's own before it was promoted: nobody else takes them."""
        promotion = document.load_promotion(self.paths)
        return promotion.network.standby if promotion is not None else ()

    def production(self) -> frozenset[str]:
        """Return the units that must not run here, as a SLAVE of this server would hold them."""
        return self.mute.related({*ALWAYS_MUTED, *of_master(self.read_units(self.paths))})

    def _stop_own(self) -> None:
        """No run starts any more; the daemon stays, and goes on asking the other server."""
        for unit in (*_OWN, RUN):
            self.own.stop(unit)

    def release(self, epoch: int, why: str, units: ProductionUnits, now: float) -> Iterator[str]:
        """Let this server serve again, at `epoch`, and say why; return what is done, in words, as it is done.

        Cut anywhere, doing it again does the rest.
        """
        hold = load_hold(self.paths)
        if hold is None:
            return
        record = store.load_role(self.paths)
        if record.epoch < epoch:
            store.save_role(self.paths, replace(record, epoch=epoch, claim=None, since=now, why=why))
        save_hold(self.paths, replace(hold, released=True))
        yield f"this server is MASTER at epoch {epoch}"
        store.set_production(self.paths, True)
        units.unmute()
        self._standstill().unblock()
        self.paths.held_flag.unlink(missing_ok=True)
        self.lines.restore(hold.addresses, hold.gateways)
        yield "its addresses are taken again"
        production = self.production()
        # a server that was held as it booted ran nothing: what that boot would have started is due
        due = self.wanted_units().union(hold.ran)
        units.start_all(sorted(unit for unit in due if covers(production, unit)))
        drop_hold(self.paths)
        yield "production is started"

    def forget(self, units: ProductionUnits) -> None:
        """At a boot, before anything has started: this server is not held any more, and starts as it always does."""
        hold = load_hold(self.paths)
        if hold is None:
            return
        save_hold(self.paths, replace(hold, released=True))
        store.set_production(self.paths, True)
        units.unmute()
        self.paths.held_flag.unlink(missing_ok=True)
        drop_hold(self.paths)


def refuse_if_held(paths: Paths) -> None:
    """Raise StaleEpoch, or NotServing where no epoch is known, if this server holds itself."""
    hold = held(paths)
    if hold is None:
        return
    if not hold.is_certain:
        raise NotServing(reason=hold.why or "held.json cannot be read", hint=hint_of(hold))
    raise StaleEpoch(ours=store.load_role(paths).highest_epoch, theirs=hold.epoch, hint=hint_of(hold))
