"""Reads the facts of a promotion: from its document, and from what lies on the disk and runs right now."""

from __future__ import annotations

import socket
from collections.abc import Iterable

from hotsync.backends import loading_guard, production_units, selinux
from hotsync.backends.production_units import permit_flag
from hotsync.engine.fence.tiers import fences_left
from hotsync.engine.network.rollback import is_unproven
from hotsync.engine.promotion.accounts import PromotionAccounts
from hotsync.engine.promotion.files import units_left
from hotsync.engine.promotion.ground import Ground
from hotsync.engine.promotion.network_check import ADDRESSES_CHECK, missing_addresses
from hotsync.engine.promotion.prepared_etc import PreparedEtc
from hotsync.engine.promotion.roles import is_settled
from hotsync.engine.standby.warm import bytes_left
from hotsync.manifest.store import Manifest
from hotsync.model.entry import Kind
from hotsync.model.production import units_to_restart, units_to_start
from hotsync.model.promotion import How, Promotion, PromotionFacts
from hotsync.replica.reopen import LIVE, STATE
from hotsync.state import store
from hotsync.state.boot_hold import load_boot_hold
from hotsync.system.paths import Paths

UNITS_CHECK = "production.units"
"""The check that everything that ran on the MASTER runs here."""


def read_facts(paths: Paths, promotion: Promotion, ground: Ground, etc: PreparedEtc) -> PromotionFacts:
    """Given the promotion that is claimed or would be, return the facts of this host now."""
    active = production_units.active_units()
    master = ground.master
    candidates = ground.wanted
    known = production_units.known_units(candidates) | _carried_units(ground, candidates)
    left = units_left(promotion, paths)
    exchanged = etc.is_exchanged(promotion)
    takes_network = promotion.network.choice.takes_addresses
    # one that was killed after it took them: on a network that nobody has proven no data moves
    unproven = not exchanged and is_unproven(paths)
    with Manifest(paths.manifest) as manifest:
        tree_live = manifest.meta(STATE) == LIVE
        copied = [unit.path for unit in left if unit.how is How.COPY and promotion.copy_of(unit.path) is None]
        copy_bytes = sum(entry.size for path in copied for entry in manifest.entries(path))
        flagged = sum(1 for entry in manifest.flagged() if entry.kind in (Kind.FILE, Kind.DIRECTORY))
    return PromotionFacts(
        role=store.load_role(paths),
        promotion=promotion,
        fences=fences_left(paths, promotion),
        addresses_missing=takes_network and (bool(missing_addresses(promotion.network)) or unproven),
        host_name=socket.gethostname(),
        accounts_differ=not exchanged and PromotionAccounts(paths).differ,
        tree_live=tree_live,
        units_left=left,
        etc_exchanged=exchanged,
        network_held=takes_network and load_boot_hold(paths, promotion.epoch) is not None,
        copy_bytes=copy_bytes,
        databases=master.dumps,
        dump_bytes=sum(bytes_left(paths, dump) for dump in master.dumps),
        servers_down=frozenset(dump.unit for dump in master.dumps if not dump.at_rest) - active,
        clients_held=loading_guard.is_held(),
        permitted=permit_flag(paths).exists(),
        attributes=flagged,
        labels=selinux.is_enabled(paths),
        quotas=sum(len(quota.limits) for quota in master.quotas),
        rebuilds=ground.rebuilds,
        start_orders=tuple(profile.services.start for profile in ground.profiles),
        units_to_restart=units_to_restart(candidates, promotion.running, active),
        units_to_start=units_to_start(candidates, known, active),
        checks=check_names(ground),
        settled=is_settled(paths),
        muted=production_units.has_mute(paths),
    )


def check_names(ground: Ground) -> tuple[str, ...]:
    """Return the names of the checks: addresses and units first, then those of the applications."""
    return (ADDRESSES_CHECK, UNITS_CHECK, *ground.checks)


def _carried_units(ground: Ground, candidates: Iterable[str]) -> frozenset[str]:
    """Return those units that the MASTER's /etc brings: they exist here once it is exchanged."""
    folder = ground.tree / "etc/systemd/system"
    found: set[str] = set()
    for unit in candidates:
        stem, at, rest = unit.partition("@")
        template = f"{stem}@.{rest.rpartition('.')[2]}" if at else unit
        if (folder / unit).is_file() or (folder / template).is_file():
            found.add(unit)
    return frozenset(found)
