"""A boot in the middle of a promotion: before production's network files are used, it is asked who has its addresses.

With its own /etc a server boots with its own network. From the exchange on the network's files give it production's
addresses, and the MASTER may have come back, or somebody switched it on since this server was dark.
"""

from __future__ import annotations

import logging

from hotsync.backends.network import giving_up
from hotsync.backends.network.quiet_links import quiet_links
from hotsync.config.schema import Settings
from hotsync.engine.one_master.boot_guard import Question
from hotsync.engine.one_master.hold import Lines
from hotsync.engine.undo.network import UndoNetwork
from hotsync.errors import HotSyncError
from hotsync.flows.boot_guard import Ask, ask_now
from hotsync.model.boot_guard import Answers, Decision, decide_claim
from hotsync.model.identity import Peer, Role, RoleRecord
from hotsync.model.promotion import Promotion
from hotsync.state import promotion as document
from hotsync.state import store
from hotsync.state.boot_hold import BootHold, save_boot_hold
from hotsync.state.hold import hold_network
from hotsync.state.settings import read_settings
from hotsync.system.clock import Clock
from hotsync.system.paths import Paths
from hotsync.transport.dial import Callee, Ours
from hotsync.transport.tls import load_identity

_log = logging.getLogger("hotsync.promote")


def guard_claim(paths: Paths, clock: Clock, ask: Ask = ask_now, lines: Lines | None = None) -> bool:
    """Return whether this boot may use the network as /etc says; where not, see to it that it has this server's own
    addresses, and none of production's.

    True wherever there is no promotion in the middle of which production's /etc is live. It never raises: if it cannot
    ask the boot goes on as without it.
    """
    try:
        found = _found_out(paths, clock, ask)
    except (HotSyncError, OSError) as error:
        _log.error("Nobody was asked who has production's addresses: %s", error)
        return True
    if found is None:
        return True
    promotion, answers, decision = found
    if decision.start:
        _log.info("Production's addresses are taken: %s.", decision.why)
        return True
    _log.error("Production's addresses are not taken: %s.", decision.why)
    try:
        _hold(paths, promotion, decision.why, lines, taken=answers.says_taken)
    except (HotSyncError, OSError) as error:  # the network is held first of all; the boot goes on
        _log.error("%s", error)
    return False


def _found_out(paths: Paths, clock: Clock, ask: Ask) -> tuple[Promotion, Answers, Decision] | None:
    """Ask, and return the promotion, the answers and what this boot does; None where nobody is to be asked."""
    record, peer = store.load_role(paths), store.load_peer(paths)
    settings, _ = read_settings(paths)
    promotion = document.unfinished_promotion(paths, record)
    if record.role is not Role.SLAVE or promotion is None or not document.has_productions_etc(paths, promotion):
        return None
    if peer is None or not settings.enabled or not settings.guard_seconds or not asked_for(promotion):
        return None
    with quiet_links() as links:
        answers = ask(_question(paths, settings, record, peer, promotion), clock, links)
        decision = decide_claim(answers, start_without_answer=settings.start_without_answer)
        if decision.start:
            links.down()
    return promotion, answers, decision


def asked_for(promotion: Promotion) -> frozenset[str]:
    """Return the addresses that a promotion takes, and that this server did not have before."""
    if not promotion.network.choice.takes_addresses:
        return frozenset()
    own = {address.address for address in promotion.network.standby}
    found = (each for each in promotion.network.addresses if not each.is_link_local and each.interface != "lo")
    return frozenset(each.address for each in found if each.address not in own)


def _question(paths: Paths, settings: Settings, record: RoleRecord, peer: Peer, promotion: Promotion) -> Question:
    """Whom to ask: a MASTER that hears the claim, which is the higher epoch, holds itself."""
    ours = Ours(record.highest_epoch, Role.SLAVE, "localhost", "0")
    address = peer.link_local.partition("%")[0]
    callee = Callee(address, settings.slave_port, ours, load_identity(paths), peer.fingerprint)
    return Question(callee, asked_for(promotion), float(settings.guard_seconds))


def _hold(paths: Paths, promotion: Promotion, why: str, lines: Lines | None, *, taken: bool) -> None:
    """Let no network manager start in this boot, and have the addresses of before; the promotion goes on by a person's
    word. Where somebody has production's it fences anew: what had reached the MASTER before did not prevent that."""
    hold_network(paths)
    save_boot_hold(paths, BootHold(promotion.epoch, why))
    try:
        if taken:
            document.fence_again(paths)
    finally:
        giving_up.wait_for_cards()
        UndoNetwork(paths, promotion, lambda note: document.add_note(paths, note), lines).give_up()
