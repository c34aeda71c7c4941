"""apt and dpkg: what is installed, what can be had, and transactions that start nothing and are simulated first."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from hotsync.backends.packages import apt_text
from hotsync.backends.packages.kept import lay_beside
from hotsync.backends.packages.units import units_in
from hotsync.backends.packages.unpacking import SECONDS as UNPACKING_SECONDS
from hotsync.backends.packages.unpacking import Unpacking
from hotsync.errors import CommandFailed
from hotsync.model.packages.family import DEBIAN, identity
from hotsync.model.packages.values import Package, Request, Space, Transaction
from hotsync.model.packages.wants import Machine, Marks
from hotsync.model.ports.package_manager import Hints
from hotsync.system import command
from hotsync.system.files import write_atomic
from hotsync.system.paths import Paths

_log = logging.getLogger("hotsync.packages")
_FORMAT = r"${db:Status-Status}\t${Package}\t${Version}\t${Architecture}\t${db:Status-Want}\t${Essential}\n"
_APT_TIMEOUT = 3600.0
_COMMON = ["-q", "-y", "--no-install-recommends", "-o", "APT::Get::AutomaticRemove=false"]
# conffiles: the promoted /etc is the MASTER's anyway, so a question would only stop the work
_QUIET = [
    *_COMMON, "-o", "Dpkg::Options::=--force-confdef", "-o", "Dpkg::Options::=--force-confold",
    "-o", "APT::Keep-Downloaded-Packages=true", "-o", "Dpkg::Lock::Timeout=120", "-o", "Dpkg::Use-Pty=0", "--no-remove",
    "--allow-change-held-packages",  # those that are held for the MASTER: what this server holds is never asked for
]  # fmt: skip
POLICY = "/usr/sbin/policy-rc.d"
ARCHIVES = "/var/cache/apt/archives"
POLICY_TEXT = b"#!/bin/sh\n# HotSync installs packages: nothing starts until this host is promoted.\nexit 101\n"


class Apt:
    """This host's apt; another root than / has its own lists, packages and package database (tests)."""

    def __init__(self, paths: Paths) -> None:
        self._paths = paths
        root = os.fspath(paths.root)
        away = root != "/"
        self._dir = (
            ["-o", f"Dir={root}", "-o", f"Dir::State::status={root}/var/lib/dpkg/status",
             "-o", f"DPkg::Options::=--root={root}", "-o", "APT::Sandbox::User=root"] if away else []
        )  # fmt: skip
        self._root = [f"--root={root}"] if away else []
        self._store = paths.package_files
        self._archives = paths.at(ARCHIVES)
        self._unpacking = Unpacking(paths)

    def _apt(self, program: str, *words: str) -> list[str]:
        return [program, *self._dir, *words]

    @property
    def name(self) -> str:
        """Return how it is called."""
        return "apt-get"

    @property
    def hints(self) -> Hints:
        """Return what a person types."""
        return Hints(
            "dpkg --configure -a; apt-get -f install", "apt-get update", "apt-get upgrade", "apt-get install",
            "apt-get install --reinstall", "locales (or locales-all)",
        )  # fmt: skip

    def machine(self) -> Machine:
        """Return of which architectures this host's packages are."""
        native = command.run(["dpkg", "--print-architecture"]).text.strip()
        foreign = command.run(["dpkg", *self._root, "--print-foreign-architectures"]).text.split()
        return Machine(DEBIAN, native, tuple(foreign))

    def take_architecture(self, architecture: str) -> None:
        """Take packages of another architecture from now on."""
        command.run(["dpkg", *self._root, "--add-architecture", architecture])

    def installed(self) -> dict[str, Package]:
        """Return the installed packages, with dpkg's and apt's marks."""
        native = command.run(["dpkg", "--print-architecture"]).text.strip()
        text = command.run(["dpkg-query", *self._root, "-W", "-f", _FORMAT]).text
        automatic = apt_text.parse_automatic(self._states())
        return {
            identity(each.name, each.architecture, native): replace(
                each, manual=(each.name, each.architecture) not in automatic
            )
            for each in apt_text.parse_installed(text)
        }

    def _states(self) -> str:
        try:
            return self._paths.at("/var/lib/apt/extended_states").read_text(encoding="utf-8", errors="surrogateescape")
        except FileNotFoundError:
            return ""  # apt has never installed anything by itself

    def broken(self) -> str:
        """Return what is wrong with the package database (something half installed or configured, or without what it
        needs, or the database cannot be read), "" if nothing is."""
        audit = command.run(["dpkg", *self._root, "--audit"], ok=range(256))
        if said := audit.text.strip():
            names = [line.split()[0] for line in said.splitlines() if line.startswith(" ") and line.split()]
            return f"{said.splitlines()[0]} {', '.join(names[:5])}".strip()
        if audit.returncode:
            return " ".join(audit.errors.split())[:500] or f"dpkg --audit ends with {audit.returncode}"
        # apt refuses every transaction where a package lacks what it needs, and dpkg's audit does not look for that
        check = self._check()
        return "; ".join(apt_text.parse_refusal(check.text, check.errors)) if check.returncode else ""

    def _check(self) -> command.Completed:
        # it changes nothing: whoever holds dpkg's lock meanwhile is no fault
        argv = self._apt("apt-get", "-q", "-o", "Debug::NoLocking=true", "check")
        return command.run(argv, ok=range(256), timeout=600)

    def updates(self) -> tuple[str, ...]:
        """Return the packages that would be updated, by the lists that are here."""
        argv = self._apt("apt-get", "-s", "-q", "upgrade")
        found = apt_text.parse_simulation(command.run(argv, ok=range(256), timeout=600).text)
        return tuple(sorted(name for name, _, _ in found.upgrades))

    def refresh(self) -> str:
        """Refresh the lists; return "" or why it did not work (the old lists stay)."""
        words = ["update", "-q", "-o", "APT::Update::Error-Mode=any", "-o", "Acquire::Retries=1"]
        try:
            command.run(self._apt("apt-get", *words), timeout=_APT_TIMEOUT, unread=True)
        except CommandFailed as error:
            return str(error.facts["detail"])
        return ""

    def digest(self) -> str:
        """Return a digest of everything that an answer of apt depends on: lists, sources, what is installed."""
        digest = hashlib.sha256()
        for place in ("/var/lib/apt/lists", "/etc/apt", "/etc/apt/sources.list.d", "/etc/apt/preferences.d"):
            for file in sorted(self._paths.at(place).glob("*")):
                if file.is_file() and file.name != "lock":
                    status = file.stat()
                    digest.update(
                        f"{file}\0{status.st_size}\0{status.st_mtime_ns}\n".encode("utf-8", "surrogateescape")
                    )
        for name in ("/var/lib/dpkg/status", "/var/lib/dpkg/arch", "/var/lib/apt/extended_states"):
            file = self._paths.at(name)
            digest.update(file.read_bytes() if file.exists() else b"")
        # while dpkg works, or after it was cut, what changed lies here
        digest.update(repr(sorted(os.listdir(self._paths.at("/var/lib/dpkg/updates")))).encode())
        return digest.hexdigest()

    def available(self, names: Iterable[str]) -> dict[str, list[str]]:
        """Given names, return the versions that can be had of each, the candidate first; others are left out."""
        wanted = sorted(names)
        found: dict[str, list[str]] = {}
        for start in range(0, len(wanted), 500):
            words = ["policy", "--", *wanted[start : start + 500]]
            found |= apt_text.parse_policy(command.run(self._apt("apt-cache", *words)).text)
        return found

    def simulate(self, requests: Sequence[Request]) -> Transaction | tuple[str, ...]:
        """Given requests, return what installing them would do, or apt's reasons why it cannot be done."""
        argv = self._apt("apt-get", "-s", *_COMMON, "--allow-change-held-packages", "install", "--", *_words(requests))
        answer = command.run(argv, ok=range(256), timeout=600)
        if answer.returncode == 0:
            return apt_text.parse_simulation(answer.text)
        return apt_text.parse_refusal(answer.text, answer.errors)

    def space(self, packages: Collection[tuple[str, str]]) -> Space:
        """Given packages (name, version), return the bytes that their files and contents take."""
        sizes: dict[tuple[str, str], tuple[int, int]] = {}
        words = [f"{name}={version}" for name, version in sorted(packages)]
        for start in range(0, len(words), 500):
            answer = command.run(self._apt("apt-cache", "show", "--", *words[start : start + 500]), ok=range(256))
            sizes |= apt_text.parse_sizes(answer.text)
        unknown = (each for each in packages if (each[0].partition(":")[0], each[1]) not in sizes)
        for stem in (apt_text.file_stem(*package) for package in unknown):  # of no repository: their files lie here
            for file in self._store.glob(f"{stem}*.deb"):
                fields = command.run(["dpkg-deb", "--field", str(file)]).text + f"Size: {file.stat().st_size}\n"
                sizes |= apt_text.parse_sizes(fields)
        found = [sizes.get((name.partition(":")[0], version), (0, 0)) for name, version in packages]
        return Space(sum(file for file, _ in found), sum(unpacked for _, unpacked in found))

    def download(self, requests: Sequence[Request], packages: Collection[tuple[str, str]]) -> None:
        """Fetch the files of these packages (name, version), which the requests bring, and keep them on this host."""
        argv = self._apt("apt-get", *_QUIET, "--print-uris", "install", "--", *_words(requests))
        uris = apt_text.parse_uris(command.run(argv).text)
        for name in uris:
            if (kept := self._store / name).is_file():
                lay_beside(kept, self._archives / name)
        argv = self._apt("apt-get", *_QUIET, "--download-only", "install", "--", *_words(requests))
        command.run(argv, timeout=_APT_TIMEOUT, unread=True)
        # apt uses what lies in a repository on this host where it lies
        files = {name: Path(uri.removeprefix("file:")) for name, uri in uris.items() if uri.startswith("file:")}
        for stem in (apt_text.file_stem(*package) for package in packages):
            files |= {file.name: file for file in self._archives.glob(f"{stem}*.deb")}
        self._store.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name, file in files.items():
            lay_beside(file, self._store / name)

    def forget_files(self, packages: Collection[tuple[str, str]]) -> None:
        """Let the kept package files go but those of these packages (name, version)."""
        stems = {apt_text.file_stem(*package) for package in packages}
        for file in self._store.glob("*.deb"):
            if f"{file.name.rpartition('_')[0]}_" not in stems:
                self._let_go(file)
                file.unlink()

    def _let_go(self, kept: Path) -> None:
        """Take a kept file out of apt's own cache, in which it lay to be installed: once is enough."""
        archive = self._archives / kept.name
        if archive.is_file() and archive.stat().st_size == kept.stat().st_size:
            archive.unlink()

    def units_of(self, packages: Collection[tuple[str, str]]) -> tuple[str, ...]:
        """Given packages (name, version) whose files are kept, return the units that they bring."""
        units: set[str] = set()
        for stem in (apt_text.file_stem(*package) for package in packages):
            for file in self._store.glob(f"{stem}*.deb"):
                units |= set(units_in(apt_text.parse_contents(command.run(["dpkg-deb", "-c", str(file)]).text)))
        return tuple(sorted(units))

    @property
    def fetches_into(self) -> Path:
        """Return where files are fetched to before they are kept."""
        return self._archives

    def install(self, requests: Sequence[Request], transaction: Transaction) -> Mapping[str, str]:
        """Install, starting nothing; return by name why packages were stopped. Raise CommandFailed."""
        argv = self._apt("apt-get", *_QUIET, "install", "--", *_words(requests))
        new, updated = [name for name, _ in transaction.installs], [name for name, _, _ in transaction.upgrades]
        with self._nothing_starts():
            self._unpacking.begin(new, updated)
            try:
                command.run(argv, env={"NEEDRESTART_SUSPEND": "1"}, timeout=UNPACKING_SECONDS, unread=True)
                stopped: Mapping[str, str] = {}
            except CommandFailed as error:
                # what dpkg says first is the cause: afterwards a package whose script failed may look untouched
                stopped = {**self.finish(), **apt_text.parse_faults(error.stderr, self._native())}
                if not stopped:
                    raise
            else:
                self._unpacking.end()
        for stem in (apt_text.file_stem(*package) for package in transaction.comes):
            for kept in self._store.glob(f"{stem}*.deb"):
                self._let_go(kept)
        return stopped

    def mark(self, marks: Marks) -> None:
        """Mark installed packages; raise CommandFailed."""
        # apt-mark asks dpkg for holds without a word of another root
        for word, names in (("manual", marks.manual), ("auto", marks.automatic)):
            if names:
                command.run(self._apt("apt-mark", "-q", word, "--", *names))
        selections = [f"{name} hold\n" for name in marks.hold] + [f"{name} install\n" for name in marks.release]
        if selections:
            command.run(["dpkg", *self._root, "--set-selections"], input="".join(selections).encode())

    @property
    def was_cut(self) -> bool:
        """Return whether what is half done is what an install of ours left, and nothing else is: ours to finish."""
        return self._unpacking.is_told and self._unfinished().keys() <= self._unpacking.names

    def _unfinished(self) -> dict[str, str]:
        text = command.run(["dpkg-query", *self._root, "-W", "-f", _FORMAT], limit=command.LARGE_OUTPUT).text
        return apt_text.parse_unfinished(text, self._native())

    def _native(self) -> str:
        return command.run(["dpkg", "--print-architecture"]).text.strip()

    def finish(self) -> Mapping[str, str]:
        """Configure what an install of ours that was cut or failed had unpacked, starting nothing, and take back what
        cannot stay; return by name why packages could not be configured.

        The word stays while something of it is half done: it is tried again, and stands in no other package's way.
        """
        if not self.was_cut:
            return {}
        stopped: dict[str, str] = {}
        with self._nothing_starts():
            # all that is pending is ours
            argv = ["dpkg", *self._root, "--force-confdef", "--force-confold", "--configure", "--pending"]
            try:
                command.run(argv, env={"NEEDRESTART_SUSPEND": "1"}, timeout=UNPACKING_SECONDS, unread=True)
            except CommandFailed as error:
                stopped = apt_text.parse_faults(error.stderr, self._native())
            self._take_back()
        self._unpacking.keep(self._unfinished())
        return stopped

    def _take_back(self) -> None:
        """Remove what our install had unpacked and what lacks a package that it needs, which did not come: apt refuses
        everything as long as it is there. It was not here before."""
        unpacked = [name for name, state in self._unfinished().items() if state == "unpacked"]
        new = [name for name in unpacked if name in self._unpacking.new]
        if not new or not self._check().returncode:
            return
        try:
            command.run(["dpkg", *self._root, "--remove", "--", *new], timeout=UNPACKING_SECONDS, unread=True)
        except CommandFailed as error:
            _log.error("%s", error.sentence)  # then it is seen as broken

    def tidy(self) -> None:
        """Take away what an install that was cut left: that nothing may start, and its own word once all is well."""
        policy = self._paths.at(POLICY)
        if policy.is_file() and policy.read_bytes() == POLICY_TEXT:
            policy.unlink()
        try:
            if self._unpacking.is_told and not self.broken():
                self._unpacking.end()
        except CommandFailed as error:
            _log.warning("%s", error.sentence)  # a database that cannot be read is told by the readiness

    @contextmanager
    def _nothing_starts(self) -> Iterator[None]:
        policy = self._paths.at(POLICY)
        ours = not policy.exists() or policy.read_bytes() == POLICY_TEXT
        if ours:
            policy.parent.mkdir(parents=True, exist_ok=True)
            write_atomic(policy, POLICY_TEXT, mode=0o755)
        try:
            yield
        finally:
            if ours:
                policy.unlink(missing_ok=True)


def _words(requests: Iterable[Request]) -> list[str]:
    return [each.file or f"{each.name}={each.version}" for each in requests]
