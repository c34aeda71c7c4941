"""apt and dpkg: what is installed, what can be had, and transactions that start nothing and are simulated first."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote

from hotsync.errors import CommandFailed
from hotsync.model.packages import Package, Transaction
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
]  # fmt: skip
POLICY = "/usr/sbin/policy-rc.d"
ARCHIVES = "/var/cache/apt/archives"
POLICY_TEXT = b"#!/bin/sh\n# HotSync installs packages: nothing starts until this host is promoted.\nexit 101\n"
_UNIT_FILE = re.compile(r"(?:/usr)?/(?:lib|etc)/systemd/system/([^/]+\.(?:service|socket|timer|path))$")
_INIT_SCRIPT = re.compile(r"/etc/init\.d/([^/]+)$")


def parse_installed(text: str) -> list[Package]:
    """Given dpkg-query's lines, return the installed packages."""
    packages: list[Package] = []
    for line in text.splitlines():
        state, name, version, architecture, want, essential = (line.split("\t") + [""] * 6)[:6]
        if state == "installed":
            packages.append(Package(name, version, architecture, held=want == "hold", essential=essential == "yes"))
    return packages


def parse_simulation(text: str) -> Transaction:
    """Given what `apt-get -s` prints, return what the transaction would do."""
    installs: list[tuple[str, str]] = []
    upgrades: list[tuple[str, str, str]] = []
    removes: list[str] = []
    for line in text.splitlines():
        if found := re.match(r"Inst (\S+?)(?::\S+)? (?:\[([^\]]*)\] )?\((\S+)", line):
            name, old, new = found[1], found[2], found[3]
            if old:
                upgrades.append((name, old, new))
            else:
                installs.append((name, new))
        elif found := re.match(r"(?:Remv|Purg) (\S+?)(?::\S+)? ", line):
            removes.append(found[1])
    return Transaction(tuple(installs), tuple(upgrades), tuple(removes))


def parse_refusal(output: str, errors: str) -> tuple[str, ...]:
    """Given what `apt-get` printed when it would not do it, return its reasons."""
    depends = [line.strip() for line in output.splitlines() if re.match(r" [a-z0-9][a-z0-9+.-]*(:\S+)? : ", line)]
    said = [line.removeprefix("E: ") for line in errors.splitlines() if line.startswith("E: ")]
    return tuple(depends[:3] or said[-1:] or ["apt-get did not say why"])


def parse_policy(text: str) -> dict[str, list[str]]:
    """Given `apt-cache policy NAME ...`, return the versions that can be had, by name, the candidate first.

    A version that only this host's own package database has (it is installed, no repository offers it) counts not.
    """
    found: dict[str, list[str]] = {}
    name = version = candidate = ""
    for line in text.splitlines():
        if line and not line.startswith(" "):
            name = line.rstrip(":")
            found[name], candidate = [], ""
        elif line.startswith("  Candidate: "):
            candidate = line.split()[1]
        elif match := re.match(r" (?:\*\*\*|   ) (\S+) -?\d+$", line):
            version = match[1]
        elif re.match(r" {8,}-?\d+ ", line) and not line.endswith("/var/lib/dpkg/status"):
            versions = found.get(name, [])
            if version not in versions:
                versions.insert(0 if version == candidate else len(versions), version)
    return {name: versions for name, versions in found.items() if versions}


def parse_uris(text: str) -> dict[str, str]:
    """Given `apt-get --print-uris`, return for each package file its local name and where it comes from."""
    return {match[2]: unquote(match[1]) for match in re.finditer(r"^'([^']+)' (\S+) \d+", text, re.MULTILINE)}


def units_in(paths: Iterable[str]) -> Iterator[str]:
    """Given paths of a package, return the units that they are, those of init scripts included."""
    for path in paths:
        if found := _UNIT_FILE.match(path):
            yield found[1]
        elif found := _INIT_SCRIPT.match(path):
            yield f"{found[1]}.service"


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

    def _apt(self, program: str, *words: str) -> list[str]:
        return [program, *self._dir, *words]

    def installed(self) -> dict[str, Package]:
        """Return the installed packages by name; the native one where two architectures have it."""
        text = command.run(["dpkg-query", *self._root, "-W", "-f", _FORMAT]).text
        native = self.architectures()[0]
        packages = parse_installed(text)
        return {each.name: each for each in sorted(packages, key=lambda each: each.architecture in (native, "all"))}

    def architectures(self) -> tuple[str, ...]:
        """Return this host's own architecture, then the one of packages that fit everywhere."""
        return command.run(["dpkg", "--print-architecture"]).text.strip(), "all"

    def broken(self) -> str:
        """Return what is wrong with the package database (something half installed or configured), "" if nothing is."""
        audit = command.run(["dpkg", *self._root, "--audit"], ok=range(256)).text.strip()
        if audit:
            names = [line.split()[0] for line in audit.splitlines() if line.startswith(" ") and line.split()]
            return f"{audit.splitlines()[0]} {', '.join(names[:5])}".strip()
        return ""

    def updates(self) -> int:
        """Return how many packages would be updated, by the lists that are here."""
        argv = self._apt("apt-get", "-s", "-q", "upgrade")
        return len(parse_simulation(command.run(argv, ok=range(256), timeout=600).text).upgrades)

    def refresh(self) -> str:
        """Refresh the lists; return "" or why it did not work (the old lists stay)."""
        words = ["update", "-q", "-o", "APT::Update::Error-Mode=any", "-o", "Acquire::Retries=1"]
        try:
            command.run(self._apt("apt-get", *words), timeout=_APT_TIMEOUT)
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
        digest.update(self._paths.at("/var/lib/dpkg/status").read_bytes())
        return digest.hexdigest()

    def available(self, names: Iterable[str]) -> dict[str, list[str]]:
        """Given names, return the versions that can be had of each, the candidate first; others are left out."""
        wanted = sorted(names)
        found: dict[str, list[str]] = {}
        for start in range(0, len(wanted), 500):
            words = ["policy", "--", *wanted[start : start + 500]]
            found |= parse_policy(command.run(self._apt("apt-cache", *words)).text)
        return found

    def simulate(self, words: Sequence[str]) -> Transaction | tuple[str, ...]:
        """Given name=version words, return what installing them would do, or apt's reasons why it cannot be done."""
        argv = self._apt("apt-get", "-s", *_COMMON, "install", "--", *words)
        answer = command.run(argv, ok=range(256), timeout=600)
        return parse_simulation(answer.text) if answer.returncode == 0 else parse_refusal(answer.text, answer.errors)

    def download(self, words: Sequence[str]) -> None:
        """Fetch the package files, so that nothing needs a network later."""
        argv = self._apt("apt-get", *_QUIET, "--download-only", "install", "--", *words)
        command.run(argv, timeout=_APT_TIMEOUT)

    def units_of(self, words: Sequence[str], transaction: Transaction) -> tuple[str, ...]:
        """Given a transaction whose files were fetched, return the units that its packages bring."""
        uris = parse_uris(command.run(self._apt("apt-get", *_QUIET, "--print-uris", "install", "--", *words)).text)
        files = [Path(uri.removeprefix("file:")) for uri in uris.values() if uri.startswith("file:")]
        archives = self._paths.at(ARCHIVES)
        for name, version in [*transaction.installs, *((name, new) for name, _, new in transaction.upgrades)]:
            files += archives.glob(f"{name}_{version.replace(':', '%3a')}_*.deb")
        units: set[str] = set()
        for file in files:
            units |= set(units_in(parse_contents(command.run(["dpkg-deb", "-c", str(file)]).text)))
        return tuple(sorted(units))

    def install(self, words: Sequence[str], automatic: Sequence[str]) -> None:
        """Install, starting nothing, and mark as automatic what the MASTER has so marked; raise CommandFailed."""
        argv = self._apt("apt-get", *_QUIET, "install", "--", *words)
        with self._nothing_starts(), self._under_way():
            command.run(argv, env={"NEEDRESTART_SUSPEND": "1"}, timeout=_APT_TIMEOUT)
        if automatic:
            command.run(self._apt("apt-mark", "-q", "auto", "--", *automatic))

    @property
    def was_cut(self) -> bool:
        """Return whether an install of ours was cut: what it left half done is ours to finish."""
        return self._paths.install_under_way.exists()

    def finish(self) -> None:
        """Configure what an install that was cut had unpacked, starting nothing; raise CommandFailed.

        Tried once: a package whose own script fails stays for a person to look at.
        """
        with self._nothing_starts(), self._under_way():
            argv = ["dpkg", *self._root, "--force-confdef", "--force-confold", "--configure", "--pending"]
            command.run(argv, env={"NEEDRESTART_SUSPEND": "1"}, timeout=_APT_TIMEOUT)

    @contextmanager
    def _under_way(self) -> Iterator[None]:
        """Leave a word while packages are being unpacked; it stays only if we die meanwhile."""
        write_atomic(self._paths.install_under_way, b"", mode=0o600)
        try:
            yield
        except Exception:
            self._paths.install_under_way.unlink(missing_ok=True)
            raise
        self._paths.install_under_way.unlink(missing_ok=True)

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


def parse_contents(listing: str) -> Iterator[str]:
    """Given `dpkg-deb -c`, return the absolute paths of a package."""
    for line in listing.splitlines():
        fields = line.split(maxsplit=5)
        if len(fields) == 6:
            yield fields[5].partition(" -> ")[0].partition(" link to ")[0].removeprefix(".")
