"""`hotsync drill`: rehearses the promotion in a sandbox, and shows what came of it."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict

import click

from hotsync.cli.door import GuardedCommand
from hotsync.cli.drill_documents import drill_document, fences_document
from hotsync.cli.render import VERDICT_STYLE, age, local, print_json, say, table
from hotsync.engine.drill import facts as drill_facts
from hotsync.engine.drill.client import ask_as_client, check_reached
from hotsync.engine.drill.inside import look_inside
from hotsync.engine.fence.known import check_fences, known_fences
from hotsync.errors import ExitCode, Refused
from hotsync.flows import drill as flow
from hotsync.flows import drill_unit as unit
from hotsync.flows.fences import rehearse_fences
from hotsync.model.drill import DrillPoint, DrillReport
from hotsync.model.fence_rehearsal import WORDS, Rehearsed
from hotsync.model.readable import readable
from hotsync.model.report import Check, Verdict, worst
from hotsync.state.drills import load_drill, load_trend
from hotsync.system import log
from hotsync.system.clock import SystemClock
from hotsync.system.paths import Paths, from_environment


@click.command("drill", cls=GuardedCommand)
@click.option("--last", is_flag=True, help="Show what the last drill found, and the trend; run none.")
@click.option("--fences", is_flag=True, help="Only try the fences, without stopping anything; with --last: show them.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.option("--in-unit", is_flag=True, hidden=True, help="The unit calls: do it.")
@click.option("--clean", is_flag=True, hidden=True, help="The unit calls: take away what a cut drill has left.")
@click.option("--clean-at-boot", "boot", is_flag=True, hidden=True, help="The boot calls: the same if none runs.")
@click.option("--room", is_flag=True, hidden=True, help="The drill calls: build the sandbox.")
@click.option("--inside", is_flag=True, hidden=True, help="The drill calls, in the sandbox: look at it.")
@click.option("--client", is_flag=True, hidden=True, help="The drill calls, beside the sandbox: ask it.")
def drill_command(
    last: bool,
    fences: bool,
    as_json: bool,
    in_unit: bool,
    clean: bool,
    boot: bool,
    room: bool,
    inside: bool,
    client: bool,
) -> int:
    """Rehearse the promotion of this SLAVE in a sandbox; production and the replica stay untouched.

    The sandbox sees this server and its last generation, has a network that leads nowhere, is promoted as this server
    would be, and is asked by a client beside it. Everything is discarded afterwards.

    Once a week (setting FenceTestDays) each fence that is set up is tried, too: is the MASTER's HotSync reached, is ssh
    let in, and may that account switch it off, what does FenceTest say. Nothing of it can stop the MASTER.

    Exit status: 0 every check held, 1 held with reservations, 3 refused, 4 busy, 9 something did not hold.
    """
    log.set_up("hotsync-drill")
    paths, clock = from_environment(), SystemClock()
    if in_unit:
        return unit.run_in_unit(paths, clock)
    if clean:
        try:
            flow.note_how_it_ended(paths, clock, os.environ.get("SERVICE_RESULT", ""))
        finally:
            drill_facts.discard(paths)
        return ExitCode.DONE
    if boot:
        if not unit.is_running():
            drill_facts.discard(paths)
        return ExitCode.DONE
    if room:
        return flow.run_room(paths, clock)
    if inside:
        print(json.dumps(asdict(look_inside(paths))))
        return ExitCode.DONE
    if client:
        asked = json.loads(sys.stdin.buffer.read())
        address, ports = str(asked["address"]), asked["ports"]
        found = [check_reached(address)] if ports is None else ask_as_client(paths, address, frozenset(ports), clock)
        print(json.dumps([asdict(check) for check in found]))
        return ExitCode.DONE
    if fences:
        return _fences(paths, clock, last, as_json)
    if not last:
        flow.check_may_run(paths)
        unit.start(paths)
        ended = unit.follow(paths, lambda text: say(text, err=True), clock)
        if ended.error:
            if as_json:
                print_json({"error": ended.error})
            else:
                say(ended.sentence, mark=click.style("Error:", fg="red", bold=True), err=True)
                say(str(ended.error["hint"]), mark=click.style("Hint:", bold=True), err=True)
            return ended.exit_code
    return _show_last(paths, as_json)


def _fences(paths: Paths, clock: SystemClock, last: bool, as_json: bool) -> int:
    results = known_fences(paths) if last else rehearse_fences(paths, clock, lambda text: say(text, err=True))
    if not results:
        raise Refused(reason="no fence has been tried here", hint="Run hotsync drill --fences on the SLAVE.")
    checks = check_fences(paths, clock.now())
    verdict = worst(checks)
    if as_json:
        print_json(fences_document(results, checks))
    else:
        _show_fences(results)
        _show_bad(checks)
    return ExitCode.DONE if verdict is Verdict.GREEN else ExitCode.WARNINGS


def _show_fences(results: tuple[Rehearsed, ...]) -> None:
    rows = [
        (each.tier.value, WORDS[each.outcome], local(each.at), each.detail + (f". {each.hint}" if each.hint else ""))
        for each in results
    ]
    table("The fences, as they were tried", ("way", "", "when", "what was found"), rows)


def _show_bad(checks: tuple[Check, ...]) -> None:
    for check in checks:
        if check.verdict is not Verdict.GREEN:
            mark = click.style(check.verdict.value, fg=VERDICT_STYLE[check.verdict.value])
            hint = f" - {check.hint}" if check.hint else ""
            say(f"{check.title}: {check.detail}{hint}", mark=f"  {mark}")


def _show_last(paths: Paths, as_json: bool) -> int:
    report = load_drill(paths)
    if report is None:
        raise Refused(reason="no drill has been run on this server", hint="Run hotsync drill on the SLAVE.")
    if as_json:
        print_json(drill_document(report, load_trend(paths)))
    else:
        _show(report, load_trend(paths))
    return flow.exit_code_of(report)


def _show(report: DrillReport, trend: tuple[DrillPoint, ...]) -> None:
    shown = click.style(report.verdict.value, fg=VERDICT_STYLE[report.verdict.value])
    click.echo(f"{shown}: {readable(report.summary)}")
    if report.generation:
        click.echo(f"Generation {report.generation}, its data {age(report.rpo)} old; {local(report.started_at)}.")
    else:  # it did not get as far as to look at one
        click.echo(f"No generation was rehearsed; {local(report.started_at)}.")
    _show_bad(report.checks)
    _show_fences(report.fences)
    rows = [("" if each.of_promotion else "drill", each.title, f"{each.seconds:.1f} s") for each in report.stages]
    table("What was done", ("", "step", "took"), rows)
    for sentence in report.left_out:
        say(sentence, mark="Left out:")
    for note in report.notes:
        say(note, mark="The promotion notes:")
    before = [(local(each.at), each.verdict.value, f"{each.rto:.0f} s", readable(each.reason)) for each in trend[-7:]]
    table("The last drills", ("when", "", "promoted within", "reason"), before)
