"""Which units are production on this SLAVE: by profiles, by packages, by systemd's relations."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from hotsync.backends import package_files
from hotsync.backends.intruders import daemons_among
from hotsync.backends.mute import Mute
from hotsync.backends.packages.apt import units_in
from hotsync.engine.replica_tree import names_in, read_text
from hotsync.errors import ProfileError
from hotsync.model.facts import MasterFacts
from hotsync.model.mute import ALWAYS_MUTED, mutable
from hotsync.profiles import catalog
from hotsync.profiles.schema import Profile
from hotsync.state.slave_packages import load_brought
from hotsync.system.paths import Paths

_TREE_PROFILES = "etc/hotsync/profiles.d"
_LARGEST_PROFILE = 256 * 1024


@dataclass(frozen=True, slots=True)
class Production:
    """What production is on this SLAVE: units to be muted, and the programs of their packages (absolute paths)."""

    units: frozenset[str] = frozenset()
    programs: frozenset[str] = frozenset()


def read_production(paths: Paths, mute: Mute, master: MasterFacts) -> Production:
    """Given what the MASTER told, return what must not run here."""
    profiles = profiles_of(paths, master)
    packages = {name for profile in profiles for name in profile.detect.packages if profile.services.mute}
    seeds = set(ALWAYS_MUTED) | {unit for profile in profiles for unit in profile.services.mute}
    owners = _owners(paths.root, mutable(seeds))
    brought = {name for name in load_brought(paths) if mutable(units_in(package_files.read_files(paths.root, [name])))}
    holding = package_files.read_with_siblings(paths.root, packages | owners | brought)
    files = package_files.read_files(paths.root, holding)
    units = mute.related({*seeds, *units_in(files)})
    return Production(units, daemons_among(files))


def profiles_of(paths: Paths, master: MasterFacts) -> list[Profile]:
    """Return the profiles of the applications that the MASTER has: shipped ones, its own, and this site's."""
    known = {**catalog.load_catalog(paths.site_profiles)[0], **_profiles_in(paths.replica / "tree")}
    names = frozenset(package.name for package in master.packages)
    units = frozenset(unit.name for unit in master.units)
    return catalog.matching(known.values(), names, units, paths.replica / "tree")


def _profiles_in(tree: Path) -> dict[str, Profile]:
    found: dict[str, Profile] = {}
    for name in names_in(tree, _TREE_PROFILES):
        if name.endswith(".toml"):
            try:
                profile = catalog.parse_profile(read_text(tree, f"{_TREE_PROFILES}/{name}", _LARGEST_PROFILE), name)
            except (ProfileError, ValueError):
                continue
            found[profile.name] = profile
    return found


def _owners(root: Path, units: Iterable[str]) -> set[str]:
    """Return the installed packages that bring one of these units: what else they bring belongs to it."""
    wanted = set(units)
    owners: set[str] = set()
    for file in (root / "var/lib/dpkg/info").glob("*.list"):
        lines = file.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
        if not wanted.isdisjoint(units_in(line for line in lines if "/system/" in line)):
            owners.add(file.name.removesuffix(".list").partition(":")[0])
    return owners
