"""`hotsync-promote --undo`: shows what will be given up and what was written meanwhile, asks, and follows the unit."""

from __future__ import annotations

import socket

import click

from hotsync.cli.following import only_shown
from hotsync.cli.promote_render import show_step
from hotsync.cli.promote_render import table_of as table
from hotsync.cli.render import age, local, print_json, say, size
from hotsync.errors import ExitCode, Refused, UsageError
from hotsync.flows import promote_unit as unit
from hotsync.flows import undo as flow
from hotsync.flows.promote_answers import Answers
from hotsync.flows.undo import UndoProspect
from hotsync.flows.unit_events import Ended
from hotsync.model.readable import readable
from hotsync.model.undo import Undo, Written
from hotsync.state.undo import kept_folder, load_undo
from hotsync.system.clock import SystemClock
from hotsync.system.paths import Paths

_STARTED = (
    "It runs in a unit of its own: Ctrl-C or a lost terminal does not stop it. hotsync-promote --undo shows it again,"
    " and goes on with it where it was cut off."
)
_GOING_ON = "An undo of this server's promotion is going on. It is shown from its beginning; Ctrl-C does not stop it."
_GOES_ON = "Only the showing ends here: the undo goes on. hotsync-promote --undo shows it again."


def undo_command(paths: Paths, *, dry_run: bool, yes: bool, force: bool, as_json: bool) -> int:
    """Show, ask, start the unit and follow it; return the exit code."""
    clock = SystemClock()
    running = unit.is_running()
    if running:
        unit.refuse_if_for_other(paths, undo=True)
    if as_json and not (yes or dry_run or running):
        raise UsageError(
            reason="--json shows no plan, and nobody should agree to what was not shown",
            hint="hotsync-promote --undo --dry-run --json prints the plan and what was written; then add --yes.",
        )
    if dry_run:
        seen = flow.prospect(paths, clock)
        if as_json:
            print_json(_plan_document(seen))
        else:
            _show(paths, seen, clock.now())
            click.echo("Nothing was changed.")
        return ExitCode.DONE
    if not running:
        seen = flow.prospect(paths, clock)
        if not as_json:
            _show(paths, seen, clock.now())
        if not yes:
            _confirm()
        unit.start(paths, Answers(force=force, undo=True))
    say(_GOING_ON if running else _STARTED, err=True)
    with only_shown(_GOES_ON):
        ended = unit.follow(paths, show_step, clock)
    undo = load_undo(paths)
    if as_json:
        print_json(_outcome_document(ended, undo))
    else:
        _show_outcome(paths, ended, undo)
    return ended.exit_code


def _confirm() -> None:
    name = socket.gethostname()
    click.echo("", err=True)
    typed = click.prompt(f"Type the name of this server ({readable(name)}) to go on", err=True, default="")
    if typed.strip() != name:
        raise Refused(reason="it was not confirmed", hint="Nothing was changed. Type the name exactly to go on.")


def _show(paths: Paths, seen: UndoProspect, now: float) -> None:
    """Print what will be done, and what was written meanwhile."""
    promotion, undo = seen.promotion, seen.facts.undo
    if seen.facts.begun:
        say(f"An undo that began at {local(undo.began_at)} is not finished; {len(seen.plan)} steps are left.")
    rows = [(str(number), step.phase.value, step.title) for number, step in enumerate(seen.plan, start=1)]
    table(f"The plan: back to SLAVE, releasing epoch {promotion.epoch}", ("", "phase", "step"), rows)
    if not undo.was_master:
        say("This promotion is not finished: it is given up.")
    since = undo.served
    if since:
        say(f"Production has run here since {local(since)} ({age(now - since)}). What was written meanwhile:")
        for line in lines_of(seen.written):
            say(f"  {line}")
        say(f"It is kept in {kept_folder(paths, promotion.epoch)}; the old MASTER does not get it.")
    else:
        say("Production was not started here: nothing was written meanwhile.")
    say("The old MASTER serves again once it hears that this epoch is released.")


def lines_of(written: Written) -> list[str]:
    """Return what was written meanwhile, a line each."""
    lines = [
        f"{written.files} files are new or changed ({size(written.bytes)}), {written.mails} mails among them",
        f"{written.deleted} paths were deleted, of {written.rights} only owner, mode or time was changed",
        f"{written.configuration} files of /etc were changed",
    ]
    if written.queued:
        lines.append(f"{written.queued} mails wait for being delivered: they are kept, and delivered by nobody")
    if written.servers:
        lines.append(f"databases: all that {', '.join(written.servers)} hold is dumped")
    return lines


def _written_document(written: Written) -> dict[str, object]:
    return {
        "files": written.files,
        "bytes": written.bytes,
        "mails": written.mails,
        "queued": written.queued,
        "rights": written.rights,
        "deleted": written.deleted,
        "configuration": written.configuration,
        "databases": list(written.servers),
    }


def _plan_document(seen: UndoProspect) -> dict[str, object]:
    return {
        "schema": 1,
        "resumed": seen.facts.begun,
        "epoch": seen.promotion.epoch,
        "generation": seen.promotion.generation,
        "written": _written_document(seen.written),
        "steps": [{"key": step.key, "phase": step.phase.value, "title": step.title} for step in seen.plan],
    }


def _outcome_document(ended: Ended, undo: Undo | None) -> dict[str, object]:
    document: dict[str, object] = {"schema": 1, "exit_code": ended.exit_code, "sentence": ended.sentence}
    if ended.error is not None:
        document["error"] = ended.error
    if undo is not None:
        document |= {
            "epoch": undo.epoch,
            "released": bool(undo.finished_at),
            "generation": undo.made or undo.generation,
            "written": _written_document(undo.written),
            "notes": list(undo.notes),
        }
    return document


def _show_outcome(paths: Paths, ended: Ended, undo: Undo | None) -> None:
    say(ended.sentence)
    if ended.error is not None and (hint := ended.error.get("hint")):
        say(str(hint))
    if undo is None or not undo.finished_at or ended.error is not None:
        return
    if undo.served:
        for line in lines_of(undo.written):
            say(f"  {line}")
        say(f"Each path is listed in {kept_folder(paths, undo.epoch) / 'written.txt'}.")
    for note in undo.notes:
        say(f"Note: {note}")
