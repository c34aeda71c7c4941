"""A superseded MASTER: what hotsync-hold.service does, whom it tells, and the way back."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from hotsync.backends.mute import Mute
from hotsync.backends.production_units import ProductionUnits
from hotsync.backends.standstill import Standstill
from hotsync.backends.units import HELD_MAIL, HOLD
from hotsync.engine.one_master.hold import Holding
from hotsync.engine.one_master.still_served import signs_on_the_wire, word_of_peer
from hotsync.engine.rejoin.files import forget_attempt
from hotsync.errors import CommandFailed, HotSyncError, NotReady, StillServed, UsageError, WrongRole
from hotsync.flows.alarms import forget, forget_of_other_role
from hotsync.flows.boot_guard import own_addresses
from hotsync.flows.notify import Addressee, addressee_of, is_due, tell
from hotsync.flows.promote_notice import announce
from hotsync.flows.save import Surroundings, save
from hotsync.flows.undoing import refuse_if_undoing, undo_sentence
from hotsync.model.hold import Hold, hint_of, next_after_release, sentence_of
from hotsync.model.identity import Role
from hotsync.report.letters import EXCHANGE, HELD, HELD_BY_WAY, NEXT, Trouble
from hotsync.report.mail import LocalMailServer
from hotsync.state import promotion as document
from hotsync.state import store
from hotsync.state.alerts import AlertBook
from hotsync.state.handover import drop_units
from hotsync.state.hold import at_work, drop_released, held, load_hold, load_released, save_released
from hotsync.state.rejoin import is_moving
from hotsync.state.settings import read_settings
from hotsync.state.undo import is_undoing
from hotsync.system import command, lock
from hotsync.system.clock import Clock
from hotsync.system.paths import Paths

EXCHANGE_UNIT = "hotsync-exchange.service"
_THEN_BY_RELAY = "Its own mail server stops now: the next mails about this come through the relay (NotifyRelay)."
_THEN_NOTHING = (
    "Its own mail server stops now, and no relay is set (config setprop hotsync NotifyRelay HOST): no other mail about "
    "this comes before it serves again."
)
_log = logging.getLogger("hotsync.hold")
Wire = Callable[[Hold, Iterable[str], int], tuple[str, ...]]
"""Returns who answers for the addresses of production, in words."""


def hold(paths: Paths, clock: Clock, holding: Holding | None = None) -> bool:
    """Stop production here if this server was superseded, and tell everybody; return whether it is held."""
    with at_work(paths):
        seen = held(paths)
        if seen is None or not _has_production(paths):
            announce(paths, undo_sentence(paths))
            return False
        announce(paths, f"{sentence_of(seen)} {hint_of(seen)}")
        _log.error("%s", sentence_of(seen))
        if not seen.begun and not seen.planned:
            _tell_by_own_mail_server(paths, clock, seen)  # while it runs: it is production's
        holding = holding or Holding(paths, Mute(paths))
        holding.apply()
        Standstill(paths).unblock()  # the mute holds now what a hand-over held
        drop_units(paths)
        _log.error("Production's units are stopped.")
        command.run(["systemctl", "start", "--no-block", HELD_MAIL], ok=range(256))
        if staying := holding.staying():  # whoever started this tries again
            detail = f"{staying[0]} is still up on {staying[0].interface}"
            line = f"ip address del {staying[0]} dev {staying[0].interface}"
            raise CommandFailed(program="ip", status="without effect", detail=detail, line=line)
        _log.error("Production's addresses are given up.")
        if seen.planned:
            command.run(["systemctl", "start", "--no-block", EXCHANGE_UNIT], ok=range(256))
        return True


def _has_production(paths: Paths) -> bool:
    """Return whether there is anything to hold: neither on a SLAVE, nor where a promotion is undone and this server's
    own /etc is back, with its own mute and network."""
    promotion = document.load_promotion(paths)
    undone = is_undoing(paths) and promotion is not None and not document.has_productions_etc(paths, promotion)
    return store.load_role(paths).role is Role.MASTER and not undone


def trouble_of(hold: Hold) -> Trouble:
    """Return what a mail says of a hold."""
    meaning, code = "The other server serves. What was written here since its promotion is on this server alone.", ""
    if not hold.is_certain:
        meaning, code = "Perhaps nobody serves now: look at once.", "boot.hold"
    return Trouble(HELD, sentence_of(hold), hint_of(hold), meaning, code or "superseded")


def _tell_by_own_mail_server(paths: Paths, clock: Clock, hold: Hold) -> None:
    settings, _ = read_settings(paths)
    who = addressee_of(settings, Role.MASTER)
    local = tuple(carrier for carrier in who.carriers if isinstance(carrier, LocalMailServer))
    then = _THEN_NOTHING if settings.notify_relay is None else _THEN_BY_RELAY
    _tell(paths, clock, hold, Addressee(who.to, who.sender, local), then)


def mail_held(paths: Paths, clock: Clock) -> bool:
    """Tell by the relay that this server is held; return False if that should be tried again."""
    seen = held(paths)
    if seen is None or seen.planned:
        return True  # who planned it is told by the report
    settings, _ = read_settings(paths)
    # its own mail server is production's: it would keep the mail
    return _tell(paths, clock, seen, addressee_of(settings, Role.SLAVE))


def _tell(paths: Paths, clock: Clock, hold: Hold, who: Addressee, then: str = NEXT) -> bool:
    """Write the mail once by each kind of way; return False if one is due that nobody took."""
    book, now = AlertBook(paths), clock.now()
    about = _about(who)
    trouble = replace(trouble_of(hold), then=then)
    try:
        if who.carriers:
            tell(book, who, about, trouble, now)
        return not who.carriers or not is_due(book, about, trouble, now)
    except (HotSyncError, OSError) as error:
        _log.warning("nobody was told by mail: %s", error)
        return False


def _about(who: Addressee) -> str:
    own, relay = HELD_BY_WAY
    return own if _is_local(who) else relay


def _is_local(who: Addressee) -> bool:
    return any(isinstance(carrier, LocalMailServer) for carrier in who.carriers)


@dataclass(frozen=True, slots=True)
class MayServe:
    """A held server that may become the MASTER again, and what answers all the same for what it would take."""

    hold: Hold
    signs: tuple[str, ...] = ()


def may_rejoin_as_master(paths: Paths, clock: Clock, *, force: bool = False, wire: Wire | None = None) -> MayServe:
    """Return the hold of this server if it may become the MASTER again.

    Raise WrongRole on a SLAVE, UsageError if it is not held, Refused while the other server answers with its epoch,
    StillServed without `force` where somebody has its addresses, or the other server is on and does not say what it is.
    """
    record = store.load_role(paths)
    if record.role is not Role.MASTER:
        raise WrongRole(role=record.role.in_words, command="hotsync rejoin --as-master", wanted="a MASTER")
    hold = load_hold(paths)
    if hold is None:
        raise UsageError(reason="This MASTER is not held: it serves already.", hint="`hotsync status` shows it.")
    refuse_if_undoing(paths)
    if is_moving(paths):
        raise NotReady(
            reason="its data is on its way into a replica: a rejoin as SLAVE has begun",
            hint="Run `hotsync rejoin`, which goes on where it stopped; then `hotsync-promote` makes it the MASTER.",
        )
    settings, _ = read_settings(paths)
    said = word_of_peer(paths, clock)
    signs = (*said, *(wire or signs_on_the_wire)(hold, own_addresses(paths), settings.slave_port))
    if signs and not force:
        raise StillServed(evidence="; ".join(signs))
    return MayServe(hold, signs)


def rejoin_as_master(
    paths: Paths,
    clock: Clock,
    say: Callable[[str], None],
    holding: Holding | None = None,
    *,
    force: bool = False,
    wire: Wire | None = None,
) -> int:
    """Let this server serve again, by the administrator's word; return its epoch.

    It is above the one that held it: the other server yields when it comes back. Cut anywhere, the same command, a unit
    or a boot does the rest.
    """
    # nobody makes a replica of this server's data meanwhile
    with lock.held(paths.sync_lock, "run of HotSync"), at_work(paths):
        hold = may_rejoin_as_master(paths, clock, force=force, wire=wire).hold
        forget_attempt(paths, clock)
        record = store.load_role(paths)
        # what held it without a word may be a claim of the next epoch: of two with the same one neither would yield
        above = 1 if hold.is_certain else 2
        epoch = record.epoch if hold.released else max(record.highest_epoch, hold.epoch) + above
        command.run(["systemctl", "stop", HELD_MAIL], ok=range(256))
        why = "made MASTER again by hotsync rejoin --as-master"
        # from here on it is decided: if this command is ended, hotsync-released.service does the rest
        save_released(paths, epoch - 1)
        _release(paths, clock, epoch, why, say, holding)
    forget(AlertBook(paths), *HELD_BY_WAY, EXCHANGE)
    _arrange(paths, say)
    drop_released(paths)
    return epoch


def _release(
    paths: Paths, clock: Clock, epoch: int, why: str, say: Callable[[str], None], holding: Holding | None
) -> None:
    holding = holding or Holding(paths, Mute(paths))
    for done in holding.release(epoch, why, ProductionUnits(paths), clock.now()):
        say(done)
    # it stays active after its work, and would not be started by a later hold in this boot
    command.run(["systemctl", "stop", HOLD], ok=range(256))
    announce(paths, "")


def end_of_hold(paths: Paths) -> None:
    """This server is the SLAVE now: let units, console and mails forget that it was held, and was the MASTER."""
    forget(AlertBook(paths), *HELD_BY_WAY)
    forget_of_other_role(paths)
    command.run(["systemctl", "stop", HELD_MAIL, HOLD], ok=range(256))
    announce(paths, "")


def serve_again(paths: Paths, clock: Clock, holding: Holding | None = None) -> bool:
    """The other server gave its promotion up: take the epoch above it; where this server is held, serve, and tell.

    Return whether anything changed. Cut anywhere, doing it again does the rest.
    """
    with at_work(paths):
        if is_moving(paths):
            _log.error(
                "The other server gave its promotion up, and this one's data is in its replica already: nobody is the "
                "MASTER. Run hotsync-promote there, then hotsync rejoin here."
            )
            drop_released(paths)  # else the unit that looks for it would be started again at once, and for ever
            return False
        if is_undoing(paths):
            _log.error("The other server gave its promotion up, and this one's is being undone, too.")
            return False
        released, record, hold = load_released(paths), store.load_role(paths), load_hold(paths)
        epoch = next_after_release(record, hold.epoch if hold is not None else 0, released) if released else None
        if epoch is None:
            drop_released(paths)
            return False
        why = f"the other server gave its promotion to epoch {released} up"
        if hold is None and record.epoch != epoch:
            store.save_role(paths, replace(record, epoch=epoch, since=clock.now(), why=why))
            _log.warning("This MASTER is at epoch %d: %s.", epoch, why)
        elif hold is not None:
            forget_attempt(paths, clock)
            # it would go on to make this server the SLAVE; nothing has moved
            command.run(["systemctl", "stop", HELD_MAIL, EXCHANGE_UNIT], ok=range(256))
            _log.warning("This server serves again: %s.", why)
            _release(paths, clock, epoch, why, _log.warning, holding)
    if hold is not None:
        _arrange(paths, _log.warning)
        tell_that_it_serves(paths, clock)
    drop_released(paths)
    return True


def tell_that_it_serves(paths: Paths, clock: Clock, book: AlertBook | None = None) -> None:
    """Mail that what was mailed of the hold is over, by the ways that were used."""
    book = book or AlertBook(paths)
    settings, _ = read_settings(paths)
    every, relay = addressee_of(settings, Role.MASTER), addressee_of(settings, Role.SLAVE)
    local = tuple(carrier for carrier in every.carriers if isinstance(carrier, LocalMailServer))
    for who in (Addressee(every.to, every.sender, local), relay):
        try:
            if who.carriers:
                tell(book, who, _about(who), None, clock.now())
        except (HotSyncError, OSError) as error:
            _log.warning("nobody was told by mail: %s", error)


def _arrange(paths: Paths, say: Callable[[str], None]) -> None:
    """Start HotSync's own timers of a MASTER again; a fault in the settings is told, and stops nothing."""
    try:
        save(Surroundings(paths), say)
    except HotSyncError as error:
        say(f"HotSync does not run yet: {error.sentence} {error.hint}")
