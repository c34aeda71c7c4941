"""`hotsync-slave`: facts -> plan -> execute -> report; packages, accounts, mute and readiness of a waiting SLAVE."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace

from hotsync.engine.execute import execute
from hotsync.engine.fence.known import check_fences
from hotsync.engine.slave.host import SlaveHost
from hotsync.engine.slave.local_packages import LocalOffer, accept_local, read_local_offer
from hotsync.engine.slave.readiness import read_readiness
from hotsync.engine.slave.repositories import accept, read_offer
from hotsync.engine.slave.repository_offer import Offer
from hotsync.errors import ExitCode, HotSyncError, Refused
from hotsync.flows import promote
from hotsync.flows.failure import Terminated, named, noticing_the_end
from hotsync.flows.notify import Addressee, addressee_of, prove_relay, tell
from hotsync.flows.runbook import make_runbook
from hotsync.model import slave_checks
from hotsync.model.drill import check_last
from hotsync.model.identity import Role
from hotsync.model.plan import Plan, Step, StepRecord
from hotsync.model.report import Check, Notice, RunReport, Verdict, worst
from hotsync.model.slave import SlaveFacts, SlaveOutcome, behind_of, broken_of, missing_of
from hotsync.planning.slave import COMMAND, check_family, check_may_run, plan_slave
from hotsync.report.letters import READINESS, Trouble
from hotsync.state.alerts import AlertBook
from hotsync.state.drills import load_trend
from hotsync.state.runs import Runs
from hotsync.state.settings import read_settings
from hotsync.state.slave_run import MissingPackage, SlaveRun, save_slave_run
from hotsync.state.store import load_role
from hotsync.system import lock
from hotsync.system.clock import Clock
from hotsync.system.paths import Paths

_log = logging.getLogger("hotsync.slave")
Say = Callable[[str], None]
_ALIVE = "master.silent"  # while it waits, a SLAVE's MASTER is alive, and that is well
# told to the person who typed it; a SLAVE without a generation is new, or its MASTER's silence is mailed
_NOT_MAILED = frozenset(("usage", "refused.role", "refused.ready"))
_MEANING = "A promotion now may fail, or bring up less than the MASTER had."


@dataclass(frozen=True, slots=True)
class Done:
    """What a run came to: its record, and what it found (None: it did not get that far)."""

    report: RunReport
    run: SlaveRun | None


@dataclass(frozen=True, slots=True)
class Prospect:
    """What a run would do."""

    facts: SlaveFacts
    plan: Plan


def prospect(paths: Paths, *, only_permissions: bool) -> Prospect:
    """Return what a run would do; nothing is changed. Raise Refused if it may not run here."""
    host = SlaveHost.of(paths)
    standing = host.read_standing()
    check_may_run(standing)
    facts = host.read_facts(standing)
    check_family(facts)
    return Prospect(facts, plan_slave(facts, only_permissions=only_permissions))


def offered_repositories(paths: Paths) -> Offer:
    """Return what of the MASTER's repositories this SLAVE does not have. Raise Refused if it is no SLAVE."""
    check_may_run(SlaveHost.of(paths).read_standing())
    return read_offer(paths)


def accept_repositories(paths: Paths, clock: Clock, shown: Offer) -> None:
    """Take over what the administrator was shown; raise Refused if the MASTER sent something else meanwhile."""
    with lock.held(paths.sync_lock, "run of HotSync"):
        if offered_repositories(paths).digest != shown.digest:
            raise Refused(
                reason="the MASTER's repositories changed while they were shown",
                hint="Run hotsync-slave --accept-repositories again and compare anew.",
            )
        accept(paths, shown, clock.now())
        _log.warning("accepted repositories of the MASTER: %s", "; ".join(each.shown for each, _ in shown.repositories))


def offered_packages(paths: Paths) -> LocalOffer:
    """Return the MASTER's packages of no repository that wait for a person's word. Raise Refused if it is no SLAVE."""
    host = SlaveHost.of(paths)
    check_may_run(host.read_standing())
    return read_local_offer(paths, host.manager)


def accept_packages(paths: Paths, clock: Clock, shown: LocalOffer) -> None:
    """Let the files be installed that the administrator was shown: by their SHA-256, whatever comes meanwhile."""
    with lock.held(paths.sync_lock, "run of HotSync"):
        accept_local(paths, shown, clock.now())
        _log.warning("accepted packages of no repository: %s", ", ".join(each.name for each in shown.packages))


def run_slave(paths: Paths, clock: Clock, say: Say, *, only_permissions: bool) -> Done:
    """Run once and return what came of it, which is kept and, where it is due, mailed; failures are in the record.

    Raise Busy if another run is going: then nothing happened, and nothing is recorded.
    """
    with lock.held(paths.sync_lock, "run of HotSync"):
        started = clock.now()
        who = _addressee(paths)
        try:
            with noticing_the_end():
                run = _run(paths, clock, say, who, only_permissions)
            done = Done(_report_of(run, started), run)
        except (Exception, Terminated) as fault:
            error, ended = named(fault), clock.now()
            code, sentence = int(error.exit_code), error.sentence
            done = Done(RunReport(COMMAND, started, ended, code, sentence, error.code, error.hint), None)
        _conclude(paths, clock, who, done)
        return done


def _addressee(paths: Paths) -> Addressee:
    settings, _ = read_settings(paths)
    return addressee_of(settings, Role.SLAVE)


def _run(paths: Paths, clock: Clock, say: Say, who: Addressee, only_permissions: bool) -> SlaveRun:
    host = SlaveHost.of(paths)
    standing = host.read_standing()
    check_may_run(standing)
    host.manager.tidy()
    say("Looking at this server and at what the MASTER told")
    facts = host.read_facts(standing)
    check_family(facts)

    def record(step: StepRecord) -> None:
        _log.info("%s: %s %s", step.title, step.outcome.value, step.detail)

    def progress(step: Step, _position: int, _total: int) -> None:
        say(step.title[:1].upper() + step.title[1:])

    execute(plan_slave(facts, only_permissions=only_permissions), host.ports(facts, clock), clock, record, progress)
    say("Checking readiness")
    run = SlaveRun(
        ended_at=clock.now(),
        generation=facts.generation,
        missing=tuple(MissingPackage(name, reason) for name, reason in sorted(missing_of(facts, host.outcome).items())),
        not_carried=tuple(MissingPackage(package.name, package.reason) for package in facts.not_carried),
        behind=tuple(MissingPackage(name, reason) for name, reason in sorted(behind_of(facts, host.outcome).items())),
        checks=tuple(read_readiness(host, facts, clock, only_permissions=only_permissions)),
        digest="" if _may_change(facts, host.outcome) or only_permissions else host.packages().digest(),
        refreshed_at=_refreshed_at(host, clock.now()),
    )
    known = {check.name for check in run.checks}
    seen, of_promotion = _look_at_promotion(paths, clock)
    of_promotion += [*_look_at_drills(paths, clock), *check_fences(paths, clock.now())]
    relay = slave_checks.check_relay(prove_relay(AlertBook(paths), who, clock.now()))
    run = replace(run, checks=(*run.checks, *(check for check in of_promotion if check.name not in known), relay))
    if seen is not None:
        run = replace(run, checks=(*run.checks, _write_runbook(paths, seen, run.checks, clock.now())))
    run = replace(run, ended_at=clock.now())
    save_slave_run(paths, run)
    return run


def _may_change(facts: SlaveFacts, outcome: SlaveOutcome) -> bool:
    """Return whether the next run may get further with packages though nothing changes."""
    return outcome.retry or bool(broken_of(facts, outcome))


def _refreshed_at(host: SlaveHost, now: float) -> float:
    """Return when the lists were refreshed last."""
    return now if host.outcome.refreshed and not host.outcome.lists_fault else host.packages().last.refreshed_at


def _look_at_promotion(paths: Paths, clock: Clock) -> tuple[promote.Prospect | None, list[Check]]:
    """Return what a promotion would do now (None: it cannot be planned), and what speaks against it."""
    title = "a promotion can be planned"
    try:
        seen = promote.readiness(paths, clock)
    except (HotSyncError, OSError) as error:
        hint = error.hint if isinstance(error, HotSyncError) else ""
        return None, [Check("promotion.plan", title, Verdict.RED, str(error), hint)]
    planned = f"{len(seen.plan)} steps, about {max(1, round(seen.seconds))} seconds"
    others = [check for check in seen.checks if check.name != _ALIVE]
    return seen, [Check("promotion.plan", title, Verdict.GREEN, planned), *others]


def _look_at_drills(paths: Paths, clock: Clock) -> list[Check]:
    """Return what the last drill proves; nothing where the administrator wants none."""
    settings, _ = read_settings(paths)
    if not settings.drill:
        return []
    last = next(reversed(load_trend(paths)), None)
    return [check_last(last, load_role(paths).since, clock.now())]


def _write_runbook(paths: Paths, seen: promote.Prospect, checks: tuple[Check, ...], now: float) -> Check:
    """Write the runbook and return whether that went well."""
    title = "the runbook is up to date"
    try:
        make_runbook(paths, seen, checks, now)
    except (HotSyncError, OSError) as error:
        hint = error.hint if isinstance(error, HotSyncError) else "Look at the disk of /var/lib/hotsync: df -h"
        return Check("runbook", title, Verdict.AMBER, str(error), hint)
    return Check("runbook", title, Verdict.GREEN, "hotsync runbook shows it")


def _report_of(run: SlaveRun, started: float) -> RunReport:
    verdict = worst(run.checks)
    bad = [check for check in run.checks if check.verdict is not Verdict.GREEN]
    return RunReport(
        COMMAND,
        started,
        run.ended_at,
        int(ExitCode.DONE if verdict is Verdict.GREEN else ExitCode.WARNINGS),
        summary_of(run),
        generation=run.generation,
        warnings=tuple(Notice(check.name, f"{check.title}: {check.detail or check.verdict.value}") for check in bad),
        figures={"packages_missing": float(len(run.missing))},
    )


def summary_of(run: SlaveRun) -> str:
    """Given what a run found, return the one sentence."""
    verdict = worst(run.checks)
    if verdict is Verdict.GREEN:
        return f"This SLAVE could be promoted now, with generation {run.generation}."
    bad = sum(1 for check in run.checks if check.verdict is not Verdict.GREEN)
    asks = "one point asks" if bad == 1 else f"{bad} points ask"
    if verdict is Verdict.RED:
        return f"This SLAVE is not ready to be promoted: {asks} for attention."
    return f"This SLAVE could be promoted now, with generation {run.generation}; {asks} for attention."


def _conclude(paths: Paths, clock: Clock, who: Addressee, done: Done) -> None:
    """Keep the record, write the line in the system log, and the mail that is due."""
    report = done.report
    (_log.error if report.error_code else _log.info)("%s", report.summary)
    for notice in report.warnings[:50]:
        _log.warning("%s", notice.sentence)
    Runs(paths.runs).add(report)
    if report.error_code not in _NOT_MAILED:
        notices = tuple(notice.sentence for notice in report.warnings)
        tell(AlertBook(paths), who, READINESS, _trouble(done), clock.now(), notices)


def _trouble(done: Done) -> Trouble | None:
    """Return what the administrator must hear of: a run that failed, or a SLAVE that is not ready."""
    report = done.report
    if report.error_code:
        return Trouble(READINESS, report.summary, report.hint, _MEANING, report.error_code)
    red = [check for check in (done.run.checks if done.run else ()) if check.verdict is Verdict.RED]
    if not red:
        return None
    sentence = "; ".join(f"{check.title}: {check.detail}" for check in red)
    return Trouble(READINESS, sentence, red[0].hint, _MEANING, ",".join(check.name for check in red))
