"""The ground of a promotion: profiles, rules, both trees and mounts, as planning asks for them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from hotsync.backends import package_files
from hotsync.engine.checks import named_checks
from hotsync.engine.listing import DiskListing, kept_paths, mount_points
from hotsync.engine.promotion.master_facts import Told, read_told
from hotsync.engine.promotion.own_disks import OwnDisks
from hotsync.engine.promotion.prepared_etc import OwnEtc
from hotsync.engine.replica_tree import names_in, read_text
from hotsync.errors import ProfileError
from hotsync.manifest.store import Manifest
from hotsync.model.entry import parent_of
from hotsync.model.etc_files import only_here
from hotsync.model.per_host import per_host_rules
from hotsync.model.production import to_run
from hotsync.model.promotion import ETC, Rebuild
from hotsync.model.selection import Action, Selection
from hotsync.profiles import catalog
from hotsync.profiles.resolve import protecting, resolve
from hotsync.profiles.schema import CheckSpec, Profile
from hotsync.replica.reopen import LIVE, STATE
from hotsync.sources.shadows.index import SQLITE
from hotsync.sources.shadows.look import format_at
from hotsync.system.mounts import read_mounts
from hotsync.system.paths import Paths
from hotsync.system.trees import matching, opened

_SITE = "etc/hotsync/profiles.d"
_MOST_PROFILES = 200
_LARGEST_PROFILE = 256 * 1024


@dataclass(frozen=True)
class Ground:
    """What lies on this host and in its replica; each part is read once, when it is first asked for."""

    paths: Paths

    @property
    def tree(self) -> Path:
        """Return the replica's tree."""
        return self.paths.replica / "tree"

    @cached_property
    def master(self) -> Told:
        """Return what the last generation tells of the MASTER."""
        return read_told(self.paths)

    @cached_property
    def profiles(self) -> list[Profile]:
        """Return the profiles of the applications that the MASTER had."""
        known = {**catalog.shipped(), **{profile.name: profile for profile in self._site_profiles()}}
        packages = self.master.packages or self.own_packages
        # what a promotion moved into place has left the tree; before one, the live root is this host's own
        roots = (self.tree, self.paths.root) if self._tree_is_live() else (self.tree,)
        return catalog.matching(known.values(), packages, frozenset(self.master.active_units), *roots)

    def _tree_is_live(self) -> bool:
        if not self.paths.manifest.exists():
            return False
        with Manifest(self.paths.manifest) as manifest:
            return manifest.meta(STATE) == LIVE

    @cached_property
    def production(self) -> tuple[str, ...]:
        """Return the units that ran on the MASTER; where it did not tell, those that its profiles start."""
        started = (unit for profile in self.profiles for unit in profile.services.start)
        return self.master.active_units or tuple(dict.fromkeys(started))

    @property
    def wanted(self) -> tuple[str, ...]:
        """Return those of them that a promotion has run here."""
        return to_run(self.production, self.master.handmade)

    @cached_property
    def own_packages(self) -> frozenset[str]:
        """Return the names of the packages that are installed here."""
        return package_files.read_names(self.paths.root)

    @cached_property
    def selection(self) -> Selection:
        """Return the rules by which the MASTER selected, with what this host protects.

        Every shipped profile's protect rules hold here, also of applications that only this host has; and what its own
        tables of disks name stays.
        """
        known, _ = catalog.load_catalog(self.paths.site_profiles)
        names = {profile.name for profile in self.profiles}
        own = [protecting(profile) for name, profile in sorted(known.items()) if name not in names]
        said = resolve([*self.profiles, *own], self.master.mounts, self.master.rules, self._expand)
        return Selection((*said.rules, *self.own_disks.rules))

    @cached_property
    def own_disks(self) -> OwnDisks:
        """Return what this host's own disks need."""
        return OwnDisks(self.paths, self.tree)

    @cached_property
    def kept(self) -> frozenset[str]:
        """Return the live paths that stay this host's own."""
        return kept_paths(self.selection.rules, self.paths.root)

    @cached_property
    def mounts(self) -> frozenset[str]:
        """Return the mount points of this host, as paths below the root."""
        return mount_points((mount.point for mount in read_mounts()), self.paths.root)

    @property
    def device(self) -> int:
        """Return the file system of the replica's tree."""
        return os.lstat(self.tree).st_dev

    @property
    def listings(self) -> tuple[DiskListing, DiskListing]:
        """Return the tree and the live root as planning sees them."""
        return DiskListing(self.tree), DiskListing(self.paths.root)

    def is_sqlite(self, path: str) -> bool:
        """Given the path of a file, return whether it is a SQLite file in the tree."""
        with suppress(OSError), opened(self.tree, parent_of(path)) as folder:
            return format_at(folder, os.fsencode(os.path.basename(path))) == SQLITE
        return False

    @cached_property
    def checks(self) -> dict[str, CheckSpec]:
        """Return the checks of the MASTER's applications by name, without those of what did not run there."""
        return named_checks(self.profiles, frozenset(self.master.active_units))

    @cached_property
    def rebuilds(self) -> tuple[Rebuild, ...]:
        """Return what the MASTER's applications ask to be made anew, by profile, in their order."""
        return tuple(
            Rebuild(f"{profile.name}.{number}", spec.make, spec.paths)
            for profile in self.profiles
            for number, spec in enumerate(profile.restore, start=1)
        )

    def own_etc(self) -> OwnEtc:
        """Return what of this host's /etc is its own."""
        # a MASTER that did not tell its packages: nothing can be said to belong to this host's packages only
        names = only_here(self.own_packages, self.master.packages) if self.master.packages else ()
        return OwnEtc(self.kept, package_files.read_files(self.paths.root, names), self._foreign())

    def _foreign(self) -> frozenset[str]:
        """Return what the tree, of an older generation, has in /etc of what belongs to one machine."""
        patterns = (rule.pattern.removeprefix(f"/{ETC}/") for rule in per_host_rules() if _is_in_etc(rule.pattern))
        found = (f"{ETC}/{path}" for path in matching(self.tree / ETC, patterns))
        return frozenset(path for path in found if self._is_never_carried(path))

    def _is_never_carried(self, path: str) -> bool:
        protected = self.selection.decide(path).action is Action.PROTECT
        return protected and not self.selection.wanted_below(path)

    def _site_profiles(self) -> Iterator[Profile]:
        """Return the MASTER's own profiles, as far as they can be read; it may say what it likes in them."""
        for name in names_in(self.tree, _SITE)[:_MOST_PROFILES]:
            if name.endswith(".toml"):
                with suppress(ProfileError):
                    yield catalog.parse_profile(read_text(self.tree, f"{_SITE}/{name}", _LARGEST_PROFILE), name)

    def _expand(self, pattern: str) -> Iterable[str]:
        relative = pattern.lstrip("/")
        if "**" in relative:
            return ()  # the tree itself says what was carried; a walk through all of it would say no more
        return ("/" + os.fspath(path.relative_to(self.tree)) for path in self.tree.glob(relative))


def _is_in_etc(pattern: str) -> bool:
    return pattern.startswith(f"/{ETC}/")
