"""What hotsync-guard.service does at the boot of a MASTER, before the network is up."""

from __future__ import annotations

import logging
from collections.abc import Callable

from hotsync.backends.mute import Mute
from hotsync.backends.network.quiet_links import QuietLinks, quiet_links
from hotsync.backends.production_units import ProductionUnits
from hotsync.config.schema import Settings
from hotsync.engine.network.own_network import configured, last_leases
from hotsync.engine.one_master.boot_guard import ARP_SECONDS, Asking, Question
from hotsync.engine.one_master.hold import Holding
from hotsync.model.boot_guard import Answers, Decision, decide
from hotsync.model.hold import HeardBy, Hold
from hotsync.model.identity import Peer, Role, RoleRecord
from hotsync.state import promotion as document
from hotsync.state import store
from hotsync.state.hold import load_hold, save_hold
from hotsync.state.settings import read_settings
from hotsync.system.clock import Clock
from hotsync.system.paths import Paths
from hotsync.transport.dial import Callee, Ours
from hotsync.transport.tls import load_identity

Ask = Callable[[Question, Clock, QuietLinks], Answers]
_log = logging.getLogger("hotsync.guard")


def ask_now(question: Question, clock: Clock, links: QuietLinks) -> Answers:
    """Ask on the cards of this server, and return what came back."""
    return Asking(question, clock, links).ask()


def guard_boot(
    paths: Paths, clock: Clock, holding: Holding | None = None, units: ProductionUnits | None = None, ask: Ask = ask_now
) -> bool:
    """Decide whether production starts in this boot, and make it so; return whether it does."""
    holding, units = holding or Holding(paths, Mute(paths)), units or ProductionUnits(paths)
    record, hold = store.load_role(paths), load_hold(paths)
    if record.role is not Role.MASTER:
        return True
    if hold is not None and not hold.released and (hold.is_certain or not hold.why):
        holding.apply()  # the other server said it: no boot changes that
        return False
    settings, _ = read_settings(paths)
    peer = store.load_peer(paths)
    if peer is None and hold is not None and not hold.released and settings.enabled and settings.guard_seconds:
        holding.apply()  # it held itself for want of a word, and there is nobody left who could give it
        return False
    if peer is None or not settings.enabled or not settings.guard_seconds or (hold is not None and hold.released):
        holding.forget(units)
        return True
    with quiet_links() as links:
        decision = _decision(paths, clock, settings, record, peer, lambda question: ask(question, clock, links))
        if decision.start:
            links.down()
    if decision.start:
        _log.info("Production starts: %s.", decision.why)
        holding.forget(units)
        return True
    _log.error("Production does not start: %s.", decision.why)
    save_hold(paths, Hold(decision.epoch, clock.now(), HeardBy.BOOT, why=decision.why))
    holding.apply()
    return False


def _decision(
    paths: Paths,
    clock: Clock,
    settings: Settings,
    record: RoleRecord,
    peer: Peer,
    ask: Callable[[Question], Answers],
) -> Decision:
    ours = Ours(record.highest_epoch, Role.MASTER, "localhost", "0")
    address = peer.link_local.partition("%")[0]
    callee = Callee(address, settings.slave_port, ours, load_identity(paths), peer.fingerprint)
    seconds = float(settings.guard_seconds)
    if not settings.slave_host:
        seconds = min(seconds, ARP_SECONDS)  # whoever has no SLAVE was superseded by none: only a rejoin could have
    answers = ask(Question(callee, own_addresses(paths), seconds))
    return decide(answers, start_without_answer=settings.start_without_answer)


def own_addresses(paths: Paths) -> frozenset[str]:
    """Return the addresses of production that this server's files give it, and those that a DHCP server had lent to it;
    where the files are not understood, those that it was last known to have."""
    promotion = document.load_promotion(paths)
    standby = {address.address for address in promotion.network.standby} if promotion is not None else set[str]()
    state = configured(paths)
    found = (*(state.addresses if state is not None else ()), *last_leases(paths, state))
    return frozenset(
        address.address
        for address in found
        if not address.is_link_local and address.interface != "lo" and address.address not in standby
    )
