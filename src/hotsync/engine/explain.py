"""Reads what `hotsync explain` answers from: the rules of this MASTER's next run, or those of a SLAVE's generation."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from hotsync.backends.handmade import handmade_units
from hotsync.backends.mute import Mute, parse_show
from hotsync.changes.detect import mount_table
from hotsync.changes.walk import PSEUDO
from hotsync.engine.open_replica import open_replica
from hotsync.engine.promotion.ground import Ground
from hotsync.engine.slave.mute import read_kept
from hotsync.engine.status import holdings
from hotsync.engine.sync.collect import last_rules
from hotsync.engine.sync.select import build_selection, own_profiles
from hotsync.errors import CommandFailed
from hotsync.manifest.store import Manifest
from hotsync.model.entry import KIND_OF_MODE, Kind
from hotsync.model.explain import SOCKET, Known, Mounted, PathAnswer, UnitFacts, datasets_for
from hotsync.model.facts import UnitFact
from hotsync.model.handmade import handmade_of
from hotsync.model.identity import Role
from hotsync.model.nesting import lies_in
from hotsync.model.production import is_handmade
from hotsync.model.selection import Selection
from hotsync.model.unit_names import template_of
from hotsync.profiles.resolve import LOCAL_FILE_SYSTEMS
from hotsync.profiles.schema import Profile
from hotsync.sources.facts import read_units
from hotsync.sources.frozen.find import is_contained
from hotsync.sources.frozen.store import load_copies
from hotsync.sources.shadows.index import load_index
from hotsync.state.facts import load_facts
from hotsync.state.settings import read_settings
from hotsync.system import command
from hotsync.system.clock import Clock
from hotsync.system.paths import Paths

_ENGINES = {"mnesia": "ejabberd"}  # the source's name, where it is another than the engine's
_WORDS = {
    Kind.FILE: "a file", Kind.DIRECTORY: "a folder", Kind.SYMLINK: "a symbolic link", Kind.FIFO: "a FIFO",
    Kind.CHARACTER: "a device", Kind.BLOCK: "a device",
}  # fmt: skip


class Side(Protocol):
    """This host as one of the two: its rules, and what it knows of a path or a unit."""

    selection: Selection
    mounted: Mounted

    def known(self, answer: PathAnswer) -> Known:
        """Return what else is known of a path."""
        ...

    def unit(self, name: str) -> UnitFacts:
        """Return what is known of a unit."""
        ...


@dataclass(slots=True)
class _Shared:
    paths: Paths
    clock: Clock
    role: Role
    selection: Selection
    mounted: Mounted
    profiles: list[Profile]
    required: tuple[str, ...]

    def known(self, answer: PathAnswer) -> Known:
        """Return what both sides know of a path: what carries it instead, and what the newest generation has of it."""
        newest = holdings(self.paths, self.role)
        points = {point.name: point.taken_at for point in newest.datasets} if newest else {}
        engines = {f"profile {each.name}": engines_of(each) for each in self.profiles}
        datasets = datasets_for(answer.rule, engines, points)
        entry = None
        if newest is not None and self.paths.manifest.exists():
            with Manifest(self.paths.manifest) as manifest:
                entry = manifest.get(answer.path.strip("/"))
        return Known(
            datasets=datasets,
            taken_at=min((points[name] for name in datasets if name in points), default=0.0),
            whole=any((answer.path + "/").startswith(path.rstrip("/") + "/") for path in self.required),
            generation=newest.number if newest else 0,
            held=None if newest is None else entry is not None,
            unsettled=entry is not None and entry.unsettled,
        )

    def named(self, unit: str) -> tuple[tuple[str, str], ...]:
        """Return which profile speaks of a unit, with the key."""
        said = [
            (profile.name, key)
            for profile in self.profiles
            for key, units in (("mute", profile.services.mute), ("start", profile.services.start))
            if unit in units or template_of(unit) in units
        ]
        return tuple(said)


class MasterSide:
    """A MASTER, or a server without a role as the MASTER that it would be."""

    def __init__(self, paths: Paths, clock: Clock, role: Role) -> None:
        """Read the rules that the next run will use; raise ProfileError if a site's profile is broken."""
        settings, _ = read_settings(paths)
        selected = build_selection(paths, last_rules(paths, mail_queue=settings.mail_queue).rules)
        self.selection = selected.rules
        self.mounted = Mounted(mount_table(paths.root), selected.mounts, PSEUDO)
        self._shared = _Shared(paths, clock, role, self.selection, self.mounted, own_profiles(paths), selected.required)
        self._root = paths.root
        self._copies = load_index(paths.shadows / "index.json")
        self._frozen = tuple(load_copies(paths.frozen))

    def known(self, answer: PathAnswer) -> Known:
        """Return what else is known of a path."""
        known = self._shared.known(answer)
        relative = answer.path.strip("/")
        copy = self._copies.get(relative)
        if copy is not None:
            known = replace(known, copy=copy.format, copied_at=copy.taken_at, trouble=copy.trouble)
        for whole in self._frozen:
            if lies_in(answer.path, whole.path):
                kind = "container" if is_contained(whole.server) else "service"
                known = replace(known, copy=kind, copied_at=whole.taken_at, trouble="")
        return replace(known, really=_really(self._root, relative), lies=_lies(self._root, relative))

    def unit(self, name: str) -> UnitFacts:
        """Return what is known of a unit."""
        shown = _show(name)
        name = shown.get("Id", name)
        told = {unit.name: unit for unit in read_units(self._shared.paths)} if shown else None
        facts = _unit_facts(name, self._shared.named(name), told, None, shown)
        return replace(facts, handmade=is_handmade(name, handmade_units(self._shared.paths.root)))


class SlaveSide:
    """A SLAVE: by the rules that came with its newest generation, and with what it protects itself."""

    def __init__(self, paths: Paths, clock: Clock) -> None:
        """Read the generation's rules; what cannot be read of it is left out."""
        ground = Ground(paths)
        self.selection = ground.selection
        kinds = {point.strip("/"): kind for point, kind in ground.master.mounts}
        allowed = [point for point, kind in kinds.items() if kind in LOCAL_FILE_SYSTEMS]
        self.mounted = Mounted(kinds, allowed)
        self._paths, self._clock, self._tree = paths, clock, ground.tree
        self._shared = _Shared(paths, clock, Role.SLAVE, self.selection, self.mounted, ground.profiles, ())

    def known(self, answer: PathAnswer) -> Known:
        """Return what else is known of a path, with the generations that changed it."""
        known = self._shared.known(answer)
        if known.generation:
            changed = open_replica(self._paths, self._clock).changed_in(answer.path.strip("/"))
            known = replace(known, changed_in=tuple(changed))
        return known

    def unit(self, name: str) -> UnitFacts:
        """Return what is known of a unit; raise ReplicaError if what the MASTER told is malformed."""
        shown = _show(name)
        name = shown.get("Id", name)
        units = load_facts(self._tree).units
        told = {unit.name: unit for unit in units} if units else None
        mute = Mute(self._paths)
        facts = _unit_facts(name, self._shared.named(name), told, mute.muted(), shown)
        mute.learn(handmade_of(units))
        return replace(facts, kept=read_kept(self._paths).reason(name), handmade=is_handmade(name, mute.handmade()))


def side_of(paths: Paths, clock: Clock, role: Role) -> Side:
    """Given the role of this host, return it as that side."""
    return SlaveSide(paths, clock) if role is Role.SLAVE else MasterSide(paths, clock, role)


def engines_of(profile: Profile) -> frozenset[str]:
    """Given a profile, return the sources that collect its application's databases."""
    return frozenset(_ENGINES.get(database.engine, database.engine) for database in profile.databases)


def _unit_facts(
    name: str,
    named: tuple[tuple[str, str], ...],
    told: Mapping[str, UnitFact] | None,
    muted: Iterable[str] | None,
    shown: Mapping[str, str],
) -> UnitFacts:
    return UnitFacts(
        name,
        file=shown.get("FragmentPath", ""),
        active=shown["ActiveState"] == "active" if "ActiveState" in shown else None,
        profiles=named,
        on_master=None if told is None else name in told and told[name].active,
        muted=None if muted is None else frozenset(muted),
    )


def _show(unit: str) -> dict[str, str]:
    """Return name (an alias has that of its unit), file and state of a unit; nothing where systemd cannot be asked."""
    properties = "--property=Id,FragmentPath,ActiveState"
    try:
        text = command.run(["systemctl", "show", properties, "--", unit], ok=range(256)).text
    except CommandFailed:
        return {}
    shown = parse_show(text)
    return shown[0] if shown else {}


def _really(root: os.PathLike[str], path: str) -> str:
    """Return where a path lies if a folder on the way is a link, "" if none is."""
    top = os.path.realpath(root).rstrip("/")
    folder, _, name = path.rpartition("/")
    real = os.path.join(os.path.realpath(f"{top}/{folder}"), name)
    return "" if real == f"{top}/{path}" or not real.startswith(f"{top}/") else real[len(top) :]


def _lies(root: os.PathLike[str], path: str) -> str:
    try:
        mode = os.lstat(os.path.join(root, path)).st_mode
    except OSError:
        return ""
    kind = KIND_OF_MODE.get(stat.S_IFMT(mode))
    return SOCKET if kind is None else _WORDS[kind]
