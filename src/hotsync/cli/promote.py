"""`hotsync-promote`: shows what will happen, asks, starts the unit and follows it."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from dataclasses import replace

import click

from hotsync.cli.door import GuardedCommand
from hotsync.cli.following import only_shown
from hotsync.cli.promote_ask import ages_shown, agreed, checked, left_by_another
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
from hotsync.cli.words import Text
from hotsync.engine.network import trial as network_trial
from hotsync.engine.network.coming_back import network_back
from hotsync.engine.network.rollback import VERB, confirmed_path, load_before
from hotsync.errors import ExitCode, Refused, UsageError
from hotsync.flows import promote as flow
from hotsync.flows import promote_unit as unit
from hotsync.flows.promote import Prospect
from hotsync.flows.promote_answers import Answers
from hotsync.flows.promote_boot import at_boot, mail_unfinished
from hotsync.flows.promote_past import Past, look_back, viewed
from hotsync.model.network.cards import parse_pairs
from hotsync.model.promotion import NetworkChoice
from hotsync.state.promotion import unfinished_promotion
from hotsync.state.store import load_role
from hotsync.system import files, log
from hotsync.system.clock import SystemClock
from hotsync.system.paths import Paths, from_environment

_STARTED = (
    "It runs in a unit of its own: Ctrl-C or a lost terminal does not stop it. hotsync-promote shows it again, and goes"
    " on with it where it was cut off."
)
_GOING_ON = "A promotion of this server is going on. It is shown from its beginning; Ctrl-C does not stop it."
_GOES_ON = "Only the showing ends here: the promotion goes on. hotsync-promote shows it again."


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
    type=Text(),
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
    "--without",
    multiple=True,
    type=Text(),
    metavar="SERVER[/DATABASE]",
    help="Leave out a database that cannot be loaded, or all of a database server, as the error calls it. Its dump is"
    " kept. Once for each.",
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
    without: tuple[str, ...],
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
        network_back(paths)
        return ExitCode.DONE
    if confirm_network:
        if dry_run or as_json:
            other = "--dry-run" if dry_run else "--json"
            raise UsageError(reason=f"--confirm-network does only that, and at once: it takes no {other} beside it")
        return _confirm_network(paths)
    if in_unit:
        return unit.run_in_unit(paths, SystemClock())
    if report:
        return _show_last(paths, as_json)
    if undo or (unit.is_for_undo(paths) and unit.is_running()):
        if network or maps or at or planned or without:
            raise UsageError(reason="--undo takes none of --network, --map, --at, --planned and --without")
        return undo_command(paths, dry_run=dry_run, yes=yes, force=force, as_json=as_json)
    if planned:
        _refuse_beside_planned(at, without, force=force)
    answers = replace(_answers(network, maps, force, at or ""), planned=planned, without=without)
    return _promote(paths, answers, at or "", dry_run=dry_run, yes=yes, as_json=as_json)


def _refuse_beside_planned(at: str | None, without: tuple[str, ...], *, force: bool) -> None:
    """Raise UsageError for what does not go with a switchover."""
    if at or force:
        raise UsageError(
            reason=f"--planned hands over what the MASTER has now, while it is alive: {'--at' if at else '--force'} "
            "belongs to a promotion without it",
            hint="hotsync-promote --planned; or switch the MASTER off, and promote without --planned.",
        )
    if without:
        raise UsageError(
            reason="--planned loses nothing, and --without leaves something out: they do not go together",
            hint="Mend that database on the MASTER, or drop it there. A switchover that has begun goes on with "
            "hotsync-promote --without, without --planned.",
        )


def _promote(paths: Paths, answers: Answers, at: str, *, dry_run: bool, yes: bool, as_json: bool) -> int:
    """Show what will be done, ask, have the unit do it, and follow it; or only show it. Nothing is changed before."""
    running = not dry_run and unit.is_running()
    if as_json and not (yes or dry_run or running):
        raise UsageError(
            reason="--json shows no plan, and nobody should agree to what was not shown",
            hint="hotsync-promote --dry-run --json prints the plan and the age of the data; then add --yes.",
        )
    if at and at == _begun_with(paths, running=running):
        at = ""  # the same command again: it shows that promotion, or goes on with it
    if running and at:
        raise Refused(
            reason="a promotion of this server is going on",
            hint="Nothing was changed by this call. Run hotsync-promote without --at: it shows that promotion.",
        )
    if not running:
        at = at or left_by_another(paths, answers, yes=yes and not dry_run)
        past = look_back(paths, SystemClock(), at) if at else None
        with viewed(paths, SystemClock(), past) if past else nullcontext(paths) as view:
            if dry_run:
                _show_prospect(view, flow.prospect(view, answers, None, past), as_json, past)
                return ExitCode.DONE
            try:
                answers = agreed(view, answers, past, yes=yes, as_json=as_json)
            except click.Abort:
                say("Nothing was changed.", err=True)
                raise
        unit.start(paths, answers)
    say(_GOING_ON if running else _STARTED, err=True)
    return _follow(paths, as_json)


def _begun_with(paths: Paths, *, running: bool) -> str:
    """Return the older generation with which a promotion runs or was claimed here, "" if there is none such."""
    promotion = unfinished_promotion(paths, load_role(paths))
    back = promotion.back if promotion is not None else unit.asked_for(paths).back if running else None
    return "" if back is None else str(back.wanted)


def _confirm_network(paths: Paths) -> int:
    if load_before(paths) is None:
        raise Refused(reason="no promotion waits for a word about its network", hint="Nothing was changed.")
    files.write_atomic(confirmed_path(paths), b"", mode=0o600)
    network_trial.end(paths)
    click.echo("The network stays as it is now.")
    return ExitCode.DONE


def _show_last(paths: Paths, as_json: bool) -> int:
    last = unit.last(paths)
    if as_json:
        print_json(outcome_document(paths, last.ended, last.promotion, last.undone))
    else:
        show_outcome(paths, last.ended, last.promotion, last.undone)
    return ExitCode.DONE


def _answers(network: int | None, maps: tuple[str, ...], force: bool, at: str) -> Answers:
    pairs = parse_pairs(maps)
    if pairs and network not in (None, NetworkChoice.MAPPED):
        raise UsageError(reason=f"--map belongs to choice 4 of the network menu, not to {network}")
    return Answers(NetworkChoice.MAPPED if pairs else checked(network, at), force, pairs)


def _show_prospect(paths: Paths, seen: Prospect, as_json: bool, past: Past | None) -> None:
    if as_json:
        document = plan_document(paths, seen, ages_shown(paths, seen))
        print_json(document | ({"back": past_document(past)} if past else {}))
    else:
        if past is not None:
            show_past(past, sys.stdout)
        show_plan(paths, seen, ages_shown(paths, seen))
        click.echo("Nothing was changed.")


def _follow(paths: Paths, as_json: bool) -> int:
    with only_shown(_GOES_ON):
        ended = unit.follow(paths, show_step, SystemClock())
    if as_json:
        print_json(outcome_document(paths, ended))
    else:
        show_outcome(paths, ended)
    return ended.exit_code
