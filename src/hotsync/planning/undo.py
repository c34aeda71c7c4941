"""The order in which a promotion is undone. A step that is done no longer appears, so continuing is planning again."""

from __future__ import annotations

from collections.abc import Iterator

from hotsync.model.plan import Plan, Step
from hotsync.model.promotion import ETC
from hotsync.model.undo import Place, UndoFacts
from hotsync.steps.undo import (
    BecomeSlave,
    BeginUndo,
    DumpDatabases,
    FinishUndo,
    GiveUpAddresses,
    KeepAside,
    NotePlaces,
    PutBack,
    ReloadOwn,
    ReopenReplica,
    SetOwnFolders,
    StopDatabases,
    StopProduction,
    TakeOwnNetwork,
)


def plan_undo(facts: UndoFacts) -> Plan:
    """Given the facts, return the steps that are still needed, in their order; none once it is finished.

    What goes back is only known once production stands still: until then the steps that are named are those that the
    promotion has fixed.
    """
    if facts.undo.finished_at:
        return ()
    done = facts.undo.done if facts.begun else frozenset[str]()
    return tuple(step for step in _steps(facts) if step.key not in done)


def _steps(facts: UndoFacts) -> Iterator[Step]:
    promotion = facts.promotion
    if not facts.begun:
        yield BeginUndo(promotion.epoch)
    if facts.is_slave:  # what follows from the role may not have come yet; nothing of production is touched any more
        yield BecomeSlave(promotion.epoch)
        yield FinishUndo()
        return
    takes_network = promotion.network.choice.takes_addresses
    yield StopProduction(facts.boot)
    if takes_network:
        yield GiveUpAddresses(tuple(str(address) for address in promotion.network.addresses), facts.boot)
    if facts.dumps:
        yield DumpDatabases()
    yield StopDatabases(facts.boot)
    yield NotePlaces()
    for place in facts.undo.places if facts.undo.noted else _expected(facts):
        yield PutBack(place.path, bool(place.own))
    yield SetOwnFolders()
    yield ReloadOwn(facts.boot)
    yield TakeOwnNetwork(facts.boot)
    yield KeepAside(f"/var/lib/hotsync/undone/{promotion.epoch}")
    yield ReopenReplica()
    yield BecomeSlave(promotion.epoch)
    yield FinishUndo()


def _expected(facts: UndoFacts) -> Iterator[Place]:
    """Return what is likely to go back, as far as it is known before production stands still."""
    if facts.tree_live:
        for unit in facts.promotion.units:
            yield Place(unit.path, 0, 1, "", "")
    if facts.promotion.etc_inode:
        yield Place(ETC, 0, 1, "", "")
