"""The MASTER's packages on the SLAVE: chosen, simulated, fetched, muted, and only then installed; marks follow."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from hotsync.backends import locales
from hotsync.backends.mute import Mute
from hotsync.backends.packages import detect
from hotsync.engine.slave.local_packages import lay_ready
from hotsync.engine.slave.package_facts import Standing
from hotsync.errors import CommandFailed
from hotsync.model.facts import StreamFact
from hotsync.model.machine_units import is_firewall
from hotsync.model.packages.family import identity
from hotsync.model.packages.local import carried_here
from hotsync.model.packages.values import (
    Package,
    Request,
    Room,
    Transaction,
    Wanted,
    choose,
    lacks_room,
    objections,
    resolve,
)
from hotsync.model.packages.wants import marks
from hotsync.model.slave import SlaveOutcome
from hotsync.state.slave_packages import add_brought, load_brought, load_held, set_held

_log = logging.getLogger("hotsync.packages")
_NOWHERE = "no repository of this server has it"


class SlavePackages:
    """Installs what the MASTER has and this SLAVE lacks; says of each package that it could not get why."""

    def __init__(self, standing: Standing, mute: Mute, wanted: Sequence[Wanted], outcome: SlaveOutcome) -> None:
        self._standing = standing
        self._paths = standing.paths
        self._manager = standing.manager
        self._mute = mute
        self._wanted = {package.name: package for package in wanted}
        self._outcome = outcome
        self._without_file: Mapping[str, str] = {}
        self._unfinished: Mapping[str, str] = {}
        self._stopped: set[tuple[str, str]] = set()

    def take_architectures(self, names: Sequence[str]) -> None:
        """Take packages of these architectures too; what fails is told by the packages that cannot be had then."""
        for name in names:
            try:
                self._manager.take_architecture(name)
            except CommandFailed as error:
                _log.error("%s: %s", name, error.facts["detail"])

    def take_streams(self, streams: Sequence[StreamFact]) -> None:
        """Enable streams of modules, or switch modules off; why one could not be is in the outcome."""
        self._refresh()
        if (known := self._known()) is not None:
            self._outcome.missing |= {f"module {each}": known.get(f"module {each}", _NOWHERE) for each in streams}
            return
        reasons = detect.streams_of(self._paths).take(streams)
        for each in streams:
            if reason := reasons.get(each.module):
                _log.error("module %s: %s", each, reason)
                self._outcome.missing[f"module {each}"] = reason

    def _refresh(self) -> None:
        if not self._outcome.refreshed:
            self._outcome.lists_fault, self._outcome.refreshed = self._manager.refresh(), True

    def _known(self) -> Mapping[str, str] | None:
        """Return what the last run could not get, by name, if nothing changed since."""
        last = self._standing.last
        unchanged = last.digest and last.digest == self._standing.digest()
        return {each.name: each.reason for each in last.missing} if unchanged else None

    def install(self, names: Sequence[str]) -> Sequence[str]:
        """Install what can be had, starting nothing; return the names that could not be had. Raise OSError only."""
        outcome = self._outcome
        self._refresh()
        if (known := self._known()) is not None:
            outcome.missing = dict(known)
            outcome.behind = {each.name: each.reason for each in self._standing.last.behind}
            return tuple(names)
        before = self._manager.installed()
        reasons = self._install_what_goes(names, before)
        after = self._manager.installed()
        outcome.installed += sorted(after.keys() - before.keys())
        # what was stopped is asked for again: its file need not come twice
        here = {(name, each.version) for name, each in after.items()}
        self._manager.forget_files(here | self._stopped)
        return tuple(name for name in names if not self._arrived(name, after, reasons))

    def _install_what_goes(self, names: Sequence[str], here: Mapping[str, Package]) -> dict[str, str]:
        """Install all that goes together; return by name why the others did not come.

        One package that is stopped by what is in it (a script of its own that fails, a file that another one has) is
        left out with what needs it, and the others are tried again.
        """
        reasons: dict[str, str] = {}
        stopped = dict(self._unfinished)  # tried a moment ago
        left = [name for name in names if name not in stopped]
        while True:
            requests, refused = self.possible(left, here, stopped)
            reasons |= refused
            if not requests:
                return reasons | stopped
            reason, found = self._tried(requests)
            new = found.keys() - stopped.keys()
            stopped |= found
            if not new:
                # nothing was wrong, or what stopped the others is nothing that can be left out
                why = reason or "; ".join(f"{name}: {each}" for name, each in sorted(found.items()))
                return reasons | ({request.name: why for request in requests} if why else {}) | stopped
            here = self._manager.installed()
            left = [each.name for each in requests if each.name not in stopped and not _is_here(each, here)]

    def _tried(self, requests: Sequence[Request]) -> tuple[str, Mapping[str, str]]:
        """Install; return why nothing was, and by name why packages were stopped. What fails is tried again later."""
        found: Mapping[str, str] = {}
        try:
            reason, found = self._install(requests)
        except CommandFailed as error:
            reason = str(error.facts["detail"])
        said = [reason] if reason else [f"{name}: {why}" for name, why in sorted(found.items())]
        for each in said:
            _log.error("%s: %s", self._manager.name, each)
        if said:
            self._outcome.retry, self._outcome.broken = True, self._manager.broken()
        return reason, found

    def take_marks(self) -> None:
        """Mark and hold what is installed as the MASTER does; what fails is in the log and done by the next run."""
        machine, ours = self._manager.machine(), load_held(self._paths)
        wanted = marks(self._standing.master, self._manager.installed(), machine, load_brought(self._paths), ours)
        held = ours | set(wanted.hold)
        set_held(self._paths, held)
        try:
            self._manager.mark(wanted)
        except CommandFailed as error:
            _log.error("marks of packages: %s", error.facts["detail"])
            self._outcome.retry = True
            return
        set_held(self._paths, held - set(wanted.release))

    def finish_install(self) -> None:
        """Configure what an install that was cut had unpacked; what fails is in the log, and seen as broken after."""
        try:
            self._unfinished = self._manager.finish()
        except CommandFailed as error:
            _log.error("%s: %s", self._manager.name, error.facts["detail"])
        for name, why in sorted(self._unfinished.items()):
            _log.error("%s: %s: %s", self._manager.name, name, why)
        self._outcome.broken = self._manager.broken()

    def make_locales(self, names: Sequence[str]) -> None:
        """Make locales; why one cannot be made is in the outcome."""
        self._outcome.locales_failed.update(locales.make(self._paths, names))

    def possible(
        self, names: Sequence[str], installed: Mapping[str, Package], stopped: Mapping[str, str] | None = None
    ) -> tuple[tuple[Request, ...], dict[str, str]]:
        """Given names, and by name why packages were stopped before, return the requests that go together without
        these, and by name why the others do not."""
        left_out = stopped or {}
        order = self._manager.machine().family.order
        available = self._manager.available(names)
        local = self._local(names, available)
        choice = choose([self._wanted[name] for name in names], available, order, local)
        reasons = {name: self._nowhere(name) for name in choice.unavailable}
        ours = load_held(self._paths)
        seen = {name: replace(each, held=each.held and name not in ours) for name, each in installed.items()}

        def ask(requests: Sequence[Request]) -> Sequence[str]:
            answer = self._manager.simulate(requests)
            if not isinstance(answer, Transaction):
                return answer
            needed = (name for name, _ in answer.comes if name in left_out)
            return (*objections(answer, seen, order), *(f"it needs {name}: {left_out[name]}" for name in needed))

        requests, refused = resolve(choice.requests, ask)
        return requests, reasons | refused

    def _local(self, names: Sequence[str], available: Mapping[str, Sequence[str]]) -> Mapping[str, str]:
        """Return the files of what is of no repository; why there is none is remembered."""
        native = self._manager.machine()
        told = {
            (identity(each.name, each.architecture, native.native), each.version): each
            for each in carried_here(self._standing.local, native)
        }
        lacking = [name for name in names if self._wanted[name].version not in available.get(name, ())]
        asked = [(name, each) for name in lacking if (each := told.get((name, self._wanted[name].version)))]
        found, self._without_file = lay_ready(self._paths, detect.files_of(self._paths), asked)
        return found

    def _nowhere(self, name: str) -> str:
        wanted = self._wanted[name]
        if reason := self._without_file.get(name):
            return f"{wanted.here} is here; {reason}" if wanted.here else reason
        return f"{wanted.here} is here, and {wanted.version} can be had nowhere" if wanted.here else _NOWHERE

    def _install(self, requests: Sequence[Request]) -> tuple[str, Mapping[str, str]]:
        """Do it; return why it was not even begun ("": it was done), and by name why packages were stopped."""
        transaction = self._manager.simulate(requests)
        assert isinstance(transaction, Transaction)
        packages = transaction.comes
        if reason := self._lacks_room(packages):
            return reason, {}
        self._manager.download(requests, packages)
        # from the first moment: what a package starts when it is unpacked finds itself muted
        add_brought(self._paths, (name for name, _ in transaction.installs))
        brought = load_brought(self._paths)
        self._mute.take_firewalls(filter(is_firewall, self._manager.units_of(transaction.installs)))
        self._mute.apply(self._manager.units_of([each for each in packages if each[0] in brought]))
        stopped = self._manager.install(requests, transaction)
        self._stopped |= {each for each in packages if each[0] in stopped}
        return "", stopped

    def _lacks_room(self, packages: Sequence[tuple[str, str]]) -> str:
        """Return which disk lacks room for what is fetched, kept and unpacked ("": none): each may be another one."""
        space = self._manager.space(packages)
        fetched, kept, unpacked = map(_there, (self._manager.fetches_into, self._paths.state, self._paths.at("/usr")))
        takes = dict.fromkeys({fetched.stat().st_dev: fetched, kept.stat().st_dev: kept}.values(), space.files)
        needs: dict[int, tuple[Path, int]] = {}
        for place, size in (*takes.items(), (unpacked, space.unpacked)):
            disk = place.stat().st_dev
            needs[disk] = (place, needs.get(disk, (place, 0))[1] + size)
        found = (lacks_room(size, _room(place)) for place, size in needs.values())
        return next(filter(None, found), "")

    def _arrived(self, name: str, after: Mapping[str, Package], reasons: Mapping[str, str]) -> bool:
        """Note what came of one package; return whether it is here, as new as it can be."""
        wanted, here, outcome = self._wanted[name], after.get(name), self._outcome
        if here is None:
            outcome.missing[name] = reasons.get(name, f"{self._manager.name} did not install it")
            return False
        if self._manager.machine().family.order(here.version, wanted.version) < 0:
            known = reasons.get(name) or self._without_file.get(name)
            outcome.behind[name] = known or f"{here.version} is here, and {wanted.version} can be had nowhere"
            return False
        return True


def _is_here(request: Request, installed: Mapping[str, Package]) -> bool:
    return request.name in installed and installed[request.name].version == request.version


def _there(place: Path) -> Path:
    """Return a folder, or the nearest one above it that is there: that is the disk on which it will be made."""
    while not place.exists():
        place = place.parent
    return place


def _room(place: Path) -> Room:
    usage = shutil.disk_usage(place)
    return Room(usage.total, usage.free)
