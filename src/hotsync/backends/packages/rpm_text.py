"""What rpm, dnf and their files say, understood: pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase

from hotsync.model.packages.family import identity
from hotsync.model.packages.values import Package, Transaction

INSTALLED = r"%{NAME}\t%{EPOCHNUM}:%{VERSION}-%{RELEASE}\t%{ARCH}\n"
OFFERED = r"%{name}\t%{epoch}:%{version}-%{release}\t%{arch}\t%{size}\t%{installsize}"
_KEYS = "gpg-pubkey"  # trusted keys are filed as packages
_COMES = re.compile(r"^(?:Installing|Reinstalling)\b.*:$")
_UPDATES = re.compile(r"^(?:Upgrading|Updating|Downgrading)\b.*:$")
_GOES = re.compile(r"^Removing\b.*:$")
_FAULT = re.compile(r"^Error in (\w+) scriptlet in rpm package (\S+)", re.MULTILINE)
_STOPPING = frozenset(("PRETRANS", "PREIN"))  # what fails afterwards is a warning: the package is here
_LACKING = re.compile(r"^(\S+) has missing requires of (.+)$", re.MULTILINE)
_REASONS_OF_A_PERSON = frozenset((0, 2, 5))  # unknown, user, group; others are dependency, clean, weak


def plain_version(version: str) -> str:
    """Given `epoch:version-release`, return it without an epoch of 0: one way to write each."""
    return version.removeprefix("0:")


def parse_installed(text: str, locks: Iterable[str] = (), protected: Iterable[str] = ()) -> list[Package]:
    """Given rpm's lines, the lines of the list of locks and the names that must not go, return what is installed."""
    held, essential = tuple(locked_names(locks)), frozenset(protected)
    packages: list[Package] = []
    for line in text.splitlines():
        fields = line.split("\t")
        if len(fields) == 3 and fields[0] != _KEYS:
            name, version, architecture = fields
            is_held = any(fnmatchcase(name, pattern) for pattern in held)
            packages.append(
                Package(name, plain_version(version), architecture, held=is_held, essential=name in essential)
            )
    return packages


def locked_names(lines: Iterable[str]) -> Iterable[str]:
    """Given the list of locks, return the names, which may have wildcards.

    dnf writes `name-epoch:version-release.arch`, yum 3 has the epoch in front.
    """
    for line in lines:
        if found := re.match(r"^(?:\d+:)?([^\s#!:][^\s:]*?)-(?:\d+:)?[^\s-]+-[^\s-]+$", line.strip()):
            yield found[1]


def parse_offered(text: str, native: str) -> dict[str, dict[str, tuple[int, int]]]:
    """Given repoquery's lines, return by what names a package here its versions, each with the bytes of the file and of
    what is in it."""
    found: dict[str, dict[str, tuple[int, int]]] = {}
    for line in text.splitlines():
        fields = line.split("\t")
        if len(fields) == 5 and fields[3].isdigit() and fields[4].isdigit():
            name = identity(fields[0], fields[2], native)
            found.setdefault(name, {})[plain_version(fields[1])] = (int(fields[3]), int(fields[4]))
    return found


def parse_simulation(text: str, installed: Mapping[str, Package], native: str) -> Transaction:
    """Given what `--assumeno` prints and what is installed, return what the transaction would do."""
    installs: list[tuple[str, str]] = []
    upgrades: list[tuple[str, str, str]] = []
    removes: list[str] = []
    section = ""
    for row in _rows(text):
        if row.endswith(":"):
            section = next((kind for kind, sign in _SECTIONS if sign.match(row)), "")
            continue
        fields = row.split()
        if fields[:1] == ["replacing"] and len(fields) >= 2:
            name, _, architecture = fields[1].rpartition(".")
            removes.append(identity(name, architecture, native))
        elif len(fields) >= 4 and section:
            name, version = identity(fields[0], fields[1], native), plain_version(fields[2])
            here = installed.get(name)
            if section == "goes":
                removes.append(name)
            elif here is None:
                installs.append((name, version))
            elif here.version != version:
                upgrades.append((name, here.version, version))
    return Transaction(tuple(installs), tuple(upgrades), tuple(removes))


_SECTIONS = (("comes", _COMES), ("updates", _UPDATES), ("goes", _GOES))


def _rows(text: str) -> list[str]:
    """Return the rows and headings of the table; a row that was too wide for it goes on in a line that is indented."""
    rows: list[str] = []
    for line in text.partition("Transaction Summary")[0].splitlines():
        if line.startswith("  ") and rows and not line.strip().startswith("replacing "):
            rows[-1] += line
        elif line.startswith(" ") or line.endswith(":"):
            rows.append(line.strip() if line.startswith(" ") else line)
    return rows


def parse_refusal(output: str, errors: str) -> tuple[str, ...]:
    """Given what dnf printed when it would not do it, return its reasons."""
    lines = [line.strip() for line in (errors + "\n" + output).splitlines()]
    because = [line.removeprefix("- ") for line in lines if line.startswith("- ")]
    said = [line.removeprefix("Error: ") for line in lines if line.startswith("Error: ") and line != "Error:"]
    return tuple(because[:3] or said[-1:] or ["dnf did not say why"])


def parse_faults(errors: str) -> dict[str, str]:
    """Given what dnf said, return by name the packages that rpm passed over because a script of theirs failed."""
    return {name: f"its script {script} failed" for script, name in _FAULT.findall(errors) if script in _STOPPING}


def parse_lacking(text: str, native: str) -> dict[str, str]:
    """Given what `dnf check` prints, return by name the packages that lack something, and what it is."""
    found: dict[str, str] = {}
    for package, needs in _LACKING.findall(text):
        bare, _, architecture = package.rpartition(".")
        found.setdefault(identity(bare.rsplit("-", 2)[0], architecture, native), f"it needs {needs}")
    return found


def parse_updates(text: str, native: str) -> tuple[str, ...]:
    """Given `check-update` (name.arch, version, repository), return what names the packages here."""
    names: set[str] = set()
    for line in text.partition("Obsoleting Packages")[0].splitlines():
        fields = line.split()
        if len(fields) == 3 and "." in fields[0] and not line.startswith(" "):
            name, _, architecture = fields[0].rpartition(".")
            names.add(identity(name, architecture, native))
    return tuple(sorted(names))


def is_wanted_by_a_person(reason: int) -> bool:
    """Given a reason as dnf files it, return whether a person (or nobody knows who) wanted the package."""
    return reason in _REASONS_OF_A_PERSON


def spec(name: str, version: str) -> str:
    """Given what names a package here and its version, return the word that means exactly it."""
    bare, _, architecture = name.partition(":")
    return f"{bare}-{version}" + (f".{architecture}" if architecture else "")


def file_stem(name: str, version: str) -> str:
    """Given what names a package here and its version, return how its file's name begins."""
    return f"{name.partition(':')[0]}-{version.rpartition(':')[2]}."
