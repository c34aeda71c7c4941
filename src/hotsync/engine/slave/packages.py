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
        requests, reasons = self.possible(names, before)
        if requests:
            try:
                reason = self._install(requests)
            except CommandFailed as error:
                reason = str(error.facts["detail"])
            if reason:
                _log.error("%s: %s", self._manager.name, reason)
                outcome.retry = True
                reasons |= {request.name: reason for request in requests}
        after = self._manager.installed()
        outcome.installed += sorted(after.keys() - before.keys())
        self._manager.forget_files([(name, each.version) for name, each in after.items()])
        return tuple(name for name in names if not self._arrived(name, after, reasons))

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
            self._manager.finish()
        except CommandFailed as error:
            _log.error("%s: %s", self._manager.name, error.facts["detail"])
        self._outcome.repaired = not self._manager.broken()

    def make_locales(self, names: Sequence[str]) -> None:
        """Make locales; why one cannot be made is in the outcome."""
        self._outcome.locales_failed.update(locales.make(self._paths, names))

    def possible(
        self, names: Sequence[str], installed: Mapping[str, Package]
    ) -> tuple[tuple[Request, ...], dict[str, str]]:
        """Given names, return the requests that go together, and by name why the others do not."""
        order = self._manager.machine().family.order
        available = self._manager.available(names)
        local = self._local(names, available)
        choice = choose([self._wanted[name] for name in names], available, order, local)
        reasons = {name: self._nowhere(name) for name in choice.unavailable}
        ours = load_held(self._paths)
        seen = {name: replace(each, held=each.held and name not in ours) for name, each in installed.items()}

        def ask(requests: Sequence[Request]) -> Sequence[str]:
            answer = self._manager.simulate(requests)
            return objections(answer, seen, order) if isinstance(answer, Transaction) else answer

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

    def _install(self, requests: Sequence[Request]) -> str:
        """Do it; return why it was not even begun ("": it was done)."""
        transaction = self._manager.simulate(requests)
        assert isinstance(transaction, Transaction)
        packages = [*transaction.installs, *((name, new) for name, _, new in transaction.upgrades)]
        if reason := self._lacks_room(packages):
            return reason
        self._manager.download(requests, packages)
        # from the first moment: what a package starts when it is unpacked finds itself muted
        add_brought(self._paths, (name for name, _ in transaction.installs))
        brought = load_brought(self._paths)
        self._mute.take_firewalls(filter(is_firewall, self._manager.units_of(transaction.installs)))
        self._mute.apply(self._manager.units_of([each for each in packages if each[0] in brought]))
        self._manager.install(requests)
        return ""

    def _lacks_room(self, packages: Sequence[tuple[str, str]]) -> str:
        space = self._manager.space(packages)
        fetched, unpacked = self._paths.state, self._paths.at("/usr")
        if fetched.stat().st_dev == unpacked.stat().st_dev:
            return lacks_room(space.files + space.unpacked, _room(unpacked))
        return lacks_room(space.files, _room(fetched)) or lacks_room(space.unpacked, _room(unpacked))

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


def _room(place: Path) -> Room:
    usage = shutil.disk_usage(place)
    return Room(usage.total, usage.free)
