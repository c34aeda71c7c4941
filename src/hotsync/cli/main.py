"""The command `hotsync`: what it accepts, and nothing of what it does."""

from __future__ import annotations

import click

from hotsync import __version__
from hotsync.cli.door import GuardedGroup
from hotsync.cli.lazy import LazyCommands
from hotsync.errors import UsageError

__all__ = ["hotsync"]

_COMMANDS = {
    "status": "hotsync.cli.look:status_command",
    "explain": "hotsync.cli.explain:explain_command",
    "coverage": "hotsync.cli.coverage:coverage_command",
    "runbook": "hotsync.cli.runbook:runbook_command",
    "doctor": "hotsync.cli.doctor:doctor_command",
    "rejoin": "hotsync.cli.rejoin:rejoin_command",
    "drill": "hotsync.cli.drill:drill_command",
    "pair": "hotsync.cli.pair:pair_command",
    "history": "hotsync.cli.past:history_command",
    "diff": "hotsync.cli.past:diff_command",
    "restore": "hotsync.cli.past:restore_command",
    "verify": "hotsync.cli.past:verify_command",
}


@click.group(cls=GuardedGroup, commands=LazyCommands(_COMMANDS), invoke_without_command=True)
@click.option("--dry-run", is_flag=True, help="Show what would be sent, by application; change nothing anywhere.")
@click.option("--accept-changes", is_flag=True, help="Let a held run pass: the large change is meant.")
@click.option("--full", is_flag=True, help="Look at every path, whatever the watcher says.")
@click.option("--json", "as_json", is_flag=True, help="Print the run's record as one JSON document.")
@click.option("--timer", is_flag=True, hidden=True, help="The timer calls: another run going on is no failure.")
@click.option("--hand-over", "last", is_flag=True, hidden=True, help="A switchover calls: the last run of this MASTER.")
@click.version_option(__version__, prog_name="hotsync")
@click.pass_context
def hotsync(
    context: click.Context,
    dry_run: bool,
    accept_changes: bool,
    full: bool,
    as_json: bool,
    timer: bool,
    last: bool,
) -> int | None:
    """Keep a SLAVE ready to replace this MASTER: without a command, synchronize now.

    Exit status: 0 done, 1 done with warnings, 2 usage or settings, 3 refused, 4 busy, 5 peer, 6 transfer,
    7 a source could not be collected, 8 replica, 9 a step failed.
    """
    if context.invoked_subcommand is not None:
        _refuse_misplaced(context)
        return None
    from hotsync.cli.sync import sync  # only now: other commands, and a shell that completes them, need nothing of it

    return sync(dry_run=dry_run, accept_changes=accept_changes, full=full, as_json=as_json, timer=timer, last=last)


def _refuse_misplaced(context: click.Context) -> None:
    """Raise UsageError for an option of a run before another command: --dry-run is never passed over in silence."""
    given = [option.opts[0] for option in context.command.params if option.name and context.params.get(option.name)]
    if given:
        raise UsageError(
            reason=f"{' and '.join(given)} before a command belongs to a run, not to {context.invoked_subcommand}",
            hint=f"Options of a command stand behind it: `hotsync {context.invoked_subcommand} --help` lists them.",
        )
