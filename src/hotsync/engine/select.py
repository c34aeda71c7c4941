"""What this MASTER protects: matching profiles, mounts, the site's lists and plugins become one selection."""

from __future__ import annotations

import glob
import logging
import os
from collections.abc import Iterable
from pathlib import Path

from hotsync.errors import CommandFailed
from hotsync.model.selection import Rule, Selection
from hotsync.profiles.catalog import idle_keys, load_catalog, matching, shipped
from hotsync.profiles.resolve import LOCAL_FILE_SYSTEMS, resolve
from hotsync.profiles.schema import Profile
from hotsync.system import command
from hotsync.system.mounts import read_mounts
from hotsync.system.paths import Paths

_log = logging.getLogger("hotsync.select")


def installed_names() -> frozenset[str]:
    """Return the names of this host's installed packages; none where there is no dpkg."""
    try:
        text = command.run(["dpkg-query", "-W", "-f", "${db:Status-Status}\t${Package}\n"]).text
    except CommandFailed:
        return frozenset()
    lines = (line.partition("\t") for line in text.splitlines())
    return frozenset(name for state, _, name in lines if state == "installed")


def own_profiles(paths: Paths) -> list[Profile]:
    """Return the profiles whose applications are on this host; a broken site profile is said and left out."""
    profiles, errors = load_catalog(paths.site_profiles)
    own = shipped()
    for error in errors:
        _log.warning("%s", error.sentence)
    for profile in profiles.values():
        if profile != own.get(profile.name) and (idle := idle_keys(profile)):
            _log.warning("profile %s: nothing acts on %s in this version", profile.name, ", ".join(idle))
    packages = installed_names()
    return matching(profiles.values(), packages, frozenset(), paths.root)


def build_selection(paths: Paths, site: Iterable[Rule]) -> tuple[Selection, frozenset[str]]:
    """Given the site's own rules, return the selection of this run and the mount points that it may enter."""
    mounts = [(mount.point, mount.kind) for mount in read_mounts()]
    local = [(point, kind) for point, kind in mounts if kind in LOCAL_FILE_SYSTEMS]
    selection = resolve(own_profiles(paths), local, site, lambda pattern: expand(paths.root, pattern))
    return selection, frozenset(point.strip("/") for point, _ in local if point != "/")


def expand(root: Path, pattern: str) -> list[str]:
    """Given an include pattern with wildcards, return the paths of this host that it names now."""
    found = glob.glob(str(root / pattern.lstrip("/")), include_hidden=True)
    return [f"/{os.path.relpath(path, root)}" for path in found]
