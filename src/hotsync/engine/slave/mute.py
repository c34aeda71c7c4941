"""Which units are production on this SLAVE: by profiles, by packages, by systemd's relations."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from hotsync.backends import package_files
from hotsync.backends.intruders import daemons_among
from hotsync.backends.mute import Mute
from hotsync.backends.packages.units import units_in
from hotsync.engine.promotion.resolver import own_name_servers
from hotsync.engine.replica_tree import names_in, read_plain, read_text
from hotsync.engine.slave.tunnel_ports import ports_of_tunnels
from hotsync.errors import ProfileError
from hotsync.model.facts import MasterFacts
from hotsync.model.handmade import handmade_of
from hotsync.model.machine_units import RESOLVERS, TUNNELS, Tunnel, base_reason, is_firewall, is_watcher
from hotsync.model.mute import ALWAYS_MUTED, Kept, mutable, of_master
from hotsync.model.network.resolver import asks_itself
from hotsync.profiles import catalog
from hotsync.profiles.schema import PortCheck, Profile
from hotsync.state.slave_packages import load_brought
from hotsync.system.paths import Paths

_TREE_PROFILES = "etc/hotsync/profiles.d"
_LARGEST_PROFILE = 256 * 1024


@dataclass(frozen=True, slots=True)
class Production:
    """What production is on this SLAVE: units to be muted, the programs of their packages (absolute paths), ports on
    which it listens for certain, and what this server keeps."""

    units: frozenset[str] = frozenset()
    programs: frozenset[str] = frozenset()
    kept: Kept = field(default_factory=Kept)
    ports: frozenset[int] = frozenset()


def read_production(paths: Paths, mute: Mute, master: MasterFacts) -> Production:
    """Given what the MASTER told, return what must not run here."""
    profiles = profiles_of(paths, master)
    packages = {name for profile in profiles for name in profile.detect.all_packages if profile.services.mute}
    kept = read_kept(paths)
    named = (unit for profile in profiles for unit in profile.services.mute)
    mute.learn(handmade_of(master.units))
    seeds = {*ALWAYS_MUTED, *(unit for unit in (*named, *of_master(master.units)) if not kept.reason(unit))}
    wanted, brought = mute.mutable(seeds), {name.partition(":")[0] for name in load_brought(paths)}
    units_of = package_files.read_unit_owners(paths.root)
    owners = {owner for unit, owner in units_of if unit in wanted or (owner in brought and mutable([unit]))}
    holding = package_files.read_with_siblings(paths.root, packages | owners)
    files = package_files.read_files(paths.root, holding)
    units = mute.related({*seeds, *units_in(files)})
    firewalls = _firewalls(mute, (unit for unit, owner in units_of if owner in brought))
    held = frozenset(unit for unit in units | firewalls if not kept.reason(unit))
    asked = {check.port for profile in profiles for check in profile.checks if isinstance(check, PortCheck)}
    return Production(held, daemons_among(files), kept, ports_of_tunnels(paths) | asked)


def _firewalls(mute: Mute, brought: Iterable[str]) -> frozenset[str]:
    """Given the units that came with the MASTER's packages, return the firewalls among them that do not run.

    At this SLAVE's next boot one would come up with its package's rules, and shut out the MASTER and the administrator.
    One that runs was set up by somebody, or harms nobody: to end it would open this server.
    """
    ours = frozenset(filter(is_firewall, brought))
    idle = ours - (mute.active() - mute.muted()) if ours else ours
    mute.take_firewalls(idle)
    return idle


def no_longer_held(mute: Mute, production: Production) -> frozenset[str]:
    """Return the units that are muted although this server keeps them, or they are known as the machine's by now."""
    held, handmade = mute.muted() - production.units, mute.handmade()
    return frozenset(unit for unit in held if production.kept.reason(unit) or base_reason(unit, handmade))


def read_kept(paths: Paths) -> Kept:
    """Return what this SLAVE keeps; what the MASTER's profiles say of it does not count."""
    own, _ = catalog.load_site(paths.site_profiles)
    named = frozenset(unit for profile in own.values() for unit in profile.services.keep)
    tunnels = (pattern for tunnel in TUNNELS if _is_other_here(paths, tunnel) for pattern in tunnel.units)
    return Kept(named, tuple(tunnels), RESOLVERS if asks_itself(own_name_servers(paths)) else ())


def _is_other_here(paths: Paths, tunnel: Tunnel) -> bool:
    """Return whether a file of such a tunnel is here that the MASTER does not have, or not with that content."""
    tree = paths.replica / "tree"
    here = (path for pattern in tunnel.files for path in paths.root.glob(pattern) if path.is_file())
    return any(
        tunnel.mark.search(content := path.read_bytes()) is not None
        and content != read_plain(tree, str(path.relative_to(paths.root)))
        for path in here
    )


def profiles_of(paths: Paths, master: MasterFacts) -> list[Profile]:
    """Return the profiles of the applications that the MASTER has: shipped ones, its own, and this site's."""
    known = {**catalog.load_catalog(paths.site_profiles)[0], **_profiles_in(paths.replica / "tree")}
    names = frozenset(package.name for package in master.packages)
    units = frozenset(unit.name for unit in master.units)
    return catalog.matching(known.values(), names, units, paths.replica / "tree")


def serving_applications(profiles: Iterable[Profile], master: MasterFacts) -> dict[str, frozenset[str]]:
    """Given the profiles of its applications and what the MASTER told, return those that serve there, with the packages
    by which they were found: what belongs to the machine, or watches it, serves nobody."""
    active = {unit.name for unit in master.units if unit.active}
    there = {package.name for package in master.packages}
    return {
        profile.profile.title: frozenset(profile.detect.all_packages) & there
        for profile in profiles
        if any(unit in active and not is_watcher(unit) for unit in mutable(profile.services.start))
    }


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
