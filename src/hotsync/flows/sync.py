"""`hotsync` on the MASTER: lock, greet, collect, select, detect, guard, transfer, settle, commit, report."""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import dataclass, field

from hotsync.engine.sync.host import Say, SyncHost
from hotsync.engine.sync.preview import Preview
from hotsync.errors import ExitCode, HotSyncError, NotPaired
from hotsync.flows.failure import Terminated, named, noticing_the_end
from hotsync.flows.notify import addressee_of, tell
from hotsync.flows.rejoin_live import note_lacking
from hotsync.model.generation import Generation, data_moment
from hotsync.model.identity import Role
from hotsync.model.report import Notice, RunReport
from hotsync.model.sync_rules import exit_code_of
from hotsync.report.letters import SYNC, trouble_of_sync
from hotsync.state.alerts import AlertBook
from hotsync.state.runs import STREAMING, Runs
from hotsync.state.sent import load_sent
from hotsync.state.settings import read_settings
from hotsync.system import lock
from hotsync.system.clock import Clock
from hotsync.system.paths import Paths

COMMAND = "hotsync"
# told to the person who typed it, a timer has no such run; that this server is held has mails of its own
_NEVER_MAILED = frozenset(("usage", "refused.role", "refused.epoch", "refused.hold"))
_SEEN_BY_A_PERSON = frozenset(("config", "ended"))
_log = logging.getLogger("hotsync.sync")


@dataclass(frozen=True, slots=True)
class SyncOptions:
    """What the person (or the timer) asked for; `last`: production stands still, and the SLAVE takes over after it."""

    accept_changes: bool = False
    full: bool = False
    timer: bool = False
    last: bool = False


@dataclass(slots=True)
class _Story:
    """What a run has to say, gathered while it goes."""

    started_at: float
    notices: list[Notice] = field(default_factory=list[Notice])
    remarks: tuple[Notice, ...] = ()
    figures: dict[str, float] = field(default_factory=dict[str, float])
    failed_sources: int = 0


def preview(host: SyncHost, say: Say) -> Preview:
    """Return what a run would send, by application; nothing is changed on either side, nothing dumped."""
    with suppress(NotPaired):  # what would be sent can be seen before there is anybody to send it to
        host.check_may_sync(pairing=False)
    return host.preview(say)


def run_sync(paths: Paths, clock: Clock, options: SyncOptions, say: Say) -> RunReport:
    """Run once and return the record, which is kept and, where it is due, mailed; whatever failed is in the record.

    Raise Busy if another run is going: then nothing happened, and nothing is recorded.
    """
    with lock.held(paths.sync_lock, "run of HotSync"):
        story = _Story(clock.now())
        try:
            with noticing_the_end():
                host = SyncHost.of_this_machine(paths, clock)
                host.last = options.last
                report = _sync(host, options, say, story)
        except (Exception, Terminated) as error:
            report = _failed(story, named(error), clock.now())
        _conclude(paths, clock, options, report)
        return report


def _sync(host: SyncHost, options: SyncOptions, say: Say, story: _Story) -> RunReport:
    host.check_may_sync(pairing=True, by_hand=not options.timer)
    with host.connect() as link:
        host.reconcile(link)
        collected = host.collect(link, say)
        story.notices += (*collected.notices, *host.tend_streams(), *_of_streams(host.paths))
        story.failed_sources = len(collected.failed)
        with host.shadows() as shadows:
            detection, selected, collected = host.detect(collected, shadows, say)
            story.failed_sources = len(collected.failed)
            story.notices += (*host.lacking(selected), *shadows.notices(), *detection.problems)
            story.remarks = detection.remarks
            host.guard(detection, selected, accepted=options.accept_changes)
            if detection.empty:
                generation = host.confirm(link, collected)
                summary = f"Nothing changed; the SLAVE holds generation {generation}, confirmed now."
            else:
                delivery = host.deliver(link, detection, selected, collected, shadows, say)
                story.notices += delivery.notices
                story.figures |= delivery.figures
                if delivery.record is None:
                    generation = host.confirm(link, collected)
                    summary = f"Nothing of what changed could be sent; the SLAVE holds generation {generation}."
                else:
                    generation, summary = delivery.record.number, _summary(delivery.record)
    host.remember_places(detection)
    note_lacking(host.paths)
    story.figures["entries"] = float(detection.entries)
    return _report(host, story, generation, summary, [error.sentence for error in collected.failed])


def _of_streams(paths: Paths) -> list[Notice]:
    """Return what streaming had to say since the run before this one."""
    runs = Runs(paths.runs)
    last = runs.last(COMMAND)
    since = last.started_at if last is not None else 0.0
    return [notice for said in runs.newest(STREAMING, 10) if said.ended_at > since for notice in said.warnings]


def _conclude(paths: Paths, clock: Clock, options: SyncOptions, report: RunReport) -> None:
    """Write the line in the system log, keep the record, and write the mail that is due."""
    good = report.exit_code in (ExitCode.DONE, ExitCode.WARNINGS)
    log = _log.info if good else _log.error
    log("%s", report.summary)
    for notice in report.warnings[:50]:
        _log.warning("%s", notice.sentence)
    for notice in report.remarks[:50]:
        _log.info("left out: %s", notice.sentence)
    Runs(paths.runs).add(report)
    if report.error_code in _NEVER_MAILED or (report.error_code in _SEEN_BY_A_PERSON and not options.timer):
        return
    sent = load_sent(paths)
    trouble = None if good else trouble_of_sync(report, data_moment(sent, 0.0) if sent else 0.0)
    notices = tuple(notice.sentence for notice in report.warnings)
    settings, _ = read_settings(paths)
    tell(AlertBook(paths), addressee_of(settings, Role.MASTER), SYNC, trouble, clock.now(), notices)


def _summary(made: Generation) -> str:
    return f"Generation {made.number} is on the SLAVE: {made.changed} paths changed, {made.deleted} deleted."


def _report(host: SyncHost, story: _Story, generation: int, summary: str, failed: list[str]) -> RunReport:
    code = exit_code_of(story.failed_sources, len(story.notices))
    if failed:
        summary += " Not all could be collected: " + " ".join(failed)
    return RunReport(
        command=COMMAND,
        started_at=story.started_at,
        ended_at=host.clock.now(),
        exit_code=int(code),
        summary=summary,
        error_code="source" if code is ExitCode.SOURCE else "",
        hint="The last good copy of what failed stays in the generation; repair the source." if failed else "",
        generation=generation,
        warnings=tuple(story.notices),
        remarks=story.remarks,
        figures=story.figures,
    )


def _failed(story: _Story, error: HotSyncError, now: float) -> RunReport:
    return RunReport(
        command=COMMAND,
        started_at=story.started_at,
        ended_at=now,
        exit_code=int(error.exit_code),
        summary=error.sentence,
        error_code=error.code,
        hint=error.hint,
        warnings=tuple(story.notices),
        remarks=story.remarks,
        figures=story.figures,
    )
