"""What must not be copied live, as this run shows it: folders of databases that are paused, SQLite and TDB files."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from hotsync.config.schema import Settings
from hotsync.engine.sync.collect import Collected
from hotsync.engine.sync.select import Selected
from hotsync.errors import SourceError
from hotsync.model.report import Notice
from hotsync.model.selection import Action
from hotsync.sources.frozen.find import is_among
from hotsync.sources.frozen.frozen import Frozen, copy_frozen, forget_all, last_covers
from hotsync.sources.frozen.pause import let_go
from hotsync.sources.frozen.services import read_servers
from hotsync.sources.live_databases import live_of
from hotsync.sources.shadows.shadows import Shadows
from hotsync.system.clock import Clock
from hotsync.system.paths import Paths


def pauses(settings: Settings) -> bool:
    """Say whether containers and services with databases are paused, so that these are copied soundly."""
    return settings.databases.carried and settings.pause_seconds > 0


def show_copies(
    paths: Paths, clock: Clock, settings: Settings, selected: Selected, shadows: Shadows, say: Callable[[str], None]
) -> Frozen:
    """Make sound copies and show them in the places of the live files; return what came of databases in containers and
    services."""
    carried, frozen = _carried(selected), Frozen()
    if pauses(settings):
        say("Copying databases in a pause")
        frozen = copy_frozen(
            paths, clock, carried,
            seconds=float(settings.pause_seconds), elsewhere=settings.dumped_by_plugin, refused=shadows.refused,
            units=selected.paused,
        )  # fmt: skip
    else:
        let_go(paths)  # what a run had paused before this was set
        forget_all(paths)
        servers = read_servers(paths.root, selected.paused)
        elsewhere = settings.dumped_by_plugin
        frozen.live |= live_of((one for one in servers if not is_among(one.name, elsewhere)), pausing=False)
    for cover in frozen.covers:
        try:
            shadows.cover(cover.path, cover.copy)
        except OSError as error:
            reason = f"its copy was refused: {error}"
            frozen.failed.append(SourceError(dataset=f"/{cover.path}", reason=reason))
    say("Copying SQLite and TDB files")
    shadows.refresh(carried)
    return frozen


def completed(collected: Collected, frozen: Frozen, shadows: Shadows) -> Collected:
    """Given what was collected, return it with what came of the copies."""
    return replace(
        collected,
        points=(*collected.points, *frozen.points, *shadows.points()),
        failed=(*collected.failed, *frozen.failed),
        notices=(*collected.notices, *(Notice("source.live", f"{name}: {why}") for name, why in frozen.live.items())),
    )


def show_last_copies(paths: Paths, settings: Settings, selected: Selected, shadows: Shadows) -> None:
    """Show what the last run copied, as far as it can be shown; nothing is copied."""
    carried = _carried(selected)
    for cover in last_covers(paths, carried) if pauses(settings) and not shadows.refused else ():
        with suppress(OSError):  # the live files are looked at then
            shadows.cover(cover.path, cover.copy)
    shadows.refresh(carried)


def _carried(selected: Selected) -> Callable[[str], bool]:
    """Return what says whether a path is carried."""
    return lambda path: selected.rules.decide(path).action is Action.INCLUDE
