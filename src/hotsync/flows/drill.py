"""`hotsync drill`: facts -> plan -> execute -> report; the promotion rehearsed in a sandbox, judged, kept and told."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from pydantic import TypeAdapter

from hotsync.engine.drill import facts as drill_facts
from hotsync.engine.drill.room import DrillRoom, RoomResult
from hotsync.engine.fence.known import check_fences, known_fences
from hotsync.engine.open_replica import open_replica
from hotsync.engine.promotion.ground import Ground
from hotsync.errors import DrillFailed, ExitCode, HotSyncError, NotReady, WrongRole
from hotsync.flows import promote
from hotsync.flows.failure import named
from hotsync.flows.fences import rehearse_if_due
from hotsync.flows.notify import RELAY_SECONDS, addressee_of, tell
from hotsync.model import drill as model
from hotsync.model.drill import DrillReport, Stage
from hotsync.model.drill_room import RoomPlan
from hotsync.model.identity import Role
from hotsync.model.report import Check, RunReport, Verdict
from hotsync.planning.drill import RoomFacts, check_wires, left_out, plan_room
from hotsync.report.letters import DRILL, Trouble
from hotsync.report.smtp import TAKEN_SECONDS
from hotsync.state.alerts import AlertBook
from hotsync.state.drills import save_drill
from hotsync.state.runs import Runs
from hotsync.state.settings import read_settings
from hotsync.state.store import load_role
from hotsync.system import command, lock
from hotsync.system.clock import Clock
from hotsync.system.paths import Paths

COMMAND = "hotsync drill"
SAMPLE = 500
"""So many files of the replica are read before each drill; all paths are looked at."""

_MEANING = "A promotion now would probably fail in the same way."
_ALIVE = "master.silent"  # a drill runs while the MASTER is alive
_CUT = {
    "oom-kill": "it needed more memory than a drill may have, and was ended",
    "timeout": "there was no end of it, and it was ended",
}
_PLAN = TypeAdapter(RoomPlan)
_RESULT = TypeAdapter(RoomResult)
_log = logging.getLogger("hotsync.drill")
Say = Callable[[str], None]


def run_drill(paths: Paths, clock: Clock, say: Say) -> DrillReport:
    """Rehearse once and return what came of it, which is kept and, where it is due, mailed.

    Raise Busy if a run is going, WrongRole or NotReady where there is nothing to rehearse: then nothing happened.
    DrillFailed says that the result was told, and could not be kept.
    """
    with lock.held(paths.sync_lock, "run of HotSync"):
        check_may_run(paths)
        started = clock.now()
        try:
            drill_facts.discard(paths)
            rehearse_if_due(paths, clock, say)
            report = _rehearse(paths, clock, say, started)
        except Exception as fault:
            report = _failed(named(fault), started, clock.now())
        fences = check_fences(paths, clock.now())
        report = replace(report, checks=(*report.checks, *fences), fences=known_fences(paths))
        _conclude(paths, clock, report)
        return report


def check_may_run(paths: Paths) -> None:
    """Raise WrongRole or NotReady where no drill can be run."""
    role = load_role(paths)
    if role.role is not Role.SLAVE:
        raise WrongRole(role=role.role.in_words, command=COMMAND, wanted="the SLAVE")
    if role.claim is not None:
        raise NotReady(reason="a promotion of it is unfinished", hint="Run hotsync-promote: it goes on.")
    if not promote.slave_run_stamp(paths).exists():
        raise NotReady(reason="hotsync-slave has not run yet on this server", hint="Run hotsync-slave first.")


def _rehearse(paths: Paths, clock: Clock, say: Say, started: float) -> DrillReport:
    say("Planning the promotion")
    seen = promote.readiness(paths, clock)
    checks = [replace(check, name=f"host.{check.name}") for check in seen.checks if check.name != _ALIVE]
    settings, _ = read_settings(paths)
    ground = Ground(paths)
    cards = drill_facts.cards_here(paths)
    facts = RoomFacts(
        host_name=drill_facts.host_name(),
        free=drill_facts.free_bytes(paths),
        limit=settings.drill_gigabytes * 2**30,
        seconds=settings.drill_minutes * 60,
        mounts=drill_facts.mounted_folders(),
        cards=cards,
        network=seen.promotion.network,
        wires=drill_facts.wires(ground),
        heard=drill_facts.heard_on(cards, seen.promotion.network.addresses),
        streamed=drill_facts.streamed(paths, ground.master.dumps),
        fences=drill_facts.fences_of(settings),
    )
    checks.append(check_wires(facts))
    stages: list[Stage] = []
    try:
        plan = plan_room(facts)
        with _timed(stages, "verify", "the replica is verified", clock, say):
            checks.append(_check_replica(paths, clock))
        with _timed(stages, "pin", "the last generation is kept for the drill", clock, say):
            drill_facts.keep_tree(paths, clock)
        result = in_a_room(plan, say)
    except Exception as fault:  # what was found before it stays in the report
        result = RoomResult(checks=(_not_run(named(fault)),))
    finally:
        drill_facts.discard(paths)
    return DrillReport(
        started_at=started,
        ended_at=clock.now(),
        generation=seen.promotion.generation,
        checks=(*checks, *result.checks),
        stages=(*stages, *result.stages),
        left_out=(*left_out(facts), *result.left_out),
        notes=result.notes,
        rto=result.rto,
        rpo=max(0.0, started - seen.promotion.confirmed_at),
    )


@contextmanager
def _timed(stages: list[Stage], name: str, title: str, clock: Clock, say: Say) -> Iterator[None]:
    say(title[:1].upper() + title[1:])
    begun = clock.monotonic()
    yield
    stages.append(Stage(name, title, round(clock.monotonic() - begun, 3)))


def _check_replica(paths: Paths, clock: Clock) -> Check:
    """Return whether what would be promoted is what arrived: every path, and the content of some."""
    title, hint = "the replica is what arrived", "Run `hotsync verify`, then hotsync on the MASTER."
    found = open_replica(paths, clock).verify(sample=SAMPLE)
    said = "; ".join(f"/{fault.path}: {fault.what}" for fault in found.faults[:5])
    more = len(found.faults) + found.unlisted - 5
    if found.faults:
        return Check("replica", title, Verdict.RED, said + (f"; and {more} more" if more > 0 else ""), hint)
    return Check("replica", title, Verdict.GREEN, found.sentence)


def in_a_room(plan: RoomPlan, say: Say) -> RoomResult:
    """Run a drill's room in a process with a network and a view of the file systems of its own; return its result.

    Raise DrillFailed if it did not get to one.
    """
    alone = ["unshare", "--net", "--mount", "--propagation", "slave", "--"]
    words = ["setpriv", "--pdeathsig=KILL", *alone, "/usr/bin/hotsync", "drill", "--room"]
    with command.spawn(words, stdin=command.PIPE, stderr=None) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(_PLAN.dump_json(plan) + b"\n")
        process.stdin.close()
        for line in process.stdout:
            told = json.loads(line)
            if "result" in told:
                return _RESULT.validate_python(told["result"])
            if "error" in told:
                raise DrillFailed(reason=told["error"], hint=told["hint"])
            say(str(told["said"]))
        process.wait()
    raise DrillFailed(reason="the sandbox was ended in the middle (journalctl -u hotsync-drill)")


def run_room(paths: Paths, clock: Clock) -> int:
    """Be the room of a drill: read the plan, write what happens a JSON object a line; return the exit code."""
    plan = _PLAN.validate_json(sys.stdin.buffer.readline())

    def tell_conductor(**told: object) -> None:
        print(json.dumps(told), flush=True)

    paths.drill_room.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        result = DrillRoom(paths, plan, clock, lambda text: tell_conductor(said=text)).run()
    except (HotSyncError, OSError) as error:
        fault = named(error)
        tell_conductor(error=fault.sentence, hint=fault.hint)
        return int(fault.exit_code)
    tell_conductor(result=_RESULT.dump_python(result, mode="json"))
    return int(ExitCode.DONE)


def _failed(error: HotSyncError, started: float, ended: float) -> DrillReport:
    """Return the report of a drill that did not come to a result: nothing is proven, which is red."""
    return DrillReport(started, ended, 0, (_not_run(error),))


def _not_run(error: HotSyncError) -> Check:
    return Check("drill.ran", "the drill can be run", Verdict.RED, error.sentence, error.hint)


def exit_code_of(report: DrillReport) -> ExitCode:
    """Return the exit code: 0 only if every check held."""
    return {Verdict.GREEN: ExitCode.DONE, Verdict.AMBER: ExitCode.WARNINGS, Verdict.RED: ExitCode.STEP}[report.verdict]


def note_how_it_ended(paths: Paths, clock: Clock, result: str) -> None:
    """Given what systemd says of the unit (SERVICE_RESULT), keep and tell that a drill was ended in the middle, which
    that one could not say any more. Who stops it (a promotion, a person) has ended it on purpose."""
    role = load_role(paths)
    if result in _CUT and role.role is Role.SLAVE and role.claim is None:
        now = clock.now()
        report = _failed(DrillFailed(reason=_CUT[result]), now, now)
        _conclude(paths, clock, report, RELAY_SECONDS)


def _conclude(paths: Paths, clock: Clock, report: DrillReport, patience: float = TAKEN_SECONDS) -> None:
    """Keep the report, write the line in the system log, and the mail that is due.

    A disk that does not take the report is mailed of all the same; then raise DrillFailed, since what is shown
    afterwards is an older one. `patience` is how long a relay may look at the mail.
    """
    red = report.verdict is Verdict.RED
    (_log.error if red else _log.info)("%s %s", report.summary, report.reason)
    unkept: HotSyncError | None = None
    try:
        save_drill(paths, report)
    except OSError as fault:
        unkept = named(fault)
    code = exit_code_of(report)
    figures = {"rto_seconds": report.rto, "rpo_seconds": report.rpo}
    Runs(paths.runs).add(
        RunReport(
            COMMAND, report.started_at, report.ended_at, int(code), report.summary, generation=report.generation,
            figures=figures,
        )
    )  # fmt: skip
    settings, _ = read_settings(paths)
    bad = [check for check in report.checks if check.verdict is Verdict.RED]
    trouble = (
        Trouble(DRILL, report.reason, bad[0].hint or model.HINT, _MEANING, ",".join(sorted({c.name for c in bad})))
        if bad
        else None
    )
    tell(AlertBook(paths), addressee_of(settings, Role.SLAVE, patience), DRILL, trouble, clock.now())
    if unkept is not None:
        said = f"{report.summary} {report.reason}".strip()
        raise DrillFailed(reason=f"its result cannot be kept ({unkept.sentence}) {said}", hint=unkept.hint)
