"""The order of a promotion, in one place. A step that is done no longer appears, so continuing is planning again."""

from __future__ import annotations

from collections.abc import Iterator

from hotsync.model.plan import Plan, Step, in_order
from hotsync.model.production import start_waves
from hotsync.model.promotion import How, PromotionFacts
from hotsync.steps.checks import RunCheck
from hotsync.steps.databases import LoadDatabases, StartServer
from hotsync.steps.fence import Fence
from hotsync.steps.files import (
    Exchange,
    ExchangeEtc,
    MakeAnew,
    MarkTreeLive,
    PrepareEtc,
    RestoreLabels,
    SetAttributes,
    SetFolders,
    SetQuotas,
)
from hotsync.steps.network import ActivateNetwork, AdmitClients, HoldClients, SetHostName, TakeAddresses
from hotsync.steps.packages import InstallPackages, TakeNumbers
from hotsync.steps.roles import BecomeMaster, Claim, FinishPromotion, SettleRole
from hotsync.steps.services import (
    ApplySettings,
    PermitProduction,
    ReloadUnits,
    RestartUnits,
    StartUnits,
    Unmute,
)


def plan_promote(facts: PromotionFacts) -> Plan:
    """Given the facts, return the steps still needed, in the order of the phases; none once it is finished."""
    if facts.claimed and facts.promotion.finished_at:
        return ()
    if facts.claimed and facts.is_master:
        return tuple(_settle(facts))  # not by phase: here units start after the role's consequences, as at a boot
    return in_order((*_into_place(facts), *_into_service(facts), BecomeMaster(facts.promotion.epoch), *_settle(facts)))


def _into_place(facts: PromotionFacts) -> Iterator[Step]:
    """Claim, network, accounts, packages, configuration and data."""
    promotion, done = facts.promotion, facts.promotion.done
    if not facts.claimed:
        yield Claim(promotion)
    if facts.fences:
        yield Fence(facts.fences)  # before this server has the MASTER's addresses: they are where it is reached
    if promotion.network.choice.takes_addresses and facts.addresses_missing:
        yield TakeAddresses(tuple(str(address) for address in promotion.network.addresses))
    if promotion.network.host_name and facts.host_name != promotion.network.host_name:
        yield SetHostName(promotion.network.host_name)
    if facts.accounts_differ:
        yield TakeNumbers()
    if facts.packages_missing and not _tried(done, "packages.install"):
        yield InstallPackages(facts.packages_missing)
    if not facts.tree_live:
        yield MarkTreeLive()
    for unit in facts.units_left:
        yield Exchange(unit.path, unit.how)
    if promotion.folders and not _tried(done, "files.folders"):
        yield SetFolders(len(promotion.folders))
    if not facts.etc_exchanged:
        yield PrepareEtc()
        yield ExchangeEtc()
    if facts.labels and (not facts.etc_exchanged or not _tried(done, "files.labels")):
        yield RestoreLabels()  # before anything reads what moved
    for each in facts.rebuilds:
        step = MakeAnew(each.name, each.make, each.paths)
        if not facts.etc_exchanged or not _tried(done, step.key):
            yield step
    # what kernel and running managers hold in memory is not visible on the disk: the journal proves it, and doing it
    # twice does no harm; after a boot they have read the new files anyway
    if not facts.etc_exchanged or not _tried(done, "services.reload"):
        yield ReloadUnits()
    if not facts.etc_exchanged or not _tried(done, "services.settings"):
        yield ApplySettings()
    if not facts.etc_exchanged or facts.network_held or not _tried(done, "network.activate"):
        yield ActivateNetwork()


def _into_service(facts: PromotionFacts) -> Iterator[Step]:
    """Databases, file attributes, units, checks."""
    done = facts.promotion.done
    loads = [LoadDatabases(dump.engine, dump.instance, dump.digest, dump.size) for dump in facts.databases]
    # a server that is loaded at rest lets nobody in
    left = any(load.key not in done for dump, load in zip(facts.databases, loads, strict=True) if not dump.at_rest)
    if left and not facts.clients_held:
        yield HoldClients()  # before the first server may start
    if not facts.permitted:
        yield PermitProduction()
    for dump, load in zip(facts.databases, loads, strict=True):
        if dump.unit in facts.servers_down:
            yield StartServer(dump.engine, dump.instance, dump.unit)
        if load.key not in done:
            yield load
    if left or facts.clients_held:
        yield AdmitClients()
    if facts.attributes and not _tried(done, "files.attributes"):
        yield SetAttributes(facts.attributes)
    if facts.quotas and not _tried(done, "files.quotas"):
        yield SetQuotas(facts.quotas)
    if facts.units_to_restart and not _tried(done, "services.restart"):
        yield RestartUnits(facts.units_to_restart)
    yield from _starts(facts)
    for name in facts.checks:
        check = RunCheck(name)
        if check.key not in done:
            yield check


def _settle(facts: PromotionFacts) -> Iterator[Step]:
    """What follows from the role; the mute goes after the role has changed, and never before."""
    if facts.is_master and facts.clients_held:
        yield AdmitClients()
    if not (facts.is_master and facts.settled):
        yield SettleRole()
    if not facts.is_master or facts.muted:
        yield Unmute()
    if facts.is_master and not facts.permitted and facts.units_to_start:
        yield from _starts(facts)  # the machine died between role and flag: nothing started at this boot
    yield FinishPromotion()


def _starts(facts: PromotionFacts) -> Iterator[Step]:
    waves = start_waves(facts.units_to_start, facts.start_orders)
    yield from (StartUnits(units, number) for number, units in enumerate(waves, start=1))


def _tried(done: frozenset[str], key: str) -> bool:
    return key in done


def copies(facts: PromotionFacts) -> tuple[str, ...]:
    """Return the paths that must be copied because they lie on another file system: what makes a promotion slow."""
    return tuple(unit.path for unit in facts.units_left if unit.how is How.COPY)
