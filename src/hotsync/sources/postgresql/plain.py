"""PostgreSQL servers that are no cluster of pg_lsclusters: made by initdb, on Red Hat's family, in /opt, /srv.

They are found by their processes; those that were collected before and do not run, by what was told of them.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from hotsync.model.unit_names import template_of
from hotsync.sources import documents
from hotsync.sources.collected import folders_in
from hotsync.sources.documents import CLUSTER, PostgresqlCluster
from hotsync.sources.down import because, down, never_collected, not_running_fault, standing
from hotsync.sources.instances import is_set_up, is_there, longer_name, told_apart, with_failure
from hotsync.sources.postgresql.cluster import NAME, with_tablespaces
from hotsync.sources.postgresql.place import is_unit, place_fault, user_fault
from hotsync.sources.processes import Process, running, user_name
from hotsync.sources.source import Context, Dataset
from hotsync.sources.spool import file_name, open_plain
from hotsync.sources.unit_files import list_unit_files, states_of
from hotsync.system.command import ENVIRONMENT

PROGRAMS = ("postgres", "postmaster")
_OWN = "hotsync-"
_LONGEST_FILE = 4096
_VERSION = re.compile(r"\d{1,2}(?:\.\d)?", re.ASCII)
_PATTERNS = ("postgresql.service", "postgresql-*.service")
_USUAL = re.compile(r"postgresql(?:-(\d{1,2}(?:\.\d)?))?\.service", re.ASCII)
_OTHERS_UNITS = re.compile(r"(?:cron|crond|cronie|anacron|atd|rc-local|ssh|sshd|user@\d+)\.service")
"""Units from which somebody started a server by hand: to start them starts no server."""
_PLUGIN = "or have it dumped by a plugin in /etc/hotsync.d"


@dataclass(frozen=True, slots=True)
class Collected:
    """What is known of a server that was collected before: its unit, and its data directory."""

    unit: str
    place: str

    @property
    def is_left(self) -> bool:
        """Return whether its files are there, or that cannot be told."""
        return is_there(self.place)


def inspect(context: Context, clusters: Sequence[Dataset]) -> tuple[Dataset, ...]:
    """Given the clusters of pg_lsclusters, return the other servers of this host: those that run, those that should and
    do not (with their fault), and of the others those that were collected before and are not known to be gone."""
    processes = running(PROGRAMS)
    known = _places(clusters)
    collected = _collected(context, {cluster.instance for cluster in clusters})
    found = [each for each in servers(processes) if os.path.realpath(each.place) not in known]
    named = name_them(found, clusters, collected)
    others = without_running(collected, named, known)
    serving = frozenset(process.unit for process in processes) - {""}
    by_name = {dataset.instance: with_tablespaces(dataset) for dataset in named}
    units = partial(_unit_files, context, others)
    for dataset in down(NAME, others, units, partial(not_running, collected=others, serving=serving)):
        by_name.setdefault(dataset.instance, with_failure(dataset))
    return tuple(by_name.values())


def servers(processes: Iterable[Process], proc: Path = Path("/proc")) -> Iterator[Dataset]:
    """Given processes, return the servers that they are (those that one started for its clients are none); what cannot
    be collected has its fault."""
    for process in processes:
        if not process.unit.startswith(_OWN) and (dataset := _server(process, proc)) is not None:
            yield dataset


def name_them(
    found: Sequence[Dataset], clusters: Iterable[Dataset], collected: Mapping[str, Collected]
) -> list[Dataset]:
    """Given the servers that run, name them: with a second part where a cluster, or one that was collected from
    elsewhere, has that name."""
    taken = {cluster.instance for cluster in clusters}
    longer = {
        longer_name(each.instance, each.place)
        for each in found
        if each.instance in taken or not _is_same(collected.get(each.instance), each.place)
    }
    return told_apart([(each, each.place) for each in found], {*collected, *longer})


def without_running(
    collected: Mapping[str, Collected], named: Iterable[Dataset], known: Collection[str]
) -> dict[str, Collected]:
    """Given what was collected before, return what runs under no name, and is no cluster of pg_lsclusters by now."""
    served = {*known, *(os.path.realpath(each.place) for each in named)}
    names = {each.instance for each in named}
    return {
        instance: last
        for instance, last in collected.items()
        if instance not in names and os.path.realpath(last.place) not in served
    }


def not_running(
    units: Mapping[str, str], collected: Mapping[str, Collected], serving: Collection[str] = ()
) -> Iterator[Dataset]:
    """Given the units with their states, and the servers that were collected before and do not run, return what there
    should be. In the units of `serving` a server runs. One whose files are gone is gone, also if a unit is there."""
    for unit in never_collected(units, {*serving, *(last.unit for last in collected.values())}):
        usual = _USUAL.fullmatch(unit)
        if usual is not None:
            yield _usual_server(unit, usual[1] or "")
    for instance, last in collected.items():
        starters = (last.unit, template_of(last.unit)) if last.is_left else ()
        say = partial(because, place=last.place)
        now = standing(last, units, serving, unit=last.unit, starters=starters, say=say)
        if now is not None:
            yield Dataset(
                NAME, instance, version=instance.partition("-")[0], unit=last.unit, fault=now.fault, parked=now.parked,
                directories=(last.place,), place=last.place,
            )  # fmt: skip


def _unit_files(context: Context, collected: Mapping[str, Collected]) -> dict[str, str]:
    """Return the units of such servers with their states; raise CommandFailed."""
    if not collected and not _is_without_clusters():
        return {}
    others = sorted({name for last in collected.values() for name in (last.unit, template_of(last.unit))})
    units = states_of(list_unit_files(context.paths, (*_PATTERNS, *others), context.clock.now_ns()))
    # Debian's own unit of all clusters is none of a server's
    return units if _is_without_clusters() else {unit: state for unit, state in units.items() if unit in others}


def _is_without_clusters() -> bool:
    """Return whether a PostgreSQL server is installed here, and nothing that keeps clusters as Debian does."""
    path = ENVIRONMENT["PATH"]
    if shutil.which("pg_lsclusters", path=path):
        return False
    return shutil.which("postgres", path=path) is not None or any(Path("/usr").glob("pgsql-*/bin/postgres"))


def _usual_server(unit: str, version: str) -> Dataset:
    """Return the server of one of Red Hat's units, which is down and was never collected."""
    place = f"/var/lib/pgsql/{version}/data" if version else "/var/lib/pgsql/data"
    version = version or _line(Path(place, "PG_VERSION"))
    stem = unit.removesuffix(".service")
    instance = file_name(f"{version}-{stem}" if _VERSION.fullmatch(version) else stem)
    there = (place,) if is_there(place) else ()
    return Dataset(
        NAME, instance, version=version, unit=unit, fault=not_running_fault(unit), directories=there, place=place
    )


def _collected(context: Context, clusters: Collection[str]) -> dict[str, Collected]:
    """Return what was collected before, by instance; what is a cluster of pg_lsclusters by now is none of it."""
    found: dict[str, Collected] = {}
    for folder in folders_in(context.paths.spool / NAME):
        if folder.name not in clusters:
            last = documents.load_last(folder / CLUSTER, PostgresqlCluster)
            if last is not None and last.place:
                found[folder.name] = Collected(last.unit, last.place)
    return found


def _is_same(last: Collected | None, place: str) -> bool:
    return last is None or os.path.realpath(last.place) == os.path.realpath(place)


def _places(datasets: Iterable[Dataset]) -> frozenset[str]:
    return frozenset(os.path.realpath(path) for dataset in datasets for path in dataset.directories)


def _server(process: Process, proc: Path) -> Dataset | None:
    folder = proc / str(process.pid)
    try:
        works_in = os.readlink(folder / "cwd")
        programs = os.path.dirname(os.readlink(folder / "exe"))
        runs_as, owner = os.stat(folder).st_uid, os.stat(works_in).st_uid
        lines = _lines(Path(works_in, "postmaster.pid"))
    except OSError:
        return None  # it works from elsewhere, or has ended
    if not lines or lines[0].strip() != str(process.pid):
        return None
    told, port, socket = (lines[number].strip() if len(lines) > number else "" for number in (1, 3, 4))
    # as it was called, not where a link leads: the unit calls it so
    place = told if told.startswith("/") and os.path.realpath(told) == works_in else works_in
    version = _line(Path(works_in, "PG_VERSION"))
    fault = (
        _stranger(process, runs_as, owner)
        or ("" if _VERSION.fullmatch(version) else "its PG_VERSION cannot be read")
        or place_fault(place)
        or user_fault(user_name(runs_as))
        or _unit_fault(process.unit)
        or ("" if socket and _is_port(port) else "it has no unix socket (unix_socket_directories is empty)")
    )
    stem = process.unit.removesuffix(".service") or place.strip("/")
    return Dataset(
        NAME, file_name(f"{version}-{stem}" if _VERSION.fullmatch(version) else stem), socket=socket,
        port=int(port) if _is_port(port) else 0, user=user_name(runs_as), version=version, unit=process.unit,
        fault=f"the server in {place}: {fault}" if fault else "",
        directories=tuple(dict.fromkeys((place, works_in))), place=place, programs=programs,
    )  # fmt: skip


def _stranger(process: Process, runs_as: int, owner: int) -> str:
    """Return why a server must not be spoken to, "" if it may: what HotSync runs for it comes from beside its program.

    A server is one that the administrator set up: a system account runs it, or it is the main process of a unit of the
    system; and its data directory is its own.
    """
    if runs_as != owner:
        return f"it runs as user {user_name(runs_as)}, and its data directory is {user_name(owner)}'s: it is not asked"
    if not runs_as:
        return "it runs as root: it is not asked"
    if not is_set_up(runs_as, process.unit, process.pid):
        return f"it runs as user {user_name(runs_as)} outside of any unit: give it a unit, {_PLUGIN}"
    return ""


def _unit_fault(unit: str) -> str:
    if unit.startswith("postgresql@"):
        return f"{unit} is a cluster's, and pg_lsclusters does not know it"
    if is_unit(unit) and not _OTHERS_UNITS.fullmatch(unit):
        return ""
    where = f" ({unit})" if unit else ""
    return f"it runs in no unit of its own{where}, so that no promotion could start it: give it one, {_PLUGIN}"


def _lines(path: Path) -> list[str]:
    with open_plain(path) as file:
        return file.read(_LONGEST_FILE).decode("utf-8", "surrogateescape").splitlines()


def _line(path: Path) -> str:
    try:
        return (_lines(path) or [""])[0].strip()
    except OSError:
        return ""


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 5
