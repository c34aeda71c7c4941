"""A directory server (slapd) as its files are: where its configuration and databases lie, whose they are, its tools.

The tools read and write beside a running server, or without one; they run as the account that owns the files, since
what root makes there the server could not open.
"""

from __future__ import annotations

import os
import pwd
import re
import shutil
from collections.abc import Generator, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from hotsync.errors import CommandFailed
from hotsync.sources.collected import folders_in
from hotsync.sources.documents import load_last
from hotsync.sources.instances import is_there
from hotsync.sources.openldap import ldif, slapd_conf
from hotsync.sources.openldap.documents import SERVER, OpenldapServer
from hotsync.sources.openldap.ldif import DirectoryDatabase
from hotsync.sources.processes import running
from hotsync.sources.source import STALL_SECONDS, Context, Dataset
from hotsync.sources.spool import file_name
from hotsync.sources.stream import output_of
from hotsync.system.command import ENVIRONMENT, run

NAME: str = "openldap"
INSTANCE = "slapd"
KIND = "mdb"
PROGRAM = "slapd"
_PLACES = ("/etc/ldap/slapd.d", "/etc/openldap/slapd.d", "/etc/ldap/slapd.conf", "/etc/openldap/slapd.conf")
_WITHOUT_FILES = frozenset((
    "asyncmeta", "config", "dnssrv", "frontend", "ldap", "meta", "monitor", "null", "passwd", "perl", "relay", "sock",
    "sql",
))  # fmt: skip
_VERSION = re.compile(r"OpenLDAP: slapd (\d+(?:\.\d+)+)")


@dataclass(frozen=True, slots=True)
class Reading:
    """A configuration as the tools are told of it: a folder (slapd.d) or a file (slapd.conf), and as whom they run.

    `content` is what it says: cn=config as LDIF, or the directives of the file and of those that it includes.
    """

    place: str
    user: str | None
    content: bytes = b""
    lines: tuple[str, ...] = ()

    @property
    def is_folder(self) -> bool:
        """Return whether it is a folder, which has the configuration as a database of its own."""
        return os.path.isdir(self.place)

    @property
    def words(self) -> list[str]:
        """Return the option by which a tool is told."""
        return ["-F" if self.is_folder else "-f", self.place]

    @property
    def databases(self) -> list[DirectoryDatabase]:
        """Return all databases but the configuration itself; raise LdifError."""
        return ldif.databases_in(self.content) if self.is_folder else slapd_conf.databases_of(list(self.lines))

    @property
    def carried(self) -> list[DirectoryDatabase]:
        """Return the databases that are collected; raise LdifError."""
        return [each for each in self.databases if each.kind == KIND and each.directory.startswith("/")]

    @property
    def left_out(self) -> list[DirectoryDatabase]:
        """Return the databases that have files of their own and are not collected: of kinds of former times."""
        return [each for each in self.databases if each.kind not in (*_WITHOUT_FILES, KIND)]

    @property
    def unplaced(self) -> list[DirectoryDatabase]:
        """Return the databases of which the configuration does not say where their files lie: the server's default."""
        return [each for each in self.databases if each.kind == KIND and not each.directory.startswith("/")]


def inspect(context: Context) -> tuple[Dataset, ...]:
    """Given the host, return its directory servers, by their configurations; whether they run does not matter."""
    if shutil.which("slapcat", path=ENVIRONMENT["PATH"]) is None:
        return ()
    found: dict[str, Dataset] = {}
    for place in _places(context):
        instance = INSTANCE if not found else file_name(place.strip("/"))
        dataset = Dataset(NAME, instance, config=place, unit=f"{INSTANCE}.service")
        found.setdefault(place, _with_directories(dataset))
    return tuple(found.values())


def _places(context: Context) -> Iterator[str]:
    """Return where configurations lie: the usual place, then those that running servers were told of, then those of
    servers that were collected before: one that is down is read all the same."""
    before = dict(_collected(context))
    usual = [str(context.paths.at(place)) for place in (*_named(context), *_PLACES)]
    first = [place for place in (*usual, before.pop(INSTANCE, "")) if _is_configuration(place)]
    yield from first[:1]
    if context.paths.root == Path("/"):
        for process in running((PROGRAM,)):
            place = config_of(process.words)
            if place and _is_configuration(place):
                yield place
    yield from (place for place in before.values() if _is_configuration(place))


def _collected(context: Context) -> Iterator[tuple[str, str]]:
    """Return instance and configuration of each server that was collected before and has its files still."""
    for folder in folders_in(context.paths.spool / NAME):
        last = load_last(folder / SERVER, OpenldapServer)
        if last is not None and any(is_there(f"{each.directory}/data.mdb") for each in last.databases):
            yield folder.name, last.config


def _named(context: Context) -> Iterator[str]:
    """Return what /etc/default/slapd names, if it does."""
    with suppress(OSError):
        text = context.paths.at("/etc/default/slapd").read_text("utf-8", "surrogateescape")
        yield from re.findall(r"^\s*SLAPD_CONF=[\"']?(/[^\"'\s]+)", text, re.MULTILINE)


def config_of(words: tuple[str, ...]) -> str:
    """Given the words that slapd was called with, return its configuration, "" if it was not told."""
    for option in ("-F", "-f"):
        for number, word in enumerate(words):
            if word == option:
                return "".join(words[number + 1 : number + 2])
            if word.startswith(option):
                return word.removeprefix(option)
    return ""


def _is_configuration(place: str) -> bool:
    return os.path.isfile(place) or os.path.exists(f"{place}/cn=config.ldif")


def _with_directories(dataset: Dataset) -> Dataset:
    try:
        carried = read(dataset.config).carried
    except (CommandFailed, OSError, LookupError, ValueError):
        return dataset  # `collect` says so
    return replace(dataset, directories=tuple(each.directory for each in carried))


def read(place: str, stall_seconds: float = STALL_SECONDS) -> Reading:
    """Given a configuration, return how the tools read it, with what it says.

    Raise CommandFailed, OSError, or LookupError where it belongs to no account.
    """
    if os.path.isdir(place):
        reading = Reading(place, owner_of(place))
        return replace(reading, content=dump(reading, 0, stall_seconds))
    reading = Reading(place, None, lines=tuple(slapd_conf.read_lines(Path(place))))
    first = next((each.directory for each in reading.carried), "")
    return replace(reading, user=owner_of(first) if first else None)


def owner_of(place: str) -> str | None:
    """Given a path, return the account that owns it, None for root; raise OSError or LookupError."""
    number = os.stat(place).st_uid
    return pwd.getpwuid(number).pw_name if number else None


def output(reading: Reading, number: int, stall_seconds: float = STALL_SECONDS) -> Generator[bytes, None, None]:
    """Given a database's number, return its entries as LDIF, in chunks, in the order in which they were made."""
    # -g: not what is glued to it, which has a number of its own; -o: what it says goes to stderr only
    argv = ["slapcat", *reading.words, "-n", str(number), "-g", "-o", "ldif-wrap=no"]
    return output_of(argv, stall_seconds=stall_seconds, user=reading.user)


def dump(reading: Reading, number: int, stall_seconds: float = STALL_SECONDS) -> bytes:
    """Return a small database (the configuration) whole; raise CommandFailed."""
    with closing(output(reading, number, stall_seconds)) as chunks:
        return b"".join(chunks)


def tools_version() -> str:
    """Return the version of the server, which is that of its tools; raise CommandFailed."""
    said = run([PROGRAM, "-VV"], ok=range(256))
    found = _VERSION.search(said.errors + said.text)
    return found[1] if found else ""


def detail(error: Exception) -> str:
    """Given what went wrong, return it in one line for people."""
    if isinstance(error, CommandFailed):
        return f"{Path(str(error.facts['program'])).name}: {error.facts['detail']}"
    return str(error)
