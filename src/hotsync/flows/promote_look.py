"""What is looked at before a promotion is planned: the MASTER's network and signs of life, and this server's files."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from hotsync.backends.network import addresses as live
from hotsync.config.schema import Fault
from hotsync.engine.checks import ports_of
from hotsync.engine.listing import DiskListing
from hotsync.engine.one_master.silence import internet_answers, signs_of_life
from hotsync.engine.promotion.ground import Ground
from hotsync.engine.promotion.master_facts import spool_of_tree
from hotsync.engine.promotion.network import read_master_network
from hotsync.engine.slave.node_names import control_text, nodes_differing
from hotsync.engine.standby import standbys
from hotsync.errors import ConfigError
from hotsync.model.data_age import ServerAge, with_standbys
from hotsync.model.entry import Kind, parent_of
from hotsync.model.generation import Generation
from hotsync.model.loss import LossStatement, against
from hotsync.model.losses import Losses
from hotsync.model.network.rename import names_after
from hotsync.model.network.values import NetworkState
from hotsync.model.promotion import ETC, NetworkPlan, Promotion, PromotionFacts
from hotsync.model.rejoin import held_number
from hotsync.state import store
from hotsync.state.loss import load_loss
from hotsync.state.rejoin import load_rejoin
from hotsync.state.settings import read_settings
from hotsync.state.slave_run import load_slave_run
from hotsync.system import flags
from hotsync.system.clock import Clock
from hotsync.system.paths import Paths
from hotsync.system.trees import opened
from hotsync.transport.presence import load_presence


def master_network(tree_etc: Path) -> tuple[NetworkState | None, str]:
    """Return the network that the MASTER's files configure (None: not understood), and why it is not understood."""
    try:
        state = read_master_network(tree_etc)
    except ConfigError as error:
        return None, error.sentence
    if state is None:
        return None, "the MASTER's /etc has the files of no network system that HotSync knows"
    return state, ""


def cards_missing(plan: NetworkPlan, state: NetworkState | None) -> set[str]:
    """Return the interfaces that are to get an address, are not here, and are not made by the configuration itself."""
    made = state.made | set(names_after(state, plan.pairs).values()) if state else frozenset[str]()
    made -= {new for _, new in plan.pairs}
    return {address.interface for address in plan.addresses} - made - live.read_interfaces()


def own_data(paths: Paths, generation: int) -> str:
    """Return what is wrong while nothing of the MASTER has come since this server rejoined, "" otherwise."""
    rejoin = load_rejoin(paths)
    if rejoin is None:
        return ""
    if not rejoin.finished_at:
        return "its rejoin is not finished (run hotsync rejoin)"
    if generation > held_number(rejoin.terms):
        return ""
    return "nothing of the MASTER has come since this server rejoined: what it holds is its own data"


def wrong_settings(paths: Paths) -> tuple[Fault, ...]:
    """Return the settings whose values are not allowed."""
    _, faults = read_settings(paths)
    return tuple(fault for fault in faults if fault.prop)


def packages_missing(paths: Paths) -> tuple[str, ...]:
    """Return the MASTER's packages that hotsync-slave could not get."""
    last = load_slave_run(paths)
    return tuple(package.name for package in last.missing) if last else ()


def life_of_master(paths: Paths, ground: Ground, network: NetworkPlan) -> Callable[[], tuple[str, ...]]:
    """Ask what of the MASTER answers, from now on; what is returned waits for that, and says it in words.

    Production's addresses are asked also where this server does not take them: those of the pairing may be of a cable
    of its own, which is out. Silence takes its time, in which other things can be read.
    """
    settings, _ = read_settings(paths)
    peer = store.load_peer(paths)
    address = peer.address if peer else settings.master_host
    ports = ports_of(ground.checks.values())
    pool = ThreadPoolExecutor(max_workers=1)
    asking = pool.submit(signs_of_life, address, settings.slave_port, network.of_production, ports)
    pool.shutdown(wait=False)
    return asking.result


def immutable_paths(paths: Paths, promotion: Promotion) -> tuple[str, ...]:
    """Return the paths that cannot be renamed, though the promotion would."""
    found: list[str] = []
    # a path cannot be renamed if it is immutable, or the folder that it lies in
    parents = {parent_of(unit.path) for unit in promotion.units}
    asked = {unit.path for unit in promotion.units} | parents | {ETC}
    for path in sorted(asked):
        node = DiskListing(paths.root).node(path)
        if node is None or node.kind not in (Kind.FILE, Kind.DIRECTORY):
            continue  # opening a device may do things
        try:
            with opened(paths.root, path, os.O_RDONLY | os.O_NONBLOCK) as place:
                present = flags.read_flags(place)
                if present & (flags.IMMUTABLE | flags.APPEND_ONLY):
                    found.append(f"/{path}")
                elif path in parents and present & flags.PROJECT_INHERIT and flags.project_of(present):
                    found.append(f"/{path} (a folder of a project, chattr +P)")
        except OSError:
            continue  # not there, or nothing that has flags
    return tuple(found)


def ages_now(paths: Paths, facts: PromotionFacts, clock: Clock) -> tuple[ServerAge, ...]:
    """Return of when the data of each database server is, or would be if it were promoted now; nothing is changed."""
    servers = facts.promotion.servers
    # with an older generation standbys are given up
    follow = not facts.is_master and facts.promotion.back is None
    waiting = standbys.shown(paths, facts.databases, clock.now()) if follow else ()
    # one that is no standby any more was taken over, or given up, and that is remembered
    return with_standbys(servers, waiting, load_presence(paths).clock_difference)


def losses_of(paths: Paths, promotion: Promotion, undone: LossStatement | None = None) -> Losses:
    """Return what a promotion loses; `undone` is given where the older generation is not made the newest yet.

    From the claim on nothing more is told here: afterwards it is still what was lost.
    """
    back, confirmed = promotion.back, promotion.confirmed_at
    number, digest, collected_at = promotion.generation, promotion.digest, promotion.collected_at
    if back is not None:
        # what the MASTER told is of its own newest generation: it never heard of the one that was made here
        number, digest, collected_at = back.newest, back.digest, back.collected_at
        undone = undone or load_loss(paths.loss_undone)
        if undone is not None and (undone.generation, undone.digest) != (back.wanted, back.digest):
            undone = None
    held = Generation(number, digest, promotion.epoch, collected_at, confirmed, confirmed)
    # of each database server its age is shown, which knows more: how far its standby is
    told = replace(against(load_loss(paths.loss_told), held), databases=())
    return Losses(told, load_presence(paths).clock_difference, back, undone)


def internet_reached(paths: Paths) -> bool:
    """Return whether the Internet (or what stands for it in the settings) answers."""
    settings, _ = read_settings(paths)
    return internet_answers(settings.internet_probe)


def nodes_differing_here(ground: Ground, plan: NetworkPlan) -> tuple[str, ...]:
    """Return in words which server would have another name after this promotion than its database knows."""
    text = control_text(ground.tree, ground.paths.root, ground.kept)
    host_after = plan.host_name or socket.gethostname()
    told = ground.master.network.host_name
    return nodes_differing(spool_of_tree(ground.paths), ground.master.dumps, text, told, host_after)
