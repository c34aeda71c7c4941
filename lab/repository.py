"""The lab's own Debian repository: what the hosts can install, and what "cannot be had" when a test says so.

The packages come from where this machine's apt has them, once, into the cache. Each lab publishes an index of its own
over them, signed by the lab's key, so that a package can vanish in one lab and stay in its neighbour.
"""

from __future__ import annotations

import functools
import gzip
import hashlib
import os
import re
import shutil
from collections.abc import Collection, Sequence
from pathlib import Path

from lab.command import LabError, phase, run
from lab.places import CACHE, locked

ARCHIVES = CACHE / "archives"
DEBS = CACHE / "debs"
KEYRING = CACHE / "lab.gpg"
_APT = CACHE / "apt"
_GPG = CACHE / "gpg"


# --- fetching, into the cache -----------------------------------------------------------------------------------------


@functools.cache
def suite() -> str:
    """The code name of this machine's Debian: the hosts are of the same."""
    for line in Path("/etc/os-release").read_text().splitlines():
        if line.startswith("VERSION_CODENAME="):
            return line.partition("=")[2].strip('"')
    raise LabError("/etc/os-release names no VERSION_CODENAME: is this a Debian?")


@functools.cache
def architecture() -> str:
    """This machine's architecture in Debian's words."""
    return run(["dpkg", "--print-architecture"]).stdout.strip()


def write_sources() -> Path:
    """Write down, as one apt source list, where this machine's apt has Debian from; return the file."""
    ARCHIVES.mkdir(parents=True, exist_ok=True)
    text = run(["apt-get", "indextargets", "Created-By: Packages"]).stdout
    if "\nOrigin: Debian\n" not in text:
        run(["apt-get", "-q", "update"])
        text = run(["apt-get", "indextargets", "Created-By: Packages"]).stdout
    lines: dict[str, None] = {}
    for stanza in text.split("\n\n"):
        field = dict(line.partition(": ")[::2] for line in stanza.splitlines() if ": " in line)
        if field.get("Origin") == "Debian" and field["Release"].split("-")[0] == suite():
            lines[f"deb {field['Repo-URI']} {field['Release']} {field['Component']}"] = None
    if not lines:
        raise LabError(f"this machine's apt knows no source of Debian's {suite()}")
    file = _APT / "sources.list"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("\n".join(lines) + "\n")
    return file


def fetch(packages: Sequence[str], status: Path, *, recommended: bool = True) -> None:
    """Fetch packages (names, or files of packages) with all that a host with this dpkg status lacks for them, and with
    what they recommend unless that is not wanted."""
    with locked("packages"):
        write_sources()
        (_APT / "state/lists/partial").mkdir(parents=True, exist_ok=True)
        (_APT / "cache").mkdir(exist_ok=True)
        options = [
            *("-o", f"Dir::Etc::sourcelist={_APT}/sources.list", "-o", "Dir::Etc::sourceparts=-"),
            *("-o", f"Dir::State={_APT}/state", "-o", f"Dir::State::status={status}"),
            *("-o", f"Dir::Cache={_APT}/cache", "-o", f"Dir::Cache::archives={ARCHIVES}"),
            *("-o", "Dir::Etc::preferencesparts=-", "-o", "Dir::Etc::preferences=-"),
            *("-o", "APT::Sandbox::User=root", "-o", f"APT::Install-Recommends={str(recommended).lower()}"),
        ]
        run(["apt-get", *options, "-q", "update"])
        run(["apt-get", *options, "-qy", "--download-only", "install", *packages])
        _index()


def fetch_needs_of(deb: Path, status: Path) -> None:
    """Make sure that the repository holds what a .deb asks for; a set of needs that was fetched is not asked again."""
    wanted = run(["dpkg-deb", "-f", deb, "Pre-Depends", "Depends", "Recommends"]).stdout
    known = CACHE / "needs" / hashlib.sha256(f"{wanted}\n{status}".encode()).hexdigest()
    if known.exists():
        return
    with phase("fetch what the package needs"):
        fetch([str(deb.resolve())], status)
        known.parent.mkdir(exist_ok=True)
        known.write_text(wanted)


def _index() -> None:
    """Write the index over all packages of the cache, under the names that a Debian mirror gives them."""
    DEBS.mkdir(exist_ok=True)
    for deb in ARCHIVES.glob("*.deb"):
        plain = DEBS / re.sub(r"_\d+%3a", "_", deb.name)
        if not plain.exists():
            os.link(deb, plain)
    text = run(["apt-ftparchive", "--db", _APT / "index.db", "packages", "."], cwd=DEBS).stdout
    half = DEBS / "Packages.new"
    half.write_text(text)
    half.rename(DEBS / "Packages")


# --- publishing, by each lab ------------------------------------------------------------------------------------------


class Repository:
    """What one lab offers to its hosts; changing it is publishing it again."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._held = folder / ".withdrawn"
        self._own = folder / "own"

    @property
    def withdrawn(self) -> frozenset[str]:
        """The packages that cannot be had at the moment."""
        return frozenset(self._held.read_text().split()) if self._held.exists() else frozenset()

    def withdraw(self, *packages: str) -> None:
        """Let packages vanish, as if no repository had them; hosts see it after their next `apt-get update`."""
        unknown = set(packages) - {_name(stanza) for stanza in self._stanzas()}
        if unknown:
            raise LabError(f"not in the lab's repository: {' '.join(sorted(unknown))}")
        self.publish(self.withdrawn | set(packages))

    def offer(self, *packages: str) -> None:
        """Put withdrawn packages back; without a name, all."""
        self.publish(self.withdrawn - set(packages) if packages else ())

    def add(self, deb: Path) -> None:
        """Offer one more package, which only this lab has."""
        self._own.mkdir(parents=True, exist_ok=True)
        shutil.copy(deb, self._own / deb.name)
        self.publish(self.withdrawn)

    def publish(self, withdrawn: Collection[str] = ()) -> None:
        """Write and sign the index without the withdrawn packages."""
        folder = self._folder
        packages = folder / "dists" / suite() / "main" / f"binary-{architecture()}"
        packages.mkdir(parents=True, exist_ok=True)
        if not (folder / "pool").exists():
            (folder / "pool").symlink_to(DEBS)
        self._held.write_text("\n".join(sorted(withdrawn)))
        text = "".join(f"{stanza}\n\n" for stanza in self._stanzas() if _name(stanza) not in withdrawn)
        (packages / "Packages").write_text(text)
        with gzip.open(packages / "Packages.gz", "wt", compresslevel=1) as file:
            file.write(text)
        top = packages.parent.parent
        facts = {
            "Origin": "HotSync lab",
            "Label": "HotSync lab",
            "Suite": suite(),
            "Codename": suite(),
            "Architectures": architecture(),
            "Components": "main",
        }
        words = [f"-oAPT::FTPArchive::Release::{key}={value}" for key, value in facts.items()]
        for old in ("Release", "InRelease"):
            (top / old).unlink(missing_ok=True)
        release = run(["apt-ftparchive", *words, "release", "."], cwd=top).stdout
        (top / "InRelease").write_text(_sign(release))

    def _stanzas(self) -> list[str]:
        shared = (DEBS / "Packages").read_text().replace("\nFilename: ./", "\nFilename: pool/")
        own = ""
        if self._own.exists():
            own = run(["apt-ftparchive", "packages", "own"], cwd=self._folder).stdout
        return [stanza for text in (shared, own) for stanza in text.strip().split("\n\n") if stanza]


def source_list() -> str:
    """The source list of a host: the lab's repository and no other."""
    return (
        "Types: deb\n"
        "URIs: http://10.77.0.100/debian\n"
        f"Suites: {suite()}\n"
        "Components: main\n"
        "Signed-By: /etc/apt/keyrings/lab.gpg\n"
    )


def _name(stanza: str) -> str:
    return stanza.partition("\n")[0].removeprefix("Package: ")


def make_key() -> None:
    """Make the key that signs the lab's repositories, once."""
    with locked("key"):
        if KEYRING.exists():
            return
        shutil.rmtree(_GPG, ignore_errors=True)
        _GPG.mkdir(parents=True, mode=0o700)
        _gpg("--passphrase", "", "--quick-generate-key", "HotSync lab", "rsa3072", "sign", "never")
        half = KEYRING.with_suffix(".new")
        _gpg("--output", str(half), "--export")
        half.rename(KEYRING)


def _sign(text: str) -> str:
    with locked("key"):
        return _gpg("--clearsign", "--digest-algo", "SHA256", input=text)


def _gpg(*words: str, input: str | None = None) -> str:
    try:
        return run(["gpg", "--homedir", _GPG, "--batch", "--yes", "--quiet", *words], input=input).stdout
    finally:
        run(["gpgconf", "--homedir", _GPG, "--kill", "all"], check=False)
