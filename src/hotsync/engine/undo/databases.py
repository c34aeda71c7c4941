"""The databases of a promotion that is undone: dumped while nobody reaches them, then loaded anew when they are due."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from hotsync.errors import SourceError
from hotsync.model.unit_names import template_of
from hotsync.sources.postgresql import source as postgresql
from hotsync.sources.registry import SOURCES
from hotsync.sources.source import Context, Dataset, Source
from hotsync.state.warm import load_warm, note_warm
from hotsync.system import files
from hotsync.system.clock import Clock
from hotsync.system.paths import Paths
from hotsync.system.trees import remove

DATABASES = "databases"


def servers(paths: Paths, clock: Clock) -> Iterator[tuple[Source, Dataset]]:
    """Return the database servers of this host; raise SourceError if they cannot be found out."""
    for source in SOURCES:
        if source.IS_DATABASE:
            for dataset in source.inspect(Context(paths, clock)):
                if not dataset.parked:
                    yield source, dataset


def units(paths: Paths, clock: Clock) -> frozenset[str]:
    """Return the units that serve databases, which run on until they are dumped."""
    found: set[str] = set()
    with suppress(SourceError, OSError):
        for source, dataset in servers(paths, clock):
            unit = dataset.unit or (f"{source.NAME}@{dataset.instance}.service" if dataset.instance else "")
            found |= {unit, template_of(unit), f"{source.NAME}.service"}
            if source.NAME == postgresql.NAME:
                found.add("postgresql.service")
    return frozenset(found - {""})


def dump(paths: Paths, clock: Clock, kept: Path, note: Callable[[str], None], *, force: bool) -> tuple[str, ...]:
    """Dump every database server into `kept`, whole and anew; return their names.

    Raise SourceError for one that cannot be dumped; with `force` it is only noted.
    """
    target = kept / DATABASES
    remove(target)
    target.mkdir(mode=0o700, parents=True)
    context, done = Context(paths, clock), list[str]()
    paths.proofs.unlink(missing_ok=True)
    for source, dataset in servers(paths, clock):
        remove(paths.spool / dataset.name)  # whatever is kept is of now
        try:
            source.collect(context, dataset)
        except SourceError as error:
            if not force:
                raise SourceError(
                    dataset=dataset.name,
                    reason=str(error.facts.get("reason", error.sentence)),
                    hint="Let it run, then run the same command again; or add --force: then what was written into it"
                    " is not dumped, and only its data directory has it until hotsync-slave loads the MASTER's.",
                ) from error
            note(f"{dataset.name} could not be dumped: {error.sentence}")
            continue
        place = target / dataset.name
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.rename(paths.spool / dataset.name, place)
        done.append(dataset.name)
    paths.proofs.unlink(missing_ok=True)
    lines = [f"{name}  {_size(target / name) / 1024:.0f} KiB\n" for name in done]
    files.write_atomic(target / "list.txt", "".join(lines).encode(), mode=0o600)
    files.sync_filesystem(target)
    return tuple(done)


def _size(folder: Path) -> int:
    return sum(os.lstat(os.path.join(parent, name)).st_size for parent, _, names in os.walk(folder) for name in names)


def forget_loads(paths: Paths) -> None:
    """What was loaded beforehand, or followed, has been in production: all of it is loaded anew."""
    for name, server in load_warm(paths).items():
        if server.fingerprint or server.handed_over:
            note_warm(paths, name, replace(server, fingerprint="", databases={}, digest="", handed_over=0))
    paths.streamed.unlink(missing_ok=True)
