"""The Network port of a promotion, and what is read of the MASTER's network before it is planned."""

from __future__ import annotations

import ipaddress
import logging
import socket
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

from hotsync.backends import loading_guard
from hotsync.backends.network import addresses as live
from hotsync.backends.network import esmith, giving_up, ifupdown, live_links
from hotsync.backends.network.detect import network_system
from hotsync.backends.network.snapshot import Before
from hotsync.engine.network import before as network_before
from hotsync.engine.network import coming_back as network_return
from hotsync.engine.network import own_database, ways
from hotsync.engine.network import trial as network_trial
from hotsync.engine.network.rollback import Rollback, guard_by_settings
from hotsync.engine.network.writing import link_files, master_state, written
from hotsync.errors import CommandFailed, ConfigError, NetworkSilent
from hotsync.model.network.trial import Why
from hotsync.model.network.values import Address, Interface, NetworkState, is_on_link
from hotsync.model.promotion import ETC, NetworkPlan, Promotion
from hotsync.state.boot_hold import drop_boot_hold, load_boot_hold
from hotsync.state.configdb import find_database
from hotsync.state.settings import read_settings
from hotsync.system.clock import SystemClock
from hotsync.system.paths import Paths

_log = logging.getLogger("hotsync.network")
_NOT_HELD = (
    "Clients could reach the database servers while they were loaded (nftables is not usable here): look whether "
    "anybody wrote into them in those seconds."
)
_NOT_BY_FILES = (
    "With the network as its files configure it nobody answered, so the addresses were put back as they were before "
    "they were read, which lasts until the next boot. Look at the network's files in /etc before."
)

_NOT_RUN = (
    "/etc/network/interfaces has commands that ifup runs at the next boot, and nobody ran them now: run those that are "
    "needed before by hand: {lines}."
)
_NOT_OWN = (
    "The database `networks` is the MASTER's: it was in place when this server's network was chosen. The next event "
    "that writes the network's files would give this server the MASTER's addresses. Set its records first "
    "(db networks), then: signal-event interface-update."
)
_BESIDE = "The database `networks` is still this server's own; of the MASTER's it has taken: {keys}."
_STAYS_HELD = (
    "The network files in /etc are the MASTER's, and another machine has its addresses: until the next boot this "
    "server has the addresses that it had before, and no program looks after them. Set its network up before that."
)


class PromotionNetwork:
    """Takes production's addresses, keeping the standby address as a second one.

    What the network does not take is noted and stops nothing: the other addresses are worth having, and a check is red.
    """

    def __init__(
        self,
        paths: Paths,
        promotion: Callable[[], Promotion],
        note: Callable[[str], None],
        rollback: Rollback | None = None,
    ) -> None:
        self._paths = paths
        self._promotion = promotion
        self._note = note
        self._try = partial(attempt, note)
        self._given = rollback

    def take_addresses(self) -> None:
        """Bring up the MASTER's addresses, gateways, static routes and MTUs, on bonds, bridges and VLANs that are made
        for it, and tell the neighbours; no address is taken away.

        Raise NetworkSilent, with the network as it was, if nobody answers who did before; ConfigError, with nothing
        done, where a setting is wrong that says who must.
        """
        promotion, state = self._promotion(), self._state()
        plan = promotion.network
        rollback = self._given or guard_by_settings(self._paths, SystemClock(), self._note)
        made = live_links.to_make(state, live.read_interfaces())
        network_before.remember(self._paths, promotion.epoch, (each.name for each in made))
        before = rollback.arm((each.name for each in made), plan.gateways)
        self._take(plan, state, made)
        if before is not None:
            rollback.prove(before, self._gateways_here(plan), plan.addresses)

    def _state(self) -> NetworkState:
        """Return the network that this server is to have, empty where its files are not understood."""
        try:
            return master_state(self._paths.replica / "tree" / ETC, self._promotion().network)
        except ConfigError:
            return NetworkState()  # told before the claim

    def _rollback(self) -> Rollback:
        """Return what guards the network once more; by now a wrong setting is no reason to stop."""
        settings, _ = read_settings(self._paths)
        seconds, probe = settings.rollback_seconds, settings.network_probe
        return self._given or Rollback(self._paths, SystemClock(), seconds, probe, tell=self._note)

    def _gateways_here(self, plan: NetworkPlan) -> tuple[Address, ...]:
        here = live.read_interfaces()
        return tuple(gateway for gateway in plan.gateways if gateway.interface in here)

    def _take(self, plan: NetworkPlan, state: NetworkState, made: Iterable[Interface]) -> None:
        for interface in made:
            self._try(f"interface {interface.name}", partial(live_links.make, interface))
        for port, master in live_links.to_join(state, live_links.read_masters()):
            self._try(f"port {port} of {master.name}", partial(live_links.join, port, master))
        for lease in plan.leases:
            self._note(f"{lease} was lent to the MASTER by DHCP; it is fixed here: reserve it on the DHCP server.")
        ways.take_mtus(state, self._try)
        here = live.read_interfaces()
        for address in (*plan.addresses, *plan.standby):
            if address.interface in here:
                self._try(f"address {address} on {address.interface}", partial(live.add, address))
        for address in reversed(plan.addresses):
            if address.interface in here:
                self._try(f"source address {address} on {address.interface}", partial(live.prefer, address))
        own = live.read_addresses()
        for gateway in plan.gateways:
            if gateway.interface in here:
                on_link = is_on_link(gateway, own)
                setting = partial(live.set_gateway, gateway, _source_for(gateway, plan), on_link=on_link)
                self._try(f"gateway {gateway.address} on {gateway.interface}", setting)
        ways.take_routes(state, plan.addresses, self._try)
        live.announce(address for address in plan.addresses if address.interface in here)

    def set_host_name(self, name: str) -> None:
        """Make `name` this host's name now."""
        socket.sethostname(name)

    def activate(self) -> None:
        """Let the network manager read the exchanged /etc; then make sure that no address was lost on the way."""
        if self._stays_held():
            self._note(_STAYS_HELD)
            return
        etc = self._paths.at("/etc")
        system = network_system(etc)
        if system is not None and system.name == esmith.NAME and not self._keep_database():
            system = None
        plan = self._promotion().network
        rollback = self._rollback()
        if said := network_return.settle(self._paths):
            self._note(said)
        before = rollback.arm((), plan.gateways) if plan.choice.takes_addresses else None
        was_held = self._end_boot_hold()
        if system is not None:
            self._try(f"configuration of {system.name}", partial(system.activate, etc))
        if not plan.choice.takes_addresses:
            live.announce(live.read_addresses())  # the MASTER's may be among them, given by hand
            return
        state = self._state()
        self._take(plan, state, live_links.to_make(state, live.read_interfaces()))
        try:
            if before is not None:
                rollback.prove(before, self._gateways_here(plan), plan.addresses)
            network_trial.end(self._paths)
            if system is not None and system.name == ifupdown.NAME and not was_held:
                self._note_commands(state)
        except NetworkSilent as error:
            _log.warning("%s", error.sentence)
            assert before is not None
            self._files_back(before)

    def _stays_held(self) -> bool:
        """Return whether this boot held the network, and its files would bring addresses that nobody wants any more."""
        promotion = self._promotion()
        held = load_boot_hold(self._paths, promotion.epoch) is not None
        return held and not promotion.network.choice.takes_addresses and not network_return.is_back(self._paths)

    def _note_commands(self, state: NetworkState) -> None:
        """Say which lines of ifupdown's file nobody has run: they are a person's, and may do anything."""
        if left := ifupdown.commands(state):
            self._note(_NOT_RUN.format(lines=", ".join(f"`{line}`" for line in left)))

    def _end_boot_hold(self) -> bool:
        """Let the network manager start again, where this boot held it since somebody else had the addresses; return
        whether it did."""
        if load_boot_hold(self._paths, self._promotion().epoch) is None:
            return False
        self._paths.held_flag.unlink(missing_ok=True)
        self._try("network's own program", partial(giving_up.start_managers, self._paths.at("/etc")))
        drop_boot_hold(self._paths)
        return True

    def _files_back(self, before: Before) -> None:
        """Let no boot use the files with which nobody answered."""
        returned = network_return.go_back(self._paths, Why.SILENT)
        if returned.said:
            self._note(returned.said)
        elif not network_return.is_back(self._paths):
            self._note(_NOT_BY_FILES)
        if returned.whole:
            network_return.follow(self._paths, before)

    def _keep_database(self) -> bool:
        """Let NethServer's database say what this server's network is to be: its event writes all files of it anew.

        Return whether that event may be signalled.
        """
        promotion = self._promotion()
        own = own_database.is_own(promotion)
        if promotion.network.choice.takes_addresses:
            if own:  # its own network was to stay when this promotion began
                own_database.take_all(self._paths)
            self._keep_standby(promotion.network.standby)
            return True
        if not own:
            self._note(_NOT_OWN)
            return False
        if keys := own_database.take_the_rest(self._paths):
            self._note(_BESIDE.format(keys=", ".join(keys)))
        return True

    def _keep_standby(self, standby: Iterable[Address]) -> None:
        database = find_database("networks", self._paths)
        database.update(lambda document: esmith.add_aliases(document, standby))

    def hold_clients(self) -> None:
        """Let no new connection in but to what listens now; without nftables say so, and go on."""
        try:
            loading_guard.hold()
        except CommandFailed as error:
            _log.warning("%s", error.sentence)
            self._note(_NOT_HELD)

    def admit_clients(self) -> None:
        """Let connections in again; raise CommandFailed if that fails."""
        if loading_guard.is_held():
            loading_guard.admit()


def attempt(note: Callable[[str], None], what: str, change: Callable[[], None]) -> None:
    """Change one thing of the network; where it does not take it, that is noted, and stops nothing."""
    try:
        change()
    except CommandFailed as error:
        _log.warning("%s", error.sentence)
        note(f"The network did not take the {what}: {error.facts.get('detail')}. {error.hint}")


def _source_for(gateway: Address, plan: NetworkPlan) -> Address | None:
    """Return production's address in the gateway's network, if it has one."""
    for address in plan.addresses:
        same = address.interface == gateway.interface and address.version == gateway.version
        if same and ipaddress.ip_address(gateway.address) in ipaddress.ip_interface(str(address)).network:
            return address
    return None


def network_files(tree_etc: Path, etc: Path, promotion: Promotion) -> dict[str, str | None]:
    """Given the MASTER's /etc and the folder that will be ours, return the files that keep this server's network over a
    boot (None: to be removed).

    They name the MASTER's cards as this server does, and give it the standby address.
    """
    system, plan = network_system(etc), promotion.network
    if plan.choice.takes_addresses and plan.system:
        return {**written(tree_etc, etc, plan), **link_files(plan)}
    if system is None or not plan.choice.takes_addresses:
        return {}
    try:
        configured = set(system.read(etc).addresses)
    except ConfigError as error:
        _log.warning("%s", error.sentence)  # told before the claim; what we add stands beside what we do not understand
        configured = set[Address]()
    standby = [address for address in promotion.network.standby if address not in configured]
    try:
        named = system.by_name(etc, dict(promotion.network.cards))
        further = system.standby(etc, standby, named)
    except ConfigError as error:
        _log.warning("%s", error.sentence)
        return {**link_files(plan)}
    return {**named, **further, **link_files(plan)}


def read_master_network(tree_etc: Path) -> NetworkState | None:
    """Given the MASTER's /etc in the replica, return its network, None if no known system configures it.

    Raise ConfigError with the line that is not understood.
    """
    system = network_system(tree_etc)
    return None if system is None else system.read(tree_etc)
