"""What `hotsync-promote` asks, all of it before anything is changed: no answer, or a lost terminal, changes nothing."""

from __future__ import annotations

import shlex
import socket
import sys
from dataclasses import replace

import click

from hotsync.cli.cards import ask_pairs
from hotsync.cli.promote_render import show_past, show_plan
from hotsync.cli.render import local, say
from hotsync.engine.status import holdings
from hotsync.errors import Refused
from hotsync.flows import promote as flow
from hotsync.flows.cards import cards_of
from hotsync.flows.promote import Prospect
from hotsync.flows.promote_answers import Answers
from hotsync.flows.promote_look import ages_now, internet_reached
from hotsync.flows.promote_past import Past, cut_before
from hotsync.model.data_age import ServerAge
from hotsync.model.identity import Role
from hotsync.model.plan import Outcome
from hotsync.model.promotion import NetworkChoice
from hotsync.model.readable import readable
from hotsync.model.report import Verdict
from hotsync.steps.network import TAKE
from hotsync.system.clock import SystemClock
from hotsync.system.paths import Paths

MENU = """
{why} What about the network? Nothing is changed yet, and Ctrl-C leaves everything as it is.

  1. Restore the MASTER's network configuration
     (IMPORTANT: only if the two servers are identical: number, names and positions of the network cards)
  2. Fix the network configuration first (when restoring on different hardware), then run this command again
  3. Continue without Internet, with this server's own network configuration (not recommended)
  4. Map the MASTER's network cards to this server's (different hardware): what is proposed is shown first
"""
_NO_INTERNET = "No Internet connection was found."
_SILENT = "Nobody answered with the network that was chosen, so this server has its own again."
_OTHER_CARDS = "This server has other network cards than the MASTER."


def agreed(paths: Paths, answers: Answers, past: Past | None, *, yes: bool, as_json: bool) -> Answers:
    """Show what will be done and ask everything; return all answers. Raise Refused where one of them is no."""
    if past is not None:
        show_past(past, sys.stderr)
        if not yes and not click.confirm("Promote this older generation", err=True, default=False):
            raise Refused(reason="it was not confirmed", hint="Nothing was changed.")
        answers = replace(answers, back=past.back)
    seen = _settled_prospect(paths, answers, past, yes, as_json)
    plan = seen.promotion.network
    answers = replace(answers, network=plan.choice, pairs=plan.pairs)
    if not yes:
        _confirm(seen)
        answers = replace(answers, typed=_typed_that_it_cannot_serve(seen))
    return answers


def _settled_prospect(paths: Paths, answers: Answers, past: Past | None, yes: bool, as_json: bool) -> Prospect:
    """Return what will be done, with the network's menu answered where it must be."""
    if answers.network is None and not yes and sys.stdin.isatty():
        # looked at first, so that a server that must not be promoted says so before it asks anything
        seen = flow.prospect(paths, replace(answers, undecided=True), None, past)
        if why := why_asked(paths, seen):
            click.echo(MENU.format(why=why))
            answer = click.prompt("Your choice", type=click.IntRange(1, 4))
            choice = checked(int(answer), str(past.wanted.number) if past else "")
            pairs = ask_pairs(cards_of(paths)) if choice is NetworkChoice.MAPPED else ()
            answers = replace(answers, network=choice, pairs=pairs)
    seen = flow.prospect(paths, answers, None, past)
    if not as_json:
        show_plan(paths, seen, ages_shown(paths, seen))
    return seen


def why_asked(paths: Paths, seen: Prospect) -> str:
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


def checked(network: int | None, at: str) -> NetworkChoice | None:
    """Given a number of the menu, return the choice; raise Refused if the network is to be fixed first."""
    choice = NetworkChoice(network) if network else None
    if choice is NetworkChoice.BY_HAND:
        again = f"hotsync-promote --at {shlex.quote(at)}" if at else "hotsync-promote"
        raise Refused(
            reason="the network is to be fixed first",
            hint="Nothing was changed. Set up this server's network in its own configuration files, then run"
            f" {again} again.",
        )
    return choice


def left_by_another(paths: Paths, answers: Answers, *, yes: bool) -> str:
    """Return the newest generation here, if it was made of an older one by a promotion that did not go on; else "".

    Raise Refused if nobody is asked: old data is never promoted unseen.
    """
    last = None if answers.planned else holdings(paths, Role.SLAVE)
    made_of = cut_before(paths, last)
    if last is None or made_of is None:
        return ""
    said = (
        f"generation {last.number}, the newest here, was made of an older one, of {local(last.collected_at)}; the"
        f" MASTER's newest is {made_of.newest}, of {local(made_of.collected_at)}"
    )
    old, new = f"hotsync-promote --at {last.number}", f"hotsync-promote --at {made_of.newest}"
    hint = f"{old} promotes the older data, {new} the newest."
    if yes:
        raise Refused(reason=said, hint=hint)
    say(f"A promotion with an older generation ended before it began: {said}. {hint}", err=True)
    return str(last.number)


def ages_shown(paths: Paths, seen: Prospect) -> tuple[ServerAge, ...]:
    """Return how old the data of each database server is or would be."""
    return ages_now(paths, seen.facts, SystemClock())


def _confirm(seen: Prospect) -> None:
    name = socket.gethostname()
    if seen.resumed:
        name = seen.promotion.network.host_name or name
    click.echo("", err=True)
    began = "goes on where it stopped" if seen.resumed else "begins: this server takes the MASTER's place"
    say(f"Nothing was changed by this call yet. With the last answer the promotion {began}.", err=True)
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
