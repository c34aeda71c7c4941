"""`hotsync-promote`: shows what will happen, asks, starts the unit and follows it."""

from __future__ import annotations

import socket
import sys
from dataclasses import replace
from typing import Any

import click

from hotsync.cli.cards import ask_pairs
from hotsync.cli.door import GuardedCommand
from hotsync.cli.promote_render import (
    outcome_document,
    past_document,
    plan_document,
    show_outcome,
    show_past,
    show_plan,
    show_step,
)
from hotsync.cli.render import print_json, say
from hotsync.cli.undo import undo_command
from hotsync.engine.network_rollback import VERB, confirmed_path, load_before, put_back
from hotsync.errors import ExitCode, Refused, UsageError
from hotsync.flows import promote as flow
from hotsync.flows import promote_unit as unit
from hotsync.flows.cards import cards_of
from hotsync.flows.promote import Prospect
from hotsync.flows.promote_answers import Answers
from hotsync.flows.promote_boot import at_boot, mail_unfinished
from hotsync.flows.promote_look import ages_now, internet_reached
from hotsync.flows.promote_past import Past, go_back, look_back
from hotsync.model.cards import parse_pairs
from hotsync.model.data_age import ServerAge
from hotsync.model.plan import Outcome
from hotsync.model.promotion import NetworkChoice
from hotsync.model.readable import readable
from hotsync.model.report import Verdict
from hotsync.steps.network import TAKE
from hotsync.system import files, log
from hotsync.system.clock import SystemClock
from hotsync.system.paths import Paths, from_environment

MENU = """
{why} What about the network?

  1. Restore the MASTER's network configuration
     (IMPORTANT: only if the two servers are identical: number, names and positions of the network cards)
  2. Fix the network configuration first (when restoring on different hardware), then run this command again
  3. Continue without Internet, with this server's own network configuration (not recommended)
  4. Map the MASTER's network cards to this server's (different hardware): what is proposed is shown first
"""
_NO_INTERNET = "No Internet connection was found."
_SILENT = "Nobody answered with the network that was chosen, so this server has its own again."
_OTHER_CARDS = "This server has other network cards than the MASTER."


@click.command(cls=GuardedCommand)
@click.option("--dry-run", is_flag=True, help="Print the plan, how old the data is and what is lost; change nothing.")
@click.option("--yes", is_flag=True, help="Do not ask. It does not mean --force.")
@click.option(
    "--network",
    type=click.IntRange(1, 4),
    help="Answer the menu about the network beforehand: 1 takes the MASTER's addresses, 2 stops so that you can set the"
    " network up first, 3 keeps this server's own network, 4 gives the MASTER's to other cards: those of --map, or as"
    " it was confirmed.",
)
@click.option(
    "--map",
    "maps",
    multiple=True,
    metavar="OLD=NEW",
    help="Let this server's card NEW take the place of the MASTER's card OLD (none: no card does). For each card.",
)
@click.option(
    "--at",
    metavar="TIME-OR-GENERATION",
    help="Promote an older generation: that number, or the newest one of that time. It becomes a generation of its own,"
    " so that what is the newest now is still held.",
)
@click.option(
    "--planned",
    is_flag=True,
    help="Switchover, both servers alive: the MASTER stops production and sends the rest, then this server takes over."
    " Nothing is lost; if anything fails before, the MASTER goes on.",
)
@click.option(
    "--undo",
    is_flag=True,
    help="Undo the promotion of this server, or give one up that is not finished: it is a SLAVE again, with its own"
    " files, network and accounts. What was written meanwhile is kept aside, and told.",
)
@click.option(
    "--force",
    is_flag=True,
    help="Promote although the MASTER still answers; with --undo: also if a database server cannot be dumped.",
)
@click.option(
    "--confirm-network",
    is_flag=True,
    help="Say to a promotion that runs: this server is reached with its new network, do not put the old one back.",
)
@click.option("--report", is_flag=True, help="Show the report of the last promotion of this server; change nothing.")
@click.option(VERB, "back", is_flag=True, hidden=True, help="The rollback's timer calls: put the old network back.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.option("--in-unit", is_flag=True, hidden=True, help="The unit calls: do it.")
@click.option("--at-boot", "boot", is_flag=True, hidden=True, help="The boot calls: say what is unfinished.")
@click.option("--mail", is_flag=True, hidden=True, help="Once there is a network: mail what is unfinished.")
def promote(
    dry_run: bool,
    yes: bool,
    network: int | None,
    maps: tuple[str, ...],
    at: str | None,
    planned: bool,
    undo: bool,
    force: bool,
    confirm_network: bool,
    report: bool,
    back: bool,
    as_json: bool,
    in_unit: bool,
    boot: bool,
    mail: bool,
) -> int:
    """Put this SLAVE into production in the place of its MASTER.

    Shows what will be done, how old the data is and what is lost, asks, and does it in a unit of its own: a lost
    terminal changes nothing. Run again, it shows the promotion that is going on, or goes on with one that was
    interrupted.

    Exit status: 0 done, 1 done with warnings, 2 usage or settings, 3 refused, 4 busy, 9 a step failed.
    """
    log.set_up(flow.COMMAND)
    paths = from_environment()
    if boot:
        at_boot(paths)
        return ExitCode.DONE
    if mail:
        # the unit is started again after a while, as long as nobody takes the mail
        return ExitCode.DONE if mail_unfinished(paths, SystemClock()) else ExitCode.WARNINGS
    if back:
        put_back(paths)
        return ExitCode.DONE
    if confirm_network:
        return _confirm_network(paths)
    if in_unit:
        return unit.run_in_unit(paths, SystemClock())
    if report:
        return _show_last(paths, as_json)
    if undo or (unit.is_for_undo(paths) and unit.is_running()):
        if network or maps or at or planned:
            raise UsageError(reason="--undo takes none of --network, --map, --at and --planned")
        return undo_command(paths, dry_run=dry_run, yes=yes, force=force, as_json=as_json)
    if planned and (at or force):
        raise UsageError(
            reason=f"--planned hands over what the MASTER has now, while it is alive: {'--at' if at else '--force'} "
            "belongs to a promotion without it",
            hint="hotsync-promote --planned; or switch the MASTER off, and promote without --planned.",
        )
    answers = replace(_answers(network, maps, force), planned=planned)
    return _promote(paths, answers, at, dry_run=dry_run, yes=yes, as_json=as_json)


def _promote(paths: Paths, answers: Answers, at: str | None, *, dry_run: bool, yes: bool, as_json: bool) -> int:
    """Show what will be done, ask, have the unit do it, and follow it; or only show it."""
    if as_json and not (yes or dry_run) and not unit.is_running():
        raise UsageError(
            reason="--json shows no plan, and nobody should agree to what was not shown",
            hint="hotsync-promote --dry-run --json prints the plan and the age of the data; then add --yes.",
        )
    past = _past(paths, answers, at) if at else None
    if dry_run:
        _show_prospect(paths, flow.prospect(paths, answers), as_json, past)
        return ExitCode.DONE
    if not unit.is_running():
        if past is not None:
            answers = _gone_back(paths, answers, past, yes)
        seen = _settled_prospect(paths, answers, yes, as_json)
        plan = seen.promotion.network
        answers = replace(answers, network=plan.choice, pairs=plan.pairs)
        if not yes:
            _confirm(seen)
            answers = replace(answers, typed=_typed_that_it_cannot_serve(seen))
        unit.start(paths, answers)
    return _follow(paths, as_json)


def _checked(network: int | None) -> NetworkChoice | None:
    choice = NetworkChoice(network) if network else None
    if choice is NetworkChoice.BY_HAND:
        raise Refused(
            reason="the network is to be fixed first",
            hint="Set up this server's network in its own configuration files, then run hotsync-promote again.",
        )
    return choice


def _confirm_network(paths: Paths) -> int:
    if load_before(paths) is None:
        raise Refused(reason="no promotion waits for a word about its network", hint="Nothing was changed.")
    files.write_atomic(confirmed_path(paths), b"", mode=0o600)
    click.echo("The network stays as it is now.")
    return ExitCode.DONE


def _show_last(paths: Paths, as_json: bool) -> int:
    ended = unit.last(paths)
    if as_json:
        print_json(outcome_document(paths, ended))
    else:
        show_outcome(paths, ended)
    return ExitCode.DONE


def _answers(network: int | None, maps: tuple[str, ...], force: bool) -> Answers:
    pairs = parse_pairs(maps)
    if pairs and network not in (None, NetworkChoice.MAPPED):
        raise UsageError(reason=f"--map belongs to choice 4 of the network menu, not to {network}")
    return Answers(NetworkChoice.MAPPED if pairs else _checked(network), force, pairs)


def _settled_prospect(paths: Paths, answers: Answers, yes: bool, as_json: bool) -> Prospect:
    """Return what will be done, with the network's menu answered where it must be."""
    if answers.network is None and not yes and sys.stdin.isatty():
        # looked at first, so that a server that must not be promoted says so before it asks anything
        seen = flow.prospect(paths, replace(answers, undecided=True))
        if why := _why_asked(paths, seen):
            click.echo(MENU.format(why=why))
            choice = _checked(int(click.prompt("Your choice", type=click.IntRange(1, 4))))
            pairs = ask_pairs(cards_of(paths)) if choice is NetworkChoice.MAPPED else ()
            answers = replace(answers, network=choice, pairs=pairs)
    seen = flow.prospect(paths, answers)
    if not as_json:
        show_plan(paths, seen, _ages(paths, seen))
    return seen


def _why_asked(paths: Paths, seen: Prospect) -> str:
    """Return why the menu is shown, "" if it need not be."""
    if seen.resumed:
        last = seen.promotion.records[-1:]
        silent = any(each.key == TAKE and each.outcome is Outcome.FAILED for each in last)
        return _SILENT if silent else ""
    if seen.promotion.network.choice is NetworkChoice.MAPPED:
        return ""  # it was confirmed beforehand
    if any(check.name == "network.cards" and check.verdict is not Verdict.GREEN for check in seen.checks):
        return _OTHER_CARDS
    return "" if internet_reached(paths) else _NO_INTERNET


def _ages(paths: Paths, seen: Prospect) -> tuple[ServerAge, ...]:
    return ages_now(paths, seen.facts, SystemClock())


def _confirm(seen: Prospect) -> None:
    name = socket.gethostname()
    if seen.resumed:
        name = seen.promotion.network.host_name or name
    click.echo("", err=True)
    question = f"Type the name of this server ({readable(socket.gethostname())}) to go on"
    typed = click.prompt(question, err=True, default="")
    if typed.strip() not in (socket.gethostname(), name):
        raise Refused(reason="it was not confirmed", hint="Nothing was changed. Type the name exactly to go on.")


def _typed_that_it_cannot_serve(seen: Prospect) -> bool:
    """Have a person who forces a promotion beside a living MASTER say so in words; return whether that was due."""
    alive = next((c for c in seen.checks if c.name == "master.silent" and c.verdict is not Verdict.GREEN), None)
    if alive is None:
        return False
    click.echo(f"The MASTER still answers: {readable(alive.detail)}.", err=True)
    typed = click.prompt("Type CANNOT SERVE if you made sure that it cannot", err=True, default="")
    if typed.strip() != "CANNOT SERVE":
        raise Refused(reason="the MASTER may serve", hint="Nothing was changed. Switch the MASTER off first.")
    return True


def _past(paths: Paths, answers: Answers, at: str) -> Past | None:
    """Return what going back to that moment means, None if that is the newest; refuse where nothing may be promoted."""
    if unit.is_running() or flow.prospect(paths, replace(answers, undecided=True)).resumed:
        raise Refused(
            reason="a promotion has begun already, with the newest generation",
            hint="Run hotsync-promote without --at to go on with it.",
        )
    return look_back(paths, SystemClock(), at)


def _gone_back(paths: Paths, answers: Answers, past: Past, yes: bool) -> Answers:
    """Show what going back means, ask, and do it; return the answers for the generation that was made."""
    show_past(past, sys.stderr)
    if not yes and not click.confirm("Go back to it", err=True, default=False):
        raise Refused(reason="it was not confirmed", hint="Nothing was changed.")
    made, notices = go_back(paths, SystemClock(), past, lambda text: say(text, err=True))
    for notice in notices:
        say(f"as it is now, not as it was: {notice.sentence}", mark=click.style("Warning:", fg="yellow"), err=True)
    return replace(answers, generation=made.number, back=past.back)


def _show_prospect(paths: Paths, seen: Prospect, as_json: bool, past: Past | None) -> None:
    if as_json:
        print_json(plan_document(paths, seen, _ages(paths, seen)) | ({"back": past_document(past)} if past else {}))
    else:
        if past is not None:
            show_past(past, sys.stdout)
            click.echo("The plan below is made anew then; now it is that of the newest generation.")
        show_plan(paths, seen, _ages(paths, seen))
        click.echo("Nothing was changed.")


def _follow(paths: Paths, as_json: bool) -> int:
    clock = SystemClock()

    def show(event: dict[str, Any]) -> None:
        show_step(event)

    ended = unit.follow(paths, show, clock)
    if as_json:
        print_json(outcome_document(paths, ended))
    else:
        show_outcome(paths, ended)
    return ended.exit_code
