"""dnf and rpm: what is installed, what can be had, and transactions that are simulated first."""

from __future__ import annotations

import logging
import os
import platform
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cmp_to_key
from pathlib import Path

from hotsync.backends.packages import rpm_state, rpm_text
from hotsync.backends.packages.units import units_in
from hotsync.backends.packages.unpacking import SECONDS as UNPACKING_SECONDS
from hotsync.backends.packages.unpacking import Unpacking, under_way
from hotsync.errors import CommandFailed
from hotsync.model.packages.family import RPM, identity
from hotsync.model.packages.values import Package, Request, Space, Transaction
from hotsync.model.packages.wants import Machine, Marks
from hotsync.model.ports.package_manager import Hints
from hotsync.system import command
from hotsync.system.paths import Paths

_log = logging.getLogger("hotsync.packages")
_TIMEOUT = 3600.0
_ASKING = 600.0
_CHUNK = 500
_ABORTED = "Operation aborted"  # what `--assumeno` ends with where a transaction could be done


class Dnf:
    """This host's dnf; another root than / has its own repositories, lists and package database (tests)."""

    def __init__(self, paths: Paths) -> None:
        self._paths = paths
        self._options = options_of(paths)
        self._store = paths.package_files
        # fetched files lie here, are looked for here first, and stay
        self._keeping = ["-y", "--setopt=keepcache=True", f"--setopt=destdir={self._store}"]

    def _dnf(self, *words: str) -> list[str]:
        return ["dnf", *self._options, *words]

    @property
    def name(self) -> str:
        """Return how it is called."""
        return "dnf"

    @property
    def hints(self) -> Hints:
        """Return what a person types."""
        return Hints(
            "dnf check; dnf remove --duplicates; dnf distro-sync", "dnf makecache", "dnf upgrade", "dnf install",
            "dnf reinstall", "glibc-locale-source (or glibc-all-langpacks)",
        )  # fmt: skip

    def machine(self) -> Machine:
        """Return of which architectures this host's packages are; those of a second one need no word beforehand."""
        native = platform.machine()
        return Machine(RPM, native, ("i686",) if native == "x86_64" else ())

    def take_architecture(self, architecture: str) -> None:
        """Do nothing: dnf takes packages of every architecture that runs here."""

    def installed(self) -> dict[str, Package]:
        """Return the installed packages, with marks and holds; of several versions (kernels) the newest."""
        native = platform.machine()
        found = sorted(rpm_state.read_installed(self._paths), key=lambda each: cmp_to_key(RPM.order)(each.version))
        return {identity(each.name, each.architecture, native): each for each in found}

    def broken(self) -> str:
        """Return what is wrong with the package database (something double or without what it needs), or ""."""
        answer = self._check()
        said = [line for line in answer.text.splitlines() if line.strip()]
        if answer.returncode == 0:
            return ""
        return "; ".join(said[:3]) or rpm_text.parse_refusal(answer.text, answer.errors)[0]

    def _check(self) -> command.Completed:
        return command.run(self._dnf("-q", "-C", "check", "--dependencies", "--duplicates"), ok=range(256))

    def updates(self) -> tuple[str, ...]:
        """Return the packages that would be updated, by the lists that are here."""
        answer = command.run(self._dnf("-q", "-C", "check-update"), ok=range(256), timeout=_ASKING)
        return rpm_text.parse_updates(answer.text, platform.machine()) if answer.returncode == 100 else ()

    def refresh(self) -> str:
        """Refresh the lists; return "" or why it did not work (the old lists stay)."""
        try:
            command.run(self._dnf("-q", "--refresh", "makecache"), timeout=_TIMEOUT)
        except CommandFailed as error:
            return str(error.facts["detail"])
        return ""

    def digest(self) -> str:
        """Return a digest of everything that an answer depends on."""
        return rpm_state.digest(self._paths)

    def available(self, names: Iterable[str]) -> dict[str, list[str]]:
        """Given names, return the versions that can be had of each, the newest first; others are left out."""
        wanted = frozenset(names)
        found = self._offered(sorted({name.partition(":")[0] for name in wanted}))
        newest = cmp_to_key(RPM.order)
        return {name: sorted(each, key=newest, reverse=True) for name, each in found.items() if name in wanted}

    def _offered(self, words: Sequence[str]) -> dict[str, dict[str, tuple[int, int]]]:
        found: dict[str, dict[str, tuple[int, int]]] = {}
        for start in range(0, len(words), _CHUNK):
            argv = self._dnf("-q", "-C", "repoquery", "--available", "--qf", rpm_text.OFFERED, "--")
            answer = command.run([*argv, *words[start : start + _CHUNK]], timeout=_ASKING)
            for name, versions in rpm_text.parse_offered(answer.text, platform.machine()).items():
                found.setdefault(name, {}).update(versions)
        return found

    def simulate(self, requests: Sequence[Request]) -> Transaction | tuple[str, ...]:
        """Given requests, return what installing them would do, or dnf's reasons why it cannot be done."""
        argv = self._dnf("-C", "--assumeno", "install", "--", *_specs(requests))
        answer = command.run(argv, ok=range(256), timeout=_ASKING)
        if _ABORTED in answer.errors or _ABORTED in answer.text or answer.returncode == 0:
            return rpm_text.parse_simulation(answer.text, self.installed(), platform.machine())
        return rpm_text.parse_refusal(answer.text, answer.errors)

    def space(self, packages: Collection[tuple[str, str]]) -> Space:
        """Given packages (name, version), return the bytes that their files and contents take."""
        offered = self._offered([rpm_text.spec(*package) for package in sorted(packages)])
        found = [offered.get(name, {}).get(version, (0, 0)) for name, version in packages]
        return Space(sum(file for file, _ in found), sum(unpacked for _, unpacked in found))

    def download(self, requests: Sequence[Request], packages: Collection[tuple[str, str]]) -> None:
        """Fetch the files that the requests bring and keep them on this host; raise CommandFailed."""
        del packages  # dnf keeps all that it fetches, or finds in a repository on this host
        self._store.mkdir(mode=0o700, parents=True, exist_ok=True)
        argv = self._dnf(*self._keeping, "-q", "--downloadonly", "install", "--", *_specs(requests))
        command.run(argv, timeout=_TIMEOUT, unread=True)

    def forget_files(self, packages: Collection[tuple[str, str]]) -> None:
        """Let the kept package files go but those of these packages (name, version)."""
        stems = {rpm_text.file_stem(*package) for package in packages}
        for file in self._store.glob("*.rpm"):
            if f"{file.name.removesuffix('.rpm').rpartition('.')[0]}." not in stems:
                file.unlink()

    def units_of(self, packages: Collection[tuple[str, str]]) -> tuple[str, ...]:
        """Given packages (name, version) whose files are kept, return the units that they bring."""
        units: set[str] = set()
        for stem in (rpm_text.file_stem(*package) for package in packages):
            for file in self._store.glob(f"{stem}*.rpm"):
                units |= set(units_in(command.run(["rpm", "-qpl", "--nosignature", str(file)]).text.splitlines()))
        return tuple(sorted(units))

    @property
    def fetches_into(self) -> Path:
        """Return where files are fetched to: where they are kept."""
        return self._store

    def install(self, requests: Sequence[Request], transaction: Transaction) -> Mapping[str, str]:
        """Install; a unit that a package starts finds itself muted. Return by name why packages were stopped; raise
        CommandFailed.

        rpm passes over a package whose script fails and installs the others, also those that need it.
        """
        try:
            with under_way(self._paths):
                argv = self._dnf(*self._keeping, "-q", "-C", "install", "--", *_specs(requests))
                command.run(argv, timeout=UNPACKING_SECONDS, unread=True)
        except CommandFailed as error:
            if not (stopped := rpm_text.parse_faults(error.stderr)):
                raise
            return self._take_back(frozenset(name for name, _ in transaction.installs), stopped) | stopped
        return {}

    def _take_back(self, new: Collection[str], stopped: Mapping[str, str]) -> dict[str, str]:
        """Remove what came with our install without a package that it needs, which was stopped: the database is not
        sound as long as it is there. Return by name why."""
        lacking = rpm_text.parse_lacking(self._check().text, self.machine().native)
        gone = {name: needs for name, needs in lacking.items() if name in new}
        if not gone:
            return {}
        words = ["remove", "--", *(name.replace(":", ".") for name in sorted(gone))]
        answer = command.run(self._dnf("-C", "--assumeno", *words), ok=range(256), timeout=_ASKING)
        removes = rpm_text.parse_simulation(answer.text, self.installed(), self.machine().native).removes
        if not removes or not set(removes) <= set(new):
            return {}  # then it is seen as broken
        try:
            command.run(self._dnf("-y", "-q", "-C", *words), timeout=UNPACKING_SECONDS, unread=True)
        except CommandFailed as error:
            _log.error("%s", error.sentence)
            return {}
        because = ", ".join(f"{name} ({reason})" for name, reason in sorted(stopped.items()))
        return {name: gone.get(name, f"what it needs was stopped: {because}") for name in removes}

    def mark(self, marks: Marks) -> None:
        """Mark installed packages; raise CommandFailed."""
        for word, names in (("install", marks.manual), ("remove", marks.automatic)):
            if names:
                command.run(self._dnf("-q", "-C", "mark", word, "--", *(name.replace(":", ".") for name in names)))
        if not (marks.hold or marks.release):
            return
        installed = self.installed()
        gone = {name.partition(":")[0] for name in marks.release}
        lines = [line for line in rpm_state.read_locks(self._paths) if not gone.intersection(_locked(line))]
        for name in marks.hold:
            version = installed[name].version
            lines.append(f"{name.partition(':')[0]}-{version if ':' in version else f'0:{version}'}.*")
        rpm_state.write_locks(self._paths, lines)

    @property
    def was_cut(self) -> bool:
        """Return whether an install of ours was cut."""
        return Unpacking(self._paths).is_told

    def finish(self) -> Mapping[str, str]:
        """Take the word of a cut install away: rpm has each package whole or not; what is double is a person's."""
        Unpacking(self._paths).end()
        return {}

    def tidy(self) -> None:
        """Do nothing: an install that was cut leaves no word that nothing may start."""


def options_of(paths: Paths) -> list[str]:
    """Given a host's paths, return what every call of dnf has first."""
    root = os.fspath(paths.root)
    away = root != "/"
    return [
        *([f"--installroot={root}", f"--setopt=reposdir={root}/etc/yum.repos.d", "--releasever=/"] if away else []),
        "--setopt=install_weak_deps=False", "--setopt=clean_requirements_on_remove=False",
        # what this server holds is never asked for; events of NethServer are production's
        "--disableplugin=versionlock", "--disableplugin=nethserver_events",
    ]  # fmt: skip


def _locked(line: str) -> frozenset[str]:
    return frozenset(rpm_text.locked_names([line]))


def _specs(requests: Iterable[Request]) -> list[str]:
    return [each.file or rpm_text.spec(each.name, each.version) for each in requests]
