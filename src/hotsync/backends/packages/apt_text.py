"""What apt, dpkg and their files say, understood: pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import unquote

from hotsync.model.packages.family import identity
from hotsync.model.packages.values import Package, Transaction

_FAULT = re.compile(r"dpkg: error processing (?:archive (?P<file>\S+)|package (?P<name>\S+)) \(--[a-z]+\):\s*")
_NEED = re.compile(r"dpkg: dependency problems prevent (?:configuration|processing triggers) (?:of|for) (\S+):\s*")
_WHOLE = frozenset(("not-installed", "config-files", "installed"))
_OF_TRIGGERS = frozenset(("triggers-awaited", "triggers-pending"))


def parse_installed(text: str) -> list[Package]:
    """Given dpkg-query's lines, return the installed packages (their marks of automatic are apt's)."""
    packages: list[Package] = []
    for line in text.splitlines():
        state, name, version, architecture, want, essential = (line.split("\t") + [""] * 6)[:6]
        if state == "installed":
            packages.append(Package(name, version, architecture, held=want == "hold", essential=essential == "yes"))
    return packages


def parse_unfinished(text: str, native: str) -> dict[str, str]:
    """Given dpkg-query's lines, return by what names them here the states of packages that are half done.

    What only waits for triggers of others is as good as done: any transaction does that at its end.
    """
    found: dict[str, str] = {}
    for line in text.splitlines():
        state, name, _, architecture = (line.split("\t") + [""] * 4)[:4]
        if state not in _WHOLE | _OF_TRIGGERS:
            found[identity(name, architecture, native)] = state
    return found


def parse_faults(errors: str, native: str) -> dict[str, str]:
    """Given what dpkg said, return by name the packages that it could not unpack or configure, and its reasons."""
    needs: dict[str, str] = {}
    faults: dict[str, str] = {}
    lines = errors.splitlines()
    for place, line in enumerate(lines):
        if found := _NEED.match(line):
            needs[_named(found[1], native)] = _told_below(lines, place)
        elif found := _FAULT.match(line):
            name = _of_file(found["file"], native) if found["file"] else _named(found["name"], native)
            faults.setdefault(name, needs.get(name) or _told_below(lines, place) or "dpkg did not say why")
    return faults


def _named(word: str, native: str) -> str:
    name, _, architecture = word.rstrip(":").partition(":")
    return identity(name, architecture or native, native)


def _of_file(file: str, native: str) -> str:
    # apt gives dpkg a folder of numbered links where there are many files
    file = re.sub(r"^.*/apt-dpkg-install-[^/]*/[0-9]+-", "", file)
    name, _, rest = file.rpartition("/")[2].removesuffix(".deb").partition("_")
    return identity(name, rest.rpartition("_")[2], native)


def _told_below(lines: list[str], place: int) -> str:
    """Return what is indented below a line: the words that belong to it."""
    said: list[str] = []
    for line in lines[place + 1 :]:
        if not line.startswith(" "):
            break
        said.append(line.strip())
    return " ".join(said)


def parse_simulation(text: str) -> Transaction:
    """Given what `apt-get -s` prints, return what the transaction would do."""
    installs: list[tuple[str, str]] = []
    upgrades: list[tuple[str, str, str]] = []
    removes: list[str] = []
    for line in text.splitlines():
        if found := re.match(r"Inst (\S+) (?:\[([^\]]*)\] )?\((\S+)", line):
            name, old, new = found[1], found[2], found[3]
            if old:
                upgrades.append((name, old, new))
            else:
                installs.append((name, new))
        elif found := re.match(r"(?:Remv|Purg) (\S+) ", line):
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
            found[name], version, candidate = [], "", ""
        elif line.startswith("  Candidate: "):
            candidate = line.split()[1]
        elif match := re.match(r" (?:\*\*\*|   ) (\S+) -?\d+(?: \(phased \d+%\))?$", line):
            version = match[1]
        elif re.match(r" {8,}-?\d+ ", line) and not line.endswith("/var/lib/dpkg/status"):
            versions = found.get(name, [])
            if version and version not in versions:
                versions.insert(0 if version == candidate else len(versions), version)
    return {name: versions for name, versions in found.items() if versions}


def parse_uris(text: str) -> dict[str, str]:
    """Given `apt-get --print-uris`, return for each package file its local name and where it comes from."""
    return {match[2]: unquote(match[1]) for match in re.finditer(r"^'([^']+)' (\S+) \d+", text, re.MULTILINE)}


def parse_contents(listing: str) -> Iterator[str]:
    """Given `dpkg-deb -c`, return the absolute paths of a package."""
    for line in listing.splitlines():
        fields = line.split(maxsplit=5)
        if len(fields) == 6:
            yield fields[5].partition(" -> ")[0].partition(" link to ")[0].removeprefix(".")


def parse_sizes(text: str) -> dict[tuple[str, str], tuple[int, int]]:
    """Given `apt-cache show`, return by name and version the bytes of the package file and of what is in it."""
    sizes: dict[tuple[str, str], tuple[int, int]] = {}
    for block in text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if ": " in line and line[:1] != " ")
        size, unpacked = fields.get("Size", "0"), fields.get("Installed-Size", "0")
        if size.isdigit() and unpacked.isdigit():
            sizes[fields.get("Package", ""), fields.get("Version", "")] = (int(size), int(unpacked) * 1024)
    return sizes


def file_stem(name: str, version: str) -> str:
    """Given what names a package here and its version, return how the names of its files begin."""
    return f"{name.partition(':')[0]}_{version.replace(':', '%3a')}_"


def parse_automatic(states: str) -> frozenset[tuple[str, str]]:
    """Given apt's extended_states, return (name, architecture) of what no person wanted, each for "all" besides."""
    automatic: set[tuple[str, str]] = set()
    for block in states.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if ": " in line)
        if fields.get("Auto-Installed") == "1":
            name, architecture = fields.get("Package", ""), fields.get("Architecture", "")
            automatic |= {(name, architecture), (name, "all")}  # apt files what fits all under the host's own
    return frozenset(automatic)
