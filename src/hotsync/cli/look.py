"""`hotsync status`: how it looks, to people and to programs."""

from __future__ import annotations

import click

from hotsync.cli.door import GuardedCommand
from hotsync.cli.drill_documents import fence_document, point_document
from hotsync.cli.loss import loss_document, loss_sentence, show_paths
from hotsync.cli.past import databases_as_of
from hotsync.cli.render import VERDICT_STYLE, age, local, print_json, report_document, say, utc
from hotsync.errors import ExitCode
from hotsync.flows.status import read_status
from hotsync.flows.status_shown import Status
from hotsync.model.coverage.findings import summary_of
from hotsync.model.drill import trend_words
from hotsync.model.fence_rehearsal import Outcome
from hotsync.model.fence_rehearsal import summary_of as summary_of_fences
from hotsync.model.generation import Generation, database_moment, dump_moments
from hotsync.model.hold import Hold
from hotsync.model.identity import Role
from hotsync.model.readable import readable, readable_lines
from hotsync.model.report import Verdict, worst
from hotsync.system import paths
from hotsync.system.clock import SystemClock


@click.command("status", cls=GuardedCommand)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.option("--loss", "only_loss", is_flag=True, help="List the paths that a promotion now would lose.")
def status_command(as_json: bool, only_loss: bool) -> int:
    """Show role, peer, newest generation, what would be lost now, last and next run, readiness, warnings."""
    status = read_status(paths.from_environment(), SystemClock())
    if as_json:
        print_json(status_document(status))
    elif only_loss:
        _show_loss(status)
    else:
        _show(status)
    return ExitCode.WARNINGS if status.warnings or worst(status.checks) is Verdict.RED else ExitCode.DONE


def status_document(status: Status) -> dict[str, object]:
    """Return the status as `--json` prints it."""
    newest, last, peer = status.newest, status.last_run, status.peer
    return {
        "schema": 1,
        "host": status.host,
        "role": status.role.role.value,
        "epoch": status.role.epoch,
        "claim": status.role.claim,
        "held": None if status.hold is None else _hold_document(status.hold),
        "handover": None
        if status.handover is None
        else {"stage": status.handover.stage.value, "since": utc(status.handover.began_at)},
        "vault": None if status.rejoin is None else status.rejoin.vault,
        "enabled": status.settings.enabled,
        "peer": None
        if peer is None
        else {
            "name": peer.name,
            "address": peer.address,
            "connected": status.presence.connected,
            "last_seen": utc(status.presence.last_seen),
        },
        "generation": None if newest is None else _generation_document(newest, status.age),
        "last_run": None if last is None else report_document(last),
        "running": None if status.running is None else {"pid": status.running.pid, "since": utc(status.running.since)},
        "serving": status.serving,
        "next_run": utc(status.next_run),
        "readiness": _readiness_document(status),
        "streamed": [
            {"name": each.name, "as_of": utc(each.as_of), "lag_seconds": round(each.lag, 1), "fault": each.fault}
            for each in status.standbys
        ],
        "loss": loss_document(status.loss, status.ahead),
        "coverage": None
        if status.coverage is None
        else {
            "looked_at": utc(status.coverage.looked_at),
            "unprotected": len(status.coverage.findings),
            "faults": len(status.coverage.faults),
        },
        "drill": None
        if not status.drills
        else {**point_document(status.drills[-1]), "trend": [point_document(each) for each in status.drills[-30:]]},
        "fences": [fence_document(each) for each in status.fences],
        "muted": list(status.muted),
        "warnings": list(status.warnings),
    }


def _hold_document(hold: Hold) -> dict[str, object]:
    return {
        "epoch": hold.epoch,
        "since": utc(hold.since),
        "heard_by": hold.heard_by.value,
        "planned": hold.planned,
    }


def _generation_document(newest: Generation, age_seconds: float) -> dict[str, object]:
    return {
        "number": newest.number,
        "digest": newest.digest,
        "collected_at": utc(newest.collected_at),
        "committed_at": utc(newest.committed_at),
        "confirmed_at": utc(newest.confirmed_at),
        "age_seconds": round(age_seconds, 1),
        "datasets": [
            {
                "name": point.name,
                "taken_at": utc(point.taken_at),
                "stale_since": utc(point.stale_since),
                "streamed": point.streamed,
            }
            for point in newest.datasets
        ],
    }


def _readiness_document(status: Status) -> dict[str, object]:
    return {
        "verdict": worst(status.checks).value if status.slave_run else None,
        "checked_at": utc(status.slave_run.ended_at) if status.slave_run else None,
        "checks": [
            {"name": c.name, "title": c.title, "verdict": c.verdict.value, "detail": c.detail, "hint": c.hint}
            for c in status.checks
        ],
    }


def _show(status: Status) -> None:
    role = status.role
    word = role.role.name if role.role is not Role.NONE else "no role yet"
    click.echo(f"{click.style(readable(status.host), bold=True)}: {click.style(word, bold=True)}, epoch {role.epoch}")
    if not status.settings.enabled:
        click.echo("HotSync is disabled here.")
    _row("peer", readable(_peer(status)))
    _row("generation", _generation(status))
    if status.newest is not None and any(database_moment(status.newest, status.streamed)):
        _row("databases", f"as of {databases_as_of(status.newest, status.streamed)}, the MASTER's time")
    if status.loss is not None:
        _row("loss", f"now: {loss_sentence(status.loss, status.ahead)}")
    if status.rejoin is not None and role.role is Role.SLAVE:
        _row(
            "vault",
            f"{readable(status.rejoin.vault)} (what the MASTER never received: see LIST.txt)",
        )
    for name in status.streamed:
        _row("streamed", readable(_streamed(status, name)))
    if status.running is not None:
        _row("running", f"a run is going, for {age(status.now - status.running.since)} (process {status.running.pid})")
    if status.last_run is not None:
        _row("last run", f"{local(status.last_run.ended_at)}: {readable_lines(status.last_run.summary)}")
    _row("next run", local(status.next_run) if status.next_run else "none is planned")
    if status.coverage is not None:
        _row("coverage", f"{summary_of(status.coverage)} ({age(status.now - status.coverage.looked_at)} ago)")
    if role.role is Role.SLAVE:
        _readiness(status)
        _row("drill", _drill(status))
        _row("fences", _fences(status))
        _row("muted", _muted(status))
    for warning in status.warnings:
        say(warning, mark=click.style("Warning:", fg="yellow"), lines=True)


def _show_loss(status: Status) -> None:
    if status.loss is None:
        click.echo("There is no generation yet: a promotion would lose everything.")
        return
    show_paths(status.loss)
    click.echo(f"A promotion now would lose: {loss_sentence(status.loss, status.ahead)}.")


def _row(name: str, value: str) -> None:
    click.echo(f"  {name:<11} {value}")


def _peer(status: Status) -> str:
    if status.peer is None:
        return "none yet"
    seen = status.presence.last_seen
    contact = "connected" if status.presence.connected else "not connected"
    last = f", last heard of {age(status.now - seen)} ago" if seen and not status.presence.connected else ""
    return f"{status.peer.name} ({status.peer.address}), {contact}{last}"


def _generation(status: Status) -> str:
    if status.newest is None:
        return "none yet"
    return f"{status.newest.number}, collected {local(status.newest.collected_at)}; the data is {age(status.age)} old"


def _streamed(status: Status, name: str) -> str:
    """Return how far a streamed server is, where that is seen, and of when its dump is, which is history."""
    said = name
    for standby in status.standbys:
        if standby.name == name:
            behind = f" as of {local(standby.as_of)}, the MASTER's time ({age(standby.lag)} behind)"
            said += behind if standby.as_of else " of a time that is not known yet"
    dumped = dump_moments(status.newest).get(name, 0.0) if status.newest is not None else 0.0
    return f"{said}; last dump {local(dumped)}" if dumped else said


def _drill(status: Status) -> str:
    if not status.drills:
        return "none was run yet"
    last = status.drills[-1]
    shown = click.style(last.verdict.value, fg=VERDICT_STYLE[last.verdict.value])
    said = f", promoted within {last.rto:.0f} s with data {age(last.rpo)} old" if last.rto else ""
    why = f": {readable(last.reason)}" if last.reason else ""
    line = f"{shown}, {age(status.now - last.at)} ago{said}{why}"
    return line if len(status.drills) == 1 else f"{line} (before: {trend_words(status.drills[:-1])})"


def _fences(status: Status) -> str:
    if not status.fences:
        return "none was tried yet"
    said = f"{summary_of_fences(status.fences)}; tried {age(status.now - min(each.at for each in status.fences))} ago"
    failed = [each for each in status.fences if each.outcome is Outcome.FAILED]
    return f"{said}: {readable('; '.join(each.detail for each in failed))}" if failed else said


def _muted(status: Status) -> str:
    if status.muted:
        shown = readable(", ".join(status.muted[:6])) + (" ..." if len(status.muted) > 6 else "")
        return f"{len(status.muted)} units: {shown}"
    if status.slave_run is None:
        return "nothing yet (hotsync-slave has not run)"
    return "nothing: no unit of production is known here"


def _readiness(status: Status) -> None:
    if status.slave_run is None:
        _row("readiness", "unknown: hotsync-slave has not run yet")
        return
    verdict = worst(status.checks)
    answer = {
        Verdict.GREEN: "can be promoted now",
        Verdict.AMBER: "can be promoted; something should be looked at",
        Verdict.RED: "cannot be promoted, or not well",
    }[verdict]
    shown = click.style(verdict.value, fg=VERDICT_STYLE[verdict.value])
    _row("readiness", f"{shown}: {answer} (checked {age(status.now - status.slave_run.ended_at)} ago)")
    for check in status.checks:
        if check.verdict is not Verdict.GREEN:
            mark = click.style(check.verdict.value, fg=VERDICT_STYLE[check.verdict.value])
            hint = f" - {check.hint}" if check.hint else ""
            say(f"{check.title}: {check.detail}{hint}", mark=f"    {mark}")
