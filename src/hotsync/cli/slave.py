"""`hotsync-slave`: what it accepts, and how it looks."""

from __future__ import annotations

import sys
from typing import Literal

import click

from hotsync.cli.cards import ask_pairs
from hotsync.cli.door import GuardedCommand
from hotsync.cli.render import VERDICT_STYLE, check_document, print_json, say, say_error, table, utc
from hotsync.engine.slave.repository_offer import Keyring
from hotsync.errors import Busy, ExitCode, NotReady, Refused, UsageError
from hotsync.flows import slave as flow
from hotsync.flows.cards import cards_of, confirm, is_open
from hotsync.model.network.cards import NONE, Pairs, parse_pairs
from hotsync.model.report import Verdict
from hotsync.planning.slave import COMMAND
from hotsync.system import log
from hotsync.system.clock import SystemClock
from hotsync.system.paths import Paths, from_environment

_TOLD = ("packages.updates",)
"""Green checks that tell something to a person all the same."""


@click.command(cls=GuardedCommand)
@click.argument("what", required=False, type=click.Choice(["fixperm"]))
@click.option("--dry-run", is_flag=True, help="Print what would be done; change nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.option("--accept-repositories", is_flag=True, help="Show the MASTER's repositories with their keys, and ask.")
@click.option("--accept-packages", is_flag=True, help="Show the MASTER's packages of no repository, and ask.")
@click.option(
    "--map",
    "maps",
    multiple=True,
    metavar="OLD=NEW",
    help="Confirm for a promotion that this server's network card NEW takes the place of the MASTER's OLD; nothing else"
    " is done.",
)
@click.option("--timer", is_flag=True, hidden=True, help="The timer calls: another run going on is no failure.")
def slave(
    what: Literal["fixperm"] | None,
    dry_run: bool,
    as_json: bool,
    accept_repositories: bool,
    accept_packages: bool,
    maps: tuple[str, ...],
    timer: bool,
) -> int:
    """Keep this SLAVE ready: the MASTER's packages and accounts, nothing of production running, readiness known.

    With fixperm only accounts (with the files that they own) and the mute are looked after.

    Exit status: 0 done, 1 done with warnings, 2 usage or settings, 3 refused, 4 busy, 8 replica, 9 a step failed.
    """
    log.set_up(COMMAND)
    paths = from_environment()
    only_permissions = what == "fixperm"
    _refuse_mixed(
        {"--accept-repositories": accept_repositories, "--accept-packages": accept_packages, "--map": bool(maps)},
        {"--dry-run": dry_run, "--json": as_json, "fixperm": only_permissions},
    )
    if accept_repositories:
        return _accept(paths)
    if accept_packages:
        return _accept_packages(paths)
    if maps:
        _keep(paths, parse_pairs(maps))
        return ExitCode.DONE
    if dry_run:
        _show_plan(flow.prospect(paths, only_permissions=only_permissions), as_json)
        return ExitCode.DONE
    return _run(paths, only_permissions, as_json, timer)


def _refuse_mixed(alone: dict[str, bool], others: dict[str, bool]) -> None:
    """Raise UsageError where something that does one thing only, and does it, is asked for beside anything else."""
    given = [word for word, is_given in (alone | others).items() if is_given]
    if len(given) > 1 and given[0] in alone:
        raise UsageError(
            reason=f"{given[0]} does only that, and at once: it takes no {given[1]} beside it",
            hint="Give one of them at a time.",
        )


def _accept(paths: Paths) -> int:
    offer = flow.offered_repositories(paths)
    for refusal in offer.refused:
        say(f"{refusal.what}: {refusal.reason}", mark=click.style("Not taken:", fg="yellow"))
    if not offer.repositories and not offer.pins:
        click.echo("The MASTER has no repository or pin that this server lacks and could take over.")
        return ExitCode.DONE
    for repository, keyrings in offer.repositories:
        say(repository.shown)
        for keyring in keyrings:
            _show_keyring(keyring)
        if not keyrings:
            click.echo("    trusted by the keys that this server has already")
    for pin in offer.pins:
        say(f"pin of {pin}")
    click.echo("Whoever holds one of these keys can install any program on this server as root. Compare them with")
    click.echo("what the makers of the packages publish; that they lie on the MASTER proves nothing.")
    if not click.confirm("Accept these repositories and pins with exactly these keys?", default=False):
        raise Refused(reason="it was not confirmed", hint="Nothing was changed.")
    flow.accept_repositories(paths, SystemClock(), offer)
    click.echo("Accepted: hotsync-slave installs from them. A later change of them on the MASTER is not followed.")
    return ExitCode.DONE


def _accept_packages(paths: Paths) -> int:
    offer = flow.offered_packages(paths)
    for package in offer.lacking:
        said = f"{package.name} {package.version}: {package.reason}"
        say(said, mark=click.style("Not carried:", fg="yellow"))
    if not offer.packages:
        click.echo("The MASTER has no package of no repository that this server lacks and could take over.")
        return ExitCode.DONE
    for package in offer.packages:
        how = ", built anew on the MASTER of what is installed there" if package.rebuilt else ""
        say(f"{package.name} {package.version} ({package.architecture}){how}")
        say(f"    SHA-256 {package.sha256}")
    click.echo("Programs of these packages run on this server as root when they are installed. No signature says who")
    click.echo("made them; that they come from the MASTER proves nothing.")
    if not click.confirm("Accept exactly these files?", default=False):
        raise Refused(reason="it was not confirmed", hint="Nothing was changed.")
    flow.accept_packages(paths, SystemClock(), offer)
    click.echo("Accepted: hotsync-slave installs them. Another file, also of the same package, is asked for again.")
    return ExitCode.DONE


def _show_keyring(keyring: Keyring) -> None:
    say(f"    keys {keyring.name}")
    for key in keyring.keys or (f"SHA-256 of the file: {keyring.digest}",):
        say(f"        {key}")


def _run(paths: Paths, only_permissions: bool, as_json: bool, timer: bool) -> int:
    def tell(line: str) -> None:
        if not (as_json or timer):
            say(f"{line} ...", err=True)

    try:
        done = flow.run_slave(paths, SystemClock(), tell, only_permissions=only_permissions)
    except Busy:
        if timer:
            return ExitCode.DONE
        raise
    if timer and done.report.error_code == NotReady.code:
        return ExitCode.DONE  # a SLAVE that waits for its first generation is no unit that failed
    if as_json:
        print_json(_document(done))
    else:
        _show(done)
        if done.run is not None and not timer and sys.stdin.isatty() and is_open(paths):
            click.echo(
                "The network cards of both servers differ by name or by wire. For a promotion, say which is which."
            )
            _keep(paths, ask_pairs(cards_of(paths)))
    return done.report.exit_code


def _keep(paths: Paths, pairs: Pairs) -> None:
    listed = ", ".join(f"{old} -> {new or NONE}" for old, new in confirm(paths, pairs))
    say(f"Kept for a promotion: {listed}. The next run of hotsync-slave counts with it.")


def _document(done: flow.Done) -> dict[str, object]:
    report, run = done.report, done.run
    document: dict[str, object] = {
        "schema": 1,
        "command": report.command,
        "started_at": utc(report.started_at),
        "ended_at": utc(report.ended_at),
        "exit_code": report.exit_code,
        "summary": report.summary,
    }
    if report.error_code:
        document["error"] = {"code": report.error_code, "sentence": report.summary, "hint": report.hint}
    if run is not None:
        document |= {
            "generation": run.generation,
            "packages_missing": [{"name": each.name, "reason": each.reason} for each in run.missing],
            "packages_behind": [{"name": each.name, "reason": each.reason} for each in run.behind],
            "packages_not_carried": [{"name": each.name, "reason": each.reason} for each in run.not_carried],
            "checks": [check_document(check) for check in run.checks],
        }
    return document


def _show(done: flow.Done) -> None:
    report = done.report
    if report.error_code:
        say_error(report.summary, report.hint)
        return
    for check in done.run.checks if done.run else ():
        if check.verdict is not Verdict.GREEN:
            mark = click.style(f"{check.verdict.value}:", fg=VERDICT_STYLE[check.verdict.value])
            say(f"{check.title}: {check.detail}" if check.detail else check.title, mark=mark)
            if check.hint:
                say(f"       {check.hint}")
        elif check.name in _TOLD and check.detail:
            say(f"{check.title}: {check.detail}")
    say(report.summary, lines=True)


def _show_plan(seen: flow.Prospect, as_json: bool) -> None:
    steps = [{"key": step.key, "phase": step.phase.value, "title": step.title} for step in seen.plan]
    if as_json:
        print_json({"schema": 1, "dry_run": True, "generation": seen.facts.generation, "steps": steps})
        return
    rows = [(str(number), step.phase.value, step.title) for number, step in enumerate(seen.plan, start=1)]
    table("What would be done", ("", "phase", "step"), rows)
    click.echo("Nothing was changed." if rows else "Nothing is to be done. Nothing was changed.")
