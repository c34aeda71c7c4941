"""Reads how this SLAVE differs from its MASTER: the facts of both, and what a promotion would find here."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from hotsync.engine.slave.mute import profiles_of
from hotsync.model.drift import Difference, Ground, drift
from hotsync.model.facts import MasterFacts
from hotsync.sources.facts import read_facts
from hotsync.sources.system_facts import available_modules, read_sysctl
from hotsync.sources.unit_files import FOLDERS
from hotsync.system.paths import Paths
from hotsync.system.trees import names_in

_CARRIED = ("etc/systemd/system", "usr/local/lib/systemd/system")
_ZONES = "/usr/share/zoneinfo"


def read_drift(paths: Paths, tree: Path, master: MasterFacts) -> tuple[Difference, ...]:
    """Given the generation's tree and what the MASTER told, return how this server differs; raise CommandFailed,
    ValueError or OSError if this server cannot be read."""
    modules = available_modules(paths, os.uname().release)
    return drift(
        master,
        read_facts(paths),
        Ground(
            units=frozenset(_unit_files(paths, tree)),
            modules=modules or None,  # a kernel without modules says nothing of what it can do
            zones=frozenset(_zones(paths)),
            sysctl=read_sysctl(paths, (fact.key for fact in master.system.sysctl)),
            not_older={name for profile in profiles_of(paths, master) for name in profile.requires.not_older},
        ),
    )


def _unit_files(paths: Paths, tree: Path) -> Iterator[str]:
    """Return the units of which this server, or the generation, has a file."""
    for folder in (*(paths.at(folder) for folder in FOLDERS), *(tree / folder for folder in _CARRIED)):
        yield from names_in(folder)
    # Podman's generator makes a service of each when systemd reads its units anew
    for name in names_in(tree / "etc/containers/systemd"):
        stem, _, kind = name.rpartition(".")
        yield f"{stem}.service" if kind in ("container", "kube") else f"{stem}-{kind}.service"
    for folder in (paths.at("/etc/init.d"), tree / "etc/init.d"):
        yield from (f"{name}.service" for name in names_in(folder))


def _zones(paths: Paths) -> Iterator[str]:
    top = os.fspath(paths.at(_ZONES))
    for folder, _, files in os.walk(top):
        yield from (os.path.relpath(os.path.join(folder, name), top) for name in files)
