"""`hotsync rejoin`: facts -> plan -> execute -> report. A superseded MASTER becomes the SLAVE of its successor."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from hotsync.backends.network.addresses import read_addresses
from hotsync.engine.execute import execute
from hotsync.engine.network.own_network import last_told, made_by_files, named_addresses
from hotsync.engine.rejoin.host import RejoinHost
from hotsync.engine.rejoin.nethserver import database_records
from hotsync.engine.rejoin.network import network_files
from hotsync.engine.rejoin.place import checked_place
from hotsync.engine.rejoin.room import check_room
from hotsync.engine.rejoin.terms import ask
from hotsync.engine.rejoin.vault import read_summary
from hotsync.engine.rejoin.work import drop_part
from hotsync.errors import NotReady, Refused, UsageError, WrongRole
from hotsync.flows.hold import end_of_hold
from hotsync.flows.rejoin_live import live_parts, live_rules
from hotsync.model.hold import Hold
from hotsync.model.identity import Role
from hotsync.model.network.leases import addresses_of
from hotsync.model.network.values import Address
from hotsync.model.plan import StepFor
from hotsync.model.ports.rejoining import Rejoining
from hotsync.model.rejoin import FILES_KEPT, Rejoin
from hotsync.model.rejoin_addresses import address_of_master, host_name_as_slave, of_production, own_addresses
from hotsync.model.vault import VaultSummary
from hotsync.planning.addresses import used_gateways
from hotsync.planning.rejoin import RejoinFacts, RejoinPlan, plan_rejoin
from hotsync.state import rejoin as document
from hotsync.state import store
from hotsync.state.hold import load_hold
from hotsync.state.promotion import load_promotion
from hotsync.system import lock
from hotsync.system.clock import Clock
from hotsync.system.paths import Paths

REJOIN = "rejoin of this server"
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Prospect:
    """What a rejoin would do, or what is left of one that was `begun`."""

    facts: RejoinFacts
    plan: RejoinPlan

    @property
    def rejoin(self) -> Rejoin:
        """Return the rejoin."""
        return self.facts.rejoin


@dataclass(frozen=True, slots=True)
class Rejoined:
    """How a rejoin ended: its document, and what the vault holds (None: it was taken away)."""

    rejoin: Rejoin
    vault: VaultSummary | None


def _live_addresses() -> tuple[Address, ...]:
    return read_addresses(fixed_only=True)


def prospect(
    paths: Paths,
    clock: Clock,
    vault: Path | None,
    live_addresses: Callable[[], tuple[Address, ...]] = _live_addresses,
) -> Prospect:
    """Return what a rejoin would do; nothing is changed.

    Raise WrongRole on a SLAVE, UsageError where this server is not held, Refused where nobody said that it was
    superseded or the vault would not stay where it is wished, PeerError where the new MASTER does not answer,
    ReplicaError where there is no room for what is copied.
    """
    begun = document.unfinished_rejoin(paths)
    if begun is not None:
        facts = RejoinFacts(_with_vault(paths, begun, vault), begun=True)
        return Prospect(facts, plan_rejoin(facts))
    hold = _may_rejoin(paths)
    told = ask(paths, clock, max(store.load_role(paths).highest_epoch, hold.epoch))
    if told.terms.epoch < hold.epoch:
        raise Refused(
            reason=f"the other server is at epoch {told.terms.epoch}, and this one was superseded by {hold.epoch}",
            hint="Look at the other server: was it put back from a backup?",
        )
    rules = live_rules(paths)
    parts = live_parts(paths, rules)
    vaults = checked_place(paths, vault or default_vaults(paths), parts.parts, rules)
    now, etc, peer = clock.now(), paths.at("/etc"), store.load_peer(paths)
    promotion = load_promotion(paths)
    kept = promotion.network.standby if promotion is not None else ()
    network = last_told(paths)
    made = made_by_files(paths)
    known = addresses_of(network, configured=made)
    gone = of_production(hold.addresses, named_addresses(paths), known, told.terms.serving, kept)
    own = own_addresses(told.terms.standby, gone, kept, live_addresses(), made)
    gateways = hold.gateways or tuple(reversed(used_gateways(network)))
    rejoin = Rejoin(
        terms=told.terms,
        started_at=now,
        vault=str(vaults / _vault_name(now, told.terms.epoch)),
        parts=parts.parts,
        folders=parts.folders,
        master_host=address_of_master(own, gone) or told.address,
        own=own,
        gateways=gateways,
        name=host_name_as_slave(socket.gethostname(), peer.name if peer is not None else ""),
        files=tuple(network_files(etc, gone, own, gateways, network).items()),
        database=tuple(database_records(paths, gone, own).items()),
        given_up=gone,
    )
    check_room(paths, rejoin.to_copy)
    facts = RejoinFacts(rejoin)
    return Prospect(facts, plan_rejoin(facts))


def _with_vault(paths: Paths, begun: Rejoin, vault: Path | None) -> Rejoin:
    """Given a rejoin that has begun, return it with its vault where it is wished now.

    Raise Refused where that would not stay, UsageError where the vault is whole already, and lies somewhere else.
    """
    before = Path(begun.vault)
    if vault is None or Path(os.path.realpath(vault)) == before.parent:
        return begun
    if FILES_KEPT in begun.done or before.is_dir():
        raise UsageError(
            reason=f"The vault of this rejoin is made already: {before}",
            hint="Run hotsync rejoin without --vault; afterwards you may move it wherever you like.",
        )
    place = checked_place(paths, vault, begun.parts, live_rules(paths))
    return replace(begun, vault=str(place / before.name))


def _move_vault(paths: Paths, rejoin: Rejoin) -> None:
    """Write down that the vault is made somewhere else; what there is of it at the place before goes."""
    known = document.unfinished_rejoin(paths)
    if known is not None and known.vault != rejoin.vault:
        drop_part(known.vault)
        document.save_rejoin(paths, replace(known, vault=rejoin.vault))


def default_vaults(paths: Paths) -> Path:
    """Return the folder of vaults, where no other one is named."""
    return paths.state / "vault"


def _vault_name(now: float, epoch: int) -> str:
    return f"{time.strftime('%Y-%m-%d-%H%M%S', time.localtime(now))}-epoch-{epoch}"


def _may_rejoin(paths: Paths) -> Hold:
    record, hold = store.load_role(paths), load_hold(paths)
    if record.role is not Role.MASTER:
        raise WrongRole(role=record.role.in_words, command="hotsync rejoin", wanted="a MASTER that was superseded")
    if hold is None or hold.released:
        raise UsageError(reason="This MASTER is not held: it serves.", hint="`hotsync status` shows it.")
    if not hold.is_certain:
        raise Refused(
            reason=f"nobody said that this server was superseded ({hold.why or 'held.json cannot be read'})",
            hint="Remove the cause and reboot it; or `hotsync rejoin --as-master`.",
        )
    if not hold.begun:
        raise NotReady(
            reason="production is still being stopped here",
            hint="`systemctl status hotsync-hold` shows it; then again.",
        )
    return hold


def step_line(step: StepFor[Rejoining], number: int, count: int) -> str:
    """Return how a step that begins is shown."""
    return f"[{number}/{count}] {step.title}"


def rejoin_as_slave(
    paths: Paths, clock: Clock, say: Say, vault: Path | None, host: Rejoining | None = None
) -> Rejoined:
    """Become the SLAVE of the server that took this one's place, or go on with that; raise Refused, Busy, PeerError or
    StepFailed. Cut anywhere, the same command does the rest."""
    with lock.held(paths.rejoin_lock, REJOIN), lock.held(paths.sync_lock, "run of HotSync"):
        seen = prospect(paths, clock, vault)
        _move_vault(paths, seen.rejoin)

        def tell(step: StepFor[Rejoining], number: int, count: int) -> None:
            say(step_line(step, number, count))

        real = host or RejoinHost(paths, clock, after_hold=lambda: end_of_hold(paths))
        execute(seen.plan, real, clock, lambda record: document.add_record(paths, record), tell)
        done = document.load_rejoin(paths)
    if done is None:
        raise Refused(reason="the rejoin of this server has no document any more")
    return Rejoined(done, read_summary(Path(done.vault)))
