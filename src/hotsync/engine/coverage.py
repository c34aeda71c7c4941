"""Reads what `hotsync coverage` is decided from: what changed, what is open, and the rules of this MASTER."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Protocol, TypeVar

from hotsync.backends.coverage_certificates import read_certificates
from hotsync.backends.coverage_containers import read_containers
from hotsync.backends.coverage_jobs import read_jobs
from hotsync.backends.coverage_places import read_places
from hotsync.backends.coverage_processes import read_open_files
from hotsync.backends.coverage_units import read_listeners, read_units
from hotsync.backends.coverage_walk import Walk
from hotsync.backends.package_files import read_all_files
from hotsync.backends.passing_ports import passing_ports
from hotsync.engine.explain import MasterSide, engines_of
from hotsync.engine.status import holdings
from hotsync.engine.sync.copies import pauses
from hotsync.engine.sync.select import expand, own_profiles, paused_units
from hotsync.errors import CommandFailed
from hotsync.model.coverage.findings import OpenFile
from hotsync.model.coverage.judge import Judge
from hotsync.model.coverage.places import Setting
from hotsync.model.coverage.result import CoverageFacts, ProfileSeen
from hotsync.model.identity import Role
from hotsync.model.selection import Action, Rule, Selection, Voice
from hotsync.profiles.schema import Profile
from hotsync.sources.frozen.find import is_among
from hotsync.sources.frozen.services import read_servers
from hotsync.sources.live_databases import live_of
from hotsync.state.settings import read_settings
from hotsync.system.clock import Clock
from hotsync.system.paths import Paths

_DAY = 86400
_T = TypeVar("_T")


class Teller(Protocol):
    """Who is told where the work is."""

    def __call__(self, phase: str) -> None:
        """Say what is done now."""
        ...

    def note(self, text: str) -> None:
        """Say how far it is."""
        ...


def read_coverage(paths: Paths, clock: Clock, role: Role, days: int, say: Teller) -> CoverageFacts:
    """Return what this server has and what its rules say; raise ProfileError if a site's profile is broken."""
    settings, _ = read_settings(paths)
    side = MasterSide(paths, clock, role)
    newest = holdings(paths, role)
    points = newest.datasets if newest else ()
    profiles, pausing = own_profiles(paths), pauses(settings)
    servers = read_servers(paths.root, paused_units(profiles))
    live = {server.name: server.fault or server.lost for server in servers if pausing and (server.fault or server.lost)}
    live |= live_of(servers, pausing=pausing)
    say("Reading what packages brought")
    selection = Selection((*side.selection.rules, *_swap_rules(paths)))
    judge = Judge(selection, side.mounted, read_all_files(paths.root))
    say("Looking for what changed and no rule names")
    since = clock.now() - days * _DAY if days else 0.0
    walked = Walk(paths.root, judge, since, lambda count: say.note(f"{count} files")).run()
    say("Looking at what runs")
    faults = [f"{walked.unreadable} folders could not be read"] if walked.unreadable else []
    if os.geteuid():
        faults.append("other users' processes were not looked at: that takes root")
    return CoverageFacts(
        judge=judge,
        mounted=side.mounted,
        profiles=tuple(_seen(profile) for profile in profiles),
        databases=settings.databases.carried,
        datasets=tuple(point.name for point in points if point.taken_at),
        uncollected=(
            *((point.name, point.note) for point in points if point.stale_since and not point.taken_at),
            *((name, reason) for name, reason in live.items() if not is_among(name, settings.dumped_by_plugin)),
        ),
        groups=walked.groups,
        opened=tuple(_below(paths.root, read_open_files())),
        units=_asked("units", partial(read_units, paths.root), faults) if _booted(paths) else (),
        jobs=tuple(read_jobs(paths.root)),
        listeners=_asked("listening ports", partial(read_listeners, paths.root), faults) if _booted(paths) else (),
        passing=passing_ports(),
        containers=tuple(read_containers(paths.root)),
        certificates=tuple(read_certificates(paths.root, walked.keys)),
        places=tuple(read_places(paths.root, _settings(profiles), lambda pattern: expand(paths.root, pattern))),
        faults=tuple(faults),
    )


def _asked(what: str, ask: Callable[[], list[_T]], faults: list[str]) -> tuple[_T, ...]:
    """Return what a program of this host answers; where it does not, that is a fault, and not nothing."""
    try:
        return tuple(ask())
    except CommandFailed as error:
        faults.append(f"{what} were not looked at: {error.sentence}")
        return ()


def _booted(paths: Paths) -> bool:
    """Say whether systemd runs this host: without it no process belongs to a unit."""
    return paths.at("/run/systemd/system").is_dir()


def _seen(profile: Profile) -> ProfileSeen:
    services = profile.services
    return ProfileSeen(
        profile.name,
        profile.profile.title,
        profile.files.include,
        tuple(sorted(engines_of(profile))),
        tuple(dict.fromkeys((*services.start, *services.mute))),
    )


def _settings(profiles: Iterable[Profile]) -> Iterator[Setting]:
    for profile in profiles:
        yield from (Setting(profile.profile.title, each.files, each.pattern) for each in profile.named)


def _below(root: Path, files: Iterable[OpenFile]) -> Iterator[OpenFile]:
    """Given files by their paths on this machine, return those below the root, by their paths there."""
    top = os.path.realpath(root).rstrip("/")
    for file in files:
        if file.path.startswith(f"{top}/"):
            yield replace(file, path=file.path[len(top) :])


def _swap_rules(paths: Paths) -> Iterator[Rule]:
    """Return a rule for each file that this machine swaps to."""
    try:
        lines = paths.at("/proc/swaps").read_text("utf-8", "surrogateescape").splitlines()[1:]
    except OSError:
        return
    for line in lines:
        path, kind = line.split()[:2]
        if kind == "file":
            yield Rule(path.replace("\\040", " "), Action.EXCLUDE, "memory of this machine", Voice.MOUNT)
