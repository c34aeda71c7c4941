"""What a machine's tables of disks say: fstab, crypttab and their like, and systemd's units that are fstab in another
form. Pure: text in, mounts and named files out."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

FSTAB = "/etc/fstab"
MAPPED = ("/etc/crypttab", "/etc/integritytab", "/etc/veritytab")
"""Tables of disks that lie on others: name, device, key or hash, options."""

UNITS = "/etc/systemd/system"
UNIT_KINDS = ("mount", "automount", "swap")
OWN_UNITS = tuple(
    f"{UNITS}/{place}*.{kind}{ending}"
    for place, ending in (("", ""), ("", ".d"), ("*.wants/", ""), ("*.requires/", ""))
    for kind in UNIT_KINDS
)
"""Patterns of units that are lines of fstab in another form, of their drop-ins, and of the links that enable them."""

SHARES = frozenset((
    "nfs", "nfs4", "cifs", "smb3", "smbfs", "ceph", "glusterfs", "fuse.glusterfs", "fuse.sshfs", "sshfs", "9p",
    "virtiofs", "afs", "lustre", "gfs2", "ocfs2", "davfs", "fuse.davfs", "fuse.s3fs", "s3fs", "fuse.rclone", "rclone",
))  # fmt: skip
"""Types of file systems whose data lies on another server."""
BIND = "bind"

_NO_FILES = ("/dev/", "/proc/", "/sys/", "/run/")
_OCTAL = re.compile(r"\\([0-7]{3})")


@dataclass(frozen=True, slots=True)
class Mounted:
    """A line of a table, or a unit: what is mounted (or swapped to) where, as which type, and where that is said."""

    source: str
    point: str
    kind: str
    options: tuple[str, ...]
    table: str

    @property
    def is_swap(self) -> bool:
        """Say whether memory is swapped out to it."""
        return self.kind == "swap"

    @property
    def share(self) -> str:
        """Return the type of a share; "bind" for a folder of this machine at another place; "" for a disk."""
        if self.kind in SHARES:
            return self.kind
        return BIND if {BIND, "rbind"} & set(self.options) else ""


@dataclass(frozen=True, slots=True)
class Named:
    """A path that a table names, and that table; `of_disk`: it belongs to a disk, and is of no use elsewhere."""

    path: str
    table: str
    of_disk: bool = False

    def __str__(self) -> str:
        """Return the path with the table that names it, for a person."""
        return f"{self.path} ({self.table})"


@dataclass(frozen=True, slots=True)
class DisksFound:
    """Of what a SLAVE's own tables name: what a promotion keeps, of which the MASTER has another one at the same path,
    and what a promotion cannot keep."""

    kept: tuple[Named, ...] = ()
    differing: tuple[Named, ...] = ()
    gone: tuple[Named, ...] = ()


def parse_fstab(text: str) -> Iterator[Mounted]:
    """Given fstab, return its lines; those without a type are left out."""
    for fields in _lines(text):
        if len(fields) > 2:
            yield Mounted(fields[0], fields[1], fields[2], _options(fields[3:4]), FSTAB)


def parse_unit(text: str, table: str) -> Mounted | None:
    """Given the text of a mount or swap unit (its drop-ins after it) and its path, return what it mounts, or None."""
    said = dict(_assignments(text))
    source, point, kind = said.get("What", ""), said.get("Where", ""), said.get("Type", "")
    if table.endswith(".swap"):
        point, kind = "none", "swap"
    return Mounted(source, point, kind, _options([said.get("Options", "")]), table) if source and point else None


def files_of_mount(mounted: Mounted) -> Iterator[Named]:
    """Given a mount, return what it reads besides its device: credentials, keys, settings; or the file it swaps to."""
    if mounted.is_swap:
        yield from _named([mounted.source], mounted.table, of_disk=True)
    else:
        yield from _named(_values(mounted.options), mounted.table)


def files_of_mapped(text: str, table: str) -> Iterator[Named]:
    """Given a table of mapped disks, return the files that open them: keys, headers, hashes."""
    for fields in _lines(text):
        options = [option for field in fields[2:] for option in field.split(",")]
        yield from _named([*options, *_values(options)], table, of_disk=True)


def images_of(mounts: Iterable[Mounted], mapped: Iterable[tuple[str, str]]) -> Iterator[Named]:
    """Given mounts, and tables of mapped disks with their text, return the devices that may be plain files."""
    for mounted in mounts:
        if not mounted.is_swap and not mounted.share:
            yield from _named([mounted.source], mounted.table)
    for table, text in mapped:
        for fields in _lines(text):
            yield from _named(fields[1:2], table)


def _named(paths: Iterable[str], table: str, *, of_disk: bool = False) -> Iterator[Named]:
    for path in paths:
        plain = re.sub(r"/(?:\.?/)+", "/", path)
        if plain.startswith("/") and ".." not in plain.split("/") and not plain.startswith(_NO_FILES):
            yield Named(plain, table, of_disk)


def _values(options: Iterable[str]) -> list[str]:
    return [option.partition("=")[2].strip("\"'") for option in options]


def _options(field: Sequence[str]) -> tuple[str, ...]:
    return tuple(option for option in ",".join(field).split(",") if option)


def _lines(text: str) -> Iterator[list[str]]:
    for line in text.split("\n"):
        words = line.split()
        if words and not words[0].startswith("#"):
            yield [_OCTAL.sub(lambda match: chr(int(match.group(1), 8)), word) for word in words]


def _assignments(text: str) -> Iterator[tuple[str, str]]:
    """Yield the assignments of a unit that say what is mounted; of several, the last one counts."""
    section = ""
    for line in re.sub(r"\\\n", " ", text).split("\n"):
        plain = line.strip()
        if plain.startswith("["):
            section = plain
        elif section in ("[Mount]", "[Swap]") and not plain.startswith(("#", ";")):
            name, _, value = plain.partition("=")
            yield name.strip(), value.strip().replace("%%", "%")
