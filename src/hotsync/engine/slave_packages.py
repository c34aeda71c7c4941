"""The MASTER's packages on the SLAVE: chosen, simulated, fetched, muted, and only then installed."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass

from hotsync.backends import locales
from hotsync.backends.mute import Mute
from hotsync.backends.packages.apt import Apt
from hotsync.errors import CommandFailed
from hotsync.model.packages import Package, Transaction, Wanted, choose, objections, resolve
from hotsync.model.slave import SlaveOutcome
from hotsync.state.slave_packages import add_brought
from hotsync.state.slave_run import SlaveRun
from hotsync.system.paths import Paths

_log = logging.getLogger("hotsync.packages")
_NOWHERE = "no repository of this server has it"


@dataclass(frozen=True, slots=True)
class Tools:
    """What packages are installed with on one host."""

    paths: Paths
    apt: Apt
    mute: Mute


class SlavePackages:
    """Installs what the MASTER has and this SLAVE lacks; says of each package that it could not get why."""

    def __init__(self, tools: Tools, wanted: Sequence[Wanted], outcome: SlaveOutcome, last: SlaveRun) -> None:
        self._paths = tools.paths
        self._apt = tools.apt
        self._mute = tools.mute
        self._wanted = {package.name: package for package in wanted}
        self._outcome = outcome
        self._last = last

    def install(self, names: Sequence[str]) -> Sequence[str]:
        """Install what can be had, starting nothing; return the names that could not be had. Raise OSError only."""
        outcome = self._outcome
        outcome.lists_fault, outcome.refreshed = self._apt.refresh(), True
        digest = self._digest(names)
        if self._last.digest == digest:
            outcome.digest, outcome.missing = digest, {each.name: each.reason for each in self._last.missing}
            return tuple(names)
        before = self._apt.installed()
        words = self.possible(names, before)
        failed = False
        if words:
            try:
                self._install(words)
            except CommandFailed as error:
                failed, reason = True, str(error.facts["detail"])
                _log.error("apt-get: %s", reason)
                outcome.missing.update((word.partition("=")[0], reason) for word in words)
        after = self._apt.installed()
        outcome.installed += sorted(after.keys() - before.keys())
        for name in names:
            if name in after:
                outcome.missing.pop(name, None)
                self._note_version(name, after[name])
            else:
                outcome.missing.setdefault(name, "apt-get did not install it")
        # a fetch that failed may go well the next time; what fits together changes only with lists and packages
        left = tuple(name for name in names if name not in after)
        outcome.digest = "" if failed else self._digest(left)
        return left

    def finish_install(self) -> None:
        """Configure what an install that was cut had unpacked; what fails is in the log, and seen as broken after."""
        try:
            self._apt.finish()
        except CommandFailed as error:
            _log.error("dpkg: %s", error.facts["detail"])
        self._outcome.repaired = not self._apt.broken()

    def make_locales(self, names: Sequence[str]) -> None:
        """Make locales; why one cannot be made is in the outcome."""
        self._outcome.locales_failed.update(locales.make(self._paths, names))

    def _digest(self, names: Sequence[str]) -> str:
        wanted = repr([self._wanted[name] for name in sorted(names)])
        return hashlib.sha256((self._apt.digest() + wanted).encode()).hexdigest()

    def possible(self, names: Sequence[str], installed: dict[str, Package]) -> tuple[str, ...]:
        """Given names, return the name=version words that go together; why the others do not is in the outcome."""
        wanted = [self._wanted[name] for name in names]
        choice = choose(wanted, self._apt.available(names))
        self._outcome.missing.update((name, _NOWHERE) for name in choice.unavailable)

        def ask(words: Sequence[str]) -> Sequence[str]:
            answer = self._apt.simulate(words)
            return objections(answer, installed) if isinstance(answer, Transaction) else answer

        words, refused = resolve(choice.words, ask)
        self._outcome.missing.update(refused)
        return words

    def _install(self, words: Sequence[str]) -> None:
        self._apt.download(words)
        transaction = self._apt.simulate(words)
        assert isinstance(transaction, Transaction)
        # from the first moment: what a package starts when it is unpacked finds itself muted
        add_brought(self._paths, (name for name, _ in transaction.installs))
        self._mute.apply(self._apt.units_of(words, transaction))
        named = {word.partition("=")[0] for word in words}
        self._apt.install(words, [name for name in sorted(named) if not self._wanted[name].manual])

    def _note_version(self, name: str, package: Package) -> None:
        wanted = self._wanted[name].version
        if package.version != wanted:
            self._outcome.other_version[name] = f"{package.version} instead of {wanted}"
