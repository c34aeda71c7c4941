"""The order of a rejoin, in one place. A step that is done no longer appears, so continuing is planning again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from hotsync.model.plan import StepFor
from hotsync.model.ports.rejoining import Rejoining
from hotsync.model.rejoin import Rejoin, Way
from hotsync.steps.rejoin import (
    BecomeSlave,
    Begin,
    ClearPart,
    FinishRejoin,
    HoldGeneration,
    KeepFiles,
    MakeReplica,
    MovePart,
    TakeAddresses,
    TellMaster,
    WriteNetwork,
)

RejoinPlan = tuple[StepFor[Rejoining], ...]


@dataclass(frozen=True, slots=True)
class RejoinFacts:
    """What was read before planning: the rejoin that was `begun`, or the one that would be."""

    rejoin: Rejoin
    begun: bool = False


def plan_rejoin(facts: RejoinFacts) -> RejoinPlan:
    """Given the facts, return the steps still needed in their order; none once it is finished."""
    if facts.begun and facts.rejoin.finished_at:
        return ()
    done = facts.rejoin.done if facts.begun else frozenset[str]()
    return tuple(step for step in _steps(facts.rejoin) if step.key not in done)


def _steps(rejoin: Rejoin) -> Iterator[StepFor[Rejoining]]:
    """Nothing leaves its place before what was never received is in the vault and the copies are made, which may find
    no room; the role changes when the replica holds all of it. The MASTER lets the address go before this server's
    files say that it has it."""
    addresses = tuple(map(str, rejoin.own))
    yield Begin(rejoin)
    yield KeepFiles(rejoin.vault)
    yield MakeReplica()
    for part in sorted(rejoin.parts, key=lambda part: part.way is Way.MOVE):
        yield MovePart(part.path, part.way)
    yield HoldGeneration(rejoin.terms.generation)
    for part in rejoin.parts:
        if part.way is Way.CARRY:
            yield ClearPart(part.path)
    yield TellMaster()
    yield WriteNetwork(addresses)
    yield BecomeSlave(rejoin.terms.epoch, rejoin.master_host)
    yield TakeAddresses(addresses)
    yield FinishRejoin()
