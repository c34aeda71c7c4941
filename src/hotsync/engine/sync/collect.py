"""Collecting on the MASTER: the sources, then the site's lists and plugins, which say what else is carried."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

from hotsync.errors import SourceError
from hotsync.model.generation import DatasetPoint
from hotsync.model.report import Notice
from hotsync.model.selection import Rule
from hotsync.profiles.resolve import queue_rules
from hotsync.sources.disk_tables import disk_rules
from hotsync.sources.followed import Pace
from hotsync.sources.plugins import SiteRules, site_rules
from hotsync.sources.registry import collect_all, known_rules
from hotsync.sources.source import Context
from hotsync.sources.spool import collecting
from hotsync.state.rules import DATASET, DOCUMENT, render_rules
from hotsync.system.clock import Clock
from hotsync.system.paths import Paths


@dataclass(frozen=True, slots=True)
class Collected:
    """What was collected: a point a dataset, what failed, the rules besides profiles', what is worth a notice."""

    started_at: float
    points: tuple[DatasetPoint, ...]
    failed: tuple[SourceError, ...]
    rules: tuple[Rule, ...]
    notices: tuple[Notice, ...]


def collect(
    paths: Paths,
    clock: Clock,
    *,
    databases: bool,
    elsewhere: Collection[str] = (),
    mail_queue: bool,
    say: Callable[[str], None],
    pace: Pace | None = None,
) -> Collected:
    """Bring the spool up to date and return what came of it; a dataset that fails keeps its last good copy.

    `pace` is given where database servers are streamed; `elsewhere` names those that a plugin dumps. What is copied in
    a pause, and what is copied live, comes later.
    """
    notices: list[Notice] = []
    started_at = clock.now()
    context = Context(paths, clock, notice=notices.append)
    done = collect_all(
        context, databases=databases, elsewhere=elsewhere, pace=pace, begin=lambda name: say(f"Collecting {name}")
    )
    say("Asking plugins and lists")
    site = site_rules(paths)
    rules = (*site.rules, *done.rules, *_queue_rules(mail_queue), *disk_rules(paths))
    failed = list(done.failures)
    try:
        with collecting(paths, DATASET) as collection:
            collection.put(DOCUMENT, render_rules(rules))
            collection.publish()
    except SourceError as error:
        failed.append(error)
    return Collected(started_at, done.points, tuple(failed), rules, (*notices, *site.notices))


def _queue_rules(wanted: bool) -> tuple[Rule, ...]:
    return queue_rules() if wanted else ()


def last_rules(paths: Paths, *, mail_queue: bool) -> SiteRules:
    """Return the rules that a run would add to those of profiles, as far as that is known without one (a dry run)."""
    site = site_rules(paths, plugins=False)
    return SiteRules((*site.rules, *known_rules(paths), *_queue_rules(mail_queue), *disk_rules(paths)), site.notices)
