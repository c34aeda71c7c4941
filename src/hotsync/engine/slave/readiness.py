"""What hotsync-slave itself knows of readiness: packages, accounts, quiet, room."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from functools import partial

from hotsync.backends.account_processes import read_old_runners, strays
from hotsync.backends.intruders import Intruder, find_intruders, find_listeners, is_listening
from hotsync.engine.drift import read_drift
from hotsync.engine.promotion.resolver import own_name_servers, read_resolver_check
from hotsync.engine.slave.host import SlaveHost
from hotsync.engine.slave.mute import profiles_of, serving_applications
from hotsync.engine.slave.package_facts import read_package_checks, without_asking
from hotsync.engine.slave.repositories import read_offer, unsettled
from hotsync.engine.status import holdings
from hotsync.errors import HotSyncError
from hotsync.model import slave_checks as checks
from hotsync.model.drift import check_drift, not_compared
from hotsync.model.identity import Role
from hotsync.model.network.resolver import asks_itself, check_names
from hotsync.model.packages.checks import check_repositories
from hotsync.model.report import Check
from hotsync.model.slave import SlaveFacts
from hotsync.replica.layout import Layout
from hotsync.replica.room import read_refusal
from hotsync.system.clock import Clock

_ANSWER_SECONDS = 10.0
"""Whoever asked over UDP has his answer by then, or has given up; who still has the port serves."""
_MOST = 5
"""So many ranges of numbers are shown."""


def read_readiness(host: SlaveHost, facts: SlaveFacts, clock: Clock, *, only_permissions: bool) -> Iterator[Check]:
    """Given the host after its plan was executed, return its checks."""
    profiles = profiles_of(host.paths, host.master)
    not_older = {name for profile in profiles for name in profile.requires.not_older}
    muted = host.mute.muted()
    found = find_intruders(muted, host.production.programs, kept=host.production.kept)
    with_process = {each.unit for each in found}
    said = [str(each) for each in found] + [
        f"{unit} is active" for unit in host.mute.running() if unit not in with_process
    ]
    yield checks.check_quiet(said, len(muted))
    yield checks.check_listening(_listening(host, found, clock))
    if only_permissions:
        yield from without_asking(facts, host.outcome, host.manager)
    else:
        serving = serving_applications(profiles, host.master)
        yield from read_package_checks(host.packages(), facts, host.outcome, clock.now(), not_older, serving)
    yield check_repositories(unsettled(host.paths, read_offer(host.paths), bool(host.outcome.missing)))
    yield _drift(host)
    yield read_resolver_check(host.paths, host.master.network)
    servers = own_name_servers(host.paths)
    yield check_names(servers, answers=not asks_itself(servers) or is_listening("udp", 53))
    yield checks.check_locales(host.outcome.locales_failed, host.manager.hints)
    newest = holdings(host.paths, Role.SLAVE)
    yield checks.check_fresh(newest.datasets if newest else ())
    outcome = host.outcome
    left = {load.name: load.hindrance for load in host.read_loads() if load.hindrance}
    yield checks.check_loads(outcome.loads_refused, outcome.loads_failed, {**left, **outcome.loads_left})
    yield from checks.check_forms(host.read_other_forms())
    yield from checks.check_standbys(host.outcome.standbys_failed, host.read_standbys())
    known = frozenset(account.number for account in host.accounts.users().values())
    running = dict.fromkeys((*read_old_runners(host.paths.run), *strays(known)))
    yield from checks.check_accounts(
        facts.numbers.refused, (*host.accounts.left, *host.outcome.unread_paths), tuple(running), _known_by_number(host)
    )
    room = shutil.disk_usage(host.paths.replica if host.paths.replica.is_dir() else host.paths.state)
    yield checks.check_room(room.total, room.free)
    refused = read_refusal(Layout(host.paths.replica))
    yield checks.check_fits(*((refused.generation, refused.needed, room.free) if refused else (0, 0, room.free)))


def _listening(host: SlaveHost, known: Sequence[Intruder], clock: Clock) -> list[str]:
    production = host.production
    wait = partial(clock.sleep, _ANSWER_SECONDS)
    return [str(each) for each in find_listeners(known, production.kept, certain=production.ports, wait=wait)]


def _drift(host: SlaveHost) -> Check:
    try:
        return check_drift(read_drift(host.paths, host.paths.replica / "tree", host.master))
    except (HotSyncError, OSError, ValueError, KeyError) as error:
        return not_compared(str(error))


def _known_by_number(host: SlaveHost) -> str:
    kinds = (("users", host.their.foreign.users), ("groups", host.their.foreign.groups))
    numbers = [
        f"{kind} {', '.join(map(_shown, ranges[:_MOST]))}{' …' * (len(ranges) > _MOST)}"
        for kind, ranges in kinds
        if ranges
    ]
    return f"known by number only: {'; '.join(numbers)}" if numbers else ""


def _shown(numbers: range) -> str:
    return f"{numbers.start}-{numbers.stop - 1}" if len(numbers) > 1 else str(numbers.start)
