"""The mute: production units do not run on a waiting SLAVE, by a condition that fails closed."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

from hotsync.backends import handmade
from hotsync.backends.production_units import MUTE_DROP_IN
from hotsync.model.mute import covers, mutable, umbrellas
from hotsync.model.unit_names import template_of
from hotsync.system import command, files
from hotsync.system.paths import Paths

_log = logging.getLogger("hotsync.mute")
UNIT_NAME = re.compile(r"^[A-Za-z0-9:_.\\@-]{1,250}\.(?:service|socket|timer|path)\Z")
RELATIONS = ("Names", "Triggers", "TriggeredBy", "ConsistsOf", "PartOf", "RequiredBy", "BoundBy")
"""What leads from a unit to what starts or stops with it, or cannot do without it."""
MEMBERS = ("Wants", "Requires", "Upholds", "ConsistsOf")
"""What leads from an application's target to what it starts. Of other units these lead into the base system."""

TEXT = b"""# Written by HotSync: this server is a SLAVE, and what the MASTER does in production does not run here.
# Either file is enough: the first exists on a MASTER, the second while hotsync-promote works in this boot.
# One plain condition on both: a unit's own "Condition...=|" joins those like it, and would open a pair of them.
# The assertion holds where another drop-in takes the unit's conditions away.
[Unit]
RequiresMountsFor=/var/lib/hotsync
ConditionPathExistsGlob=/{var/lib/hotsync/production,run/hotsync/promoting}
AssertPathExistsGlob=/{var/lib/hotsync/production,run/hotsync/promoting}
"""


Systemctl = Callable[[Sequence[str]], str]
"""Runs systemctl with these words and returns what it prints."""


def systemctl(words: Sequence[str]) -> str:
    """Run this machine's systemctl; return what it prints. Raise CommandFailed if it could not even read its files."""
    ok = (0,) if words[0] == "daemon-reload" else range(256)
    return command.run(["systemctl", *words], ok=ok, timeout=600).text


class Mute:
    """The mute's drop-ins of this host."""

    def __init__(self, paths: Paths, ask: Systemctl = systemctl) -> None:
        self._root = paths.root
        self._folder = paths.at("/etc/systemd/system")
        # until the next boot, which reads everything: drop-ins are being changed, or systemd has not read them yet
        self._unread = paths.run / "mute-unread"
        self._ask = ask
        self._firewalls: frozenset[str] = frozenset()
        self._told: frozenset[str] = frozenset()

    def take_firewalls(self, units: Iterable[str]) -> None:
        """Let these units be muted though a firewall is the machine's: hotsync-slave brought them, and none runs."""
        self._firewalls |= frozenset(units)

    def learn(self, told: Iterable[str]) -> None:
        """Take the MASTER's word for units that its administrator wrote: they are no part of this machine.

        One that is here counts as what it is here, whatever the MASTER says.
        """
        self._told = frozenset(unit for unit in told if not handmade.is_here(self._root, unit))

    def mutable(self, units: Iterable[str]) -> frozenset[str]:
        """Given units, return those that may be muted on this host."""
        return mutable(units, self.handmade())

    def handmade(self) -> frozenset[str]:
        """Return the units that an administrator wrote though they are called like the machine's: here, or there."""
        return self._told | handmade.handmade_units(self._root)

    def muted(self) -> frozenset[str]:
        """Return the units that are muted."""
        return frozenset(
            drop_in.parent.name.removesuffix(".d")
            for drop_in in self._folder.glob(f"*.d/{MUTE_DROP_IN}")
            if drop_in.is_file() and drop_in.read_bytes() == TEXT
        )

    @property
    def unread(self) -> bool:
        """Return whether a change was cut before systemd had read it: loaded units are as they were before."""
        return self._unread.exists()

    def lacking(self, units: Iterable[str]) -> frozenset[str]:
        """Given units that are to be muted, return those that are not, leaving out what never is.

        An instance is held by its template's drop-in.
        """
        units = frozenset(units)
        may = self.mutable(units) | (self._firewalls & units)
        wanted = frozenset(unit for unit in may if UNIT_NAME.match(unit))
        muted = self.muted()
        instances = {unit for unit in wanted if template_of(unit) != unit and template_of(unit) in muted | wanted}
        return wanted - muted - instances

    def apply(self, units: Iterable[str]) -> tuple[str, ...]:
        """Mute units, existing or yet to come, and stop what runs of them; return those not muted before.

        Raise OSError or CommandFailed; each drop-in appears whole, and doing it again does the rest.
        """
        fresh = sorted(self.lacking(units))
        if fresh or self.unread:
            with self._changing():
                for unit in fresh:
                    folder = self._folder / f"{unit}.d"
                    folder.mkdir(mode=0o755, parents=True, exist_ok=True)
                    files.write_atomic(folder / MUTE_DROP_IN, TEXT)
        self.stop(self.running())
        return tuple(fresh)

    def stop(self, units: Iterable[str]) -> None:
        """Stop units of production that run, by whatever they are kept from starting again."""
        # sockets, timers and paths first: they would start again what was just stopped
        order = sorted(units, key=lambda unit: (unit.endswith(".service"), unit))
        if not order:
            return
        self._ask(["stop", "--", *order])
        for unit in order:
            _log.info("stopped %s: it is production's", unit)

    def release(self, units: Iterable[str]) -> None:
        """Let units run again that were muted; nothing is started."""
        with self._changing():
            for unit in sorted(self.muted() & frozenset(units)):
                folder = self._folder / f"{unit}.d"
                (folder / MUTE_DROP_IN).unlink()
                if not any(folder.iterdir()):
                    folder.rmdir()
                _log.info("%s is not muted any more", unit)

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """Change drop-ins within, and let systemd read them; whoever comes after one that was cut does the rest."""
        self._unread.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        self._unread.touch(mode=0o644)
        yield
        if self._folder.is_dir():
            files.sync_directory(self._folder)
        self._ask(["daemon-reload"])
        self._unread.unlink(missing_ok=True)

    def running(self) -> list[str]:
        """Return the muted units (templates stand for their instances) that are active now."""
        muted = self.muted()
        return sorted(unit for unit in self.active() if covers(muted, unit))

    def active(self) -> frozenset[str]:
        """Return all units that are active now."""
        return frozenset(self._listed("--state=active,activating,reloading"))

    def related(self, units: Iterable[str]) -> frozenset[str]:
        """Given units, return them with all that starts or stops together with them, as systemd knows it."""
        units = frozenset(units)
        written = self.handmade()
        found, targets = set(mutable(units, written)), set(umbrellas(units))
        asked: set[str] = set()
        while waiting := sorted((found | targets) - asked):
            asked |= set(waiting)
            single = [unit for unit in waiting if "@." not in unit and unit not in targets]
            new = self._shown(RELATIONS, single) | self._shown(MEMBERS, sorted(targets & set(waiting)))
            templates = [unit.replace("@.", "@*.") for unit in waiting if "@." in unit]
            if templates:
                new |= self._listed("--all", "--", *templates)
            found |= mutable(new, written)
            targets |= umbrellas(new)
        return frozenset(unit for unit in found if UNIT_NAME.match(unit))

    def _shown(self, properties: Sequence[str], units: Sequence[str]) -> set[str]:
        """Return every unit that these properties of units name."""
        if not units:
            return set()
        shown = self._ask(["show", f"--property={','.join(properties)}", "--", *units])
        return {unit for record in parse_show(shown) for value in record.values() for unit in value.split()}

    def _listed(self, *words: str) -> set[str]:
        text = self._ask(["list-units", "--plain", "--no-legend", "--full", *words])
        return {line.split()[0] for line in text.splitlines() if line.split()}


def parse_show(text: str) -> list[dict[str, str]]:
    """Given `systemctl show` of several units, return the properties of each."""
    records: list[dict[str, str]] = []
    for record in text.split("\n\n"):
        lines = [line.partition("=") for line in record.splitlines() if "=" in line]
        if lines:
            records.append({key: value for key, _, value in lines})
    return records
