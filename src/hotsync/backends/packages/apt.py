"""apt and dpkg: what is installed, what can be had, and transactions that start nothing and are simulated first."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from hotsync.backends.packages import apt_text
from hotsync.backends.packages.kept import lay_beside
from hotsync.backends.packages.units import units_in
from hotsync.backends.packages.unpacking import SECONDS as UNPACKING_SECONDS
from hotsync.backends.packages.unpacking import under_way
from hotsync.errors import CommandFailed
from hotsync.model.packages.family import DEBIAN, identity
from hotsync.model.packages.values import Package, Request, Space, Transaction
from hotsync.model.packages.wants import Machine, Marks
from hotsync.model.ports.package_manager import Hints
from hotsync.system import command
from hotsync.system.files import write_atomic
from hotsync.system.paths import Paths

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
        """Return what is wrong with the package database (something half installed or configured), "" if nothing is."""
        audit = command.run(["dpkg", *self._root, "--audit"], ok=range(256)).text.strip()
        if audit:
            names = [line.split()[0] for line in audit.splitlines() if line.startswith(" ") and line.split()]
            return f"{audit.splitlines()[0]} {', '.join(names[:5])}".strip()
        return ""

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
        archives = self._paths.at(ARCHIVES)
        for name in uris:
            if (kept := self._store / name).is_file():
                lay_beside(kept, archives / name)
        argv = self._apt("apt-get", *_QUIET, "--download-only", "install", "--", *_words(requests))
        command.run(argv, timeout=_APT_TIMEOUT, unread=True)
        # apt uses what lies in a repository on this host where it lies
        files = {name: Path(uri.removeprefix("file:")) for name, uri in uris.items() if uri.startswith("file:")}
        for stem in (apt_text.file_stem(*package) for package in packages):
            files |= {file.name: file for file in archives.glob(f"{stem}*.deb")}
        self._store.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name, file in files.items():
            lay_beside(file, self._store / name)

    def forget_files(self, packages: Collection[tuple[str, str]]) -> None:
        """Let the kept package files go but those of these packages (name, version)."""
        stems = {apt_text.file_stem(*package) for package in packages}
        for file in self._store.glob("*.deb"):
            if f"{file.name.rpartition('_')[0]}_" not in stems:
                file.unlink()

    def units_of(self, packages: Collection[tuple[str, str]]) -> tuple[str, ...]:
        """Given packages (name, version) whose files are kept, return the units that they bring."""
        units: set[str] = set()
        for stem in (apt_text.file_stem(*package) for package in packages):
            for file in self._store.glob(f"{stem}*.deb"):
                units |= set(units_in(apt_text.parse_contents(command.run(["dpkg-deb", "-c", str(file)]).text)))
        return tuple(sorted(units))

    def install(self, requests: Sequence[Request]) -> None:
        """Install, starting nothing; raise CommandFailed."""
        argv = self._apt("apt-get", *_QUIET, "install", "--", *_words(requests))
        with self._nothing_starts(), under_way(self._paths):
            command.run(argv, env={"NEEDRESTART_SUSPEND": "1"}, timeout=UNPACKING_SECONDS, unread=True)

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
        """Return whether an install of ours was cut: what it left half done is ours to finish."""
        return self._paths.install_under_way.exists()

    def finish(self) -> None:
        """Configure what an install that was cut had unpacked, starting nothing; raise CommandFailed.

        Tried once: a package whose own script fails stays for a person to look at.
        """
        with self._nothing_starts(), under_way(self._paths):
            argv = ["dpkg", *self._root, "--force-confdef", "--force-confold", "--configure", "--pending"]
            command.run(argv, env={"NEEDRESTART_SUSPEND": "1"}, timeout=UNPACKING_SECONDS, unread=True)

    def tidy(self) -> None:
        """Take away what an install that was cut left: its word that nothing may start."""
        policy = self._paths.at(POLICY)
        if policy.is_file() and policy.read_bytes() == POLICY_TEXT:
            policy.unlink()

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
