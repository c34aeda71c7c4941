"""`hotsync runbook`: the page for the worst day."""

from __future__ import annotations

import click

from hotsync.cli.door import GuardedCommand
from hotsync.errors import ExitCode
from hotsync.flows.runbook import show_runbook
from hotsync.system import paths


@click.command("runbook", cls=GuardedCommand)
def runbook_command() -> int:
    """Show the runbook of this pair: what to do when the MASTER is dead, with the names and addresses of both servers.

    hotsync-slave makes it anew on the SLAVE with every run; the MASTER's agent fetches it. It is plain text, to be
    printed: hotsync runbook | lp. Whom to call stands in /etc/hotsync/phone-book on the MASTER, a line each; without it
    the page has lines to fill in by hand.
    """
    click.echo(show_runbook(paths.from_environment()), nl=False)
    return ExitCode.DONE
