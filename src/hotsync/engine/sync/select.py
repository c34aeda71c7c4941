"""What this MASTER protects: matching profiles, mounts, the site's lists and plugins become one selection."""

from __future__ import annotations

import glob
import logging
import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from hotsync.backends import package_files
from hotsync.errors import CommandFailed
from hotsync.model.selection import Rule, Selection
from hotsync.profiles.catalog import idle_keys, load_site, matching, shipped
from hotsync.profiles.resolve import LOCAL_FILE_SYSTEMS, databases_lacking, required_paths, resolve
from hotsync.profiles.schema import Profile
from hotsync.sources.frozen.services import PausedUnit
from hotsync.sources.unit_files import units_here
from hotsync.system.mounts import read_mounts
from hotsync.system.paths import Paths

_log = logging.getLogger("hotsync.sync")


def installed_names() -> frozenset[str]:
    """Return the names of this host's installed packages; none where there is no package manager."""
    try:
        return package_files.read_names(Path("/"))
    except CommandFailed:
        return frozenset()


def own_profiles(paths: Paths) -> list[Profile]:
    """Return the profiles whose applications are on this host.

    Raise ProfileError if one of the site's is broken: what it includes would be deleted from the replica without it.
    """
    site, errors = load_site(paths.site_profiles)
    if errors:
        raise errors[0]
    own = shipped()
    for profile in site.values():
        if profile != own.get(profile.name) and (idle := idle_keys(profile)):
            _log.warning("profile %s: nothing acts on %s in this version", profile.name, ", ".join(idle))
    profiles = {**own, **site}
    units = units_here(paths, (unit for profile in profiles.values() for unit in profile.detect.units))
    return matching(profiles.values(), installed_names(), units, paths.root)


@dataclass(frozen=True, slots=True)
class Selected:
    """What a run carries: the rules, the mount points that it may enter, and what must come whole and settled.

    `lacking` is what is wrong where databases are not carried, a sentence for each application that needs them;
    `paused` are the servers whose files are copied in a pause, as profiles name them.
    """

    rules: Selection
    mounts: frozenset[str]
    required: tuple[str, ...] = ()
    lacking: tuple[str, ...] = ()
    paused: tuple[PausedUnit, ...] = ()


def build_selection(paths: Paths, site: Iterable[Rule]) -> Selected:
    """Given the site's own rules, return what this run carries; raise ProfileError if a site's profile is broken."""
    profiles = own_profiles(paths)
    mounts = [(mount.point, mount.kind) for mount in read_mounts()]
    local = [(point, kind) for point, kind in mounts if kind in LOCAL_FILE_SYSTEMS]
    rules = resolve(profiles, local, site, lambda pattern: expand(paths.root, pattern))
    required = required_paths(profiles, lambda pattern: expand(paths.root, pattern))
    allowed = frozenset(point.strip("/") for point, _ in local if point != "/")
    return Selected(rules, allowed, required, databases_lacking(profiles), paused_units(profiles))


def paused_units(profiles: Iterable[Profile]) -> tuple[PausedUnit, ...]:
    """Given the matching profiles, return the servers whose files are copied in a pause, each unit once."""
    found: dict[str, PausedUnit] = {}
    for profile in profiles:
        for one in profile.paused:
            before = found.get(one.unit, PausedUnit(profile.name, one.unit, ()))
            found[one.unit] = replace(before, folders=(*before.folders, *one.folders))
    return tuple(found.values())


def expand(root: Path, pattern: str) -> list[str]:
    """Given an include pattern with wildcards, return the paths of this host that it names now."""
    found = glob.glob(str(root / pattern.lstrip("/")), include_hidden=True)
    return [f"/{os.path.relpath(path, root)}" for path in found]
