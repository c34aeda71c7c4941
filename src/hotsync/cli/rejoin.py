"""`hotsync rejoin`: what becomes of a MASTER that was superseded."""

from __future__ import annotations

import socket

import click

from hotsync.cli.door import GuardedCommand
from hotsync.cli.render import say
from hotsync.errors import ExitCode, UsageError
from hotsync.flows.hold import may_rejoin_as_master, rejoin_as_master
from hotsync.model.readable import readable
from hotsync.system import log, paths
from hotsync.system.clock import SystemClock


@click.command("rejoin", cls=GuardedCommand)
@click.option(
    "--as-master", is_flag=True, help="Serve again: the promotion of the other server was given up; it is off."
)
@click.option("--yes", is_flag=True, help="Do not ask.")
def rejoin_command(as_master: bool, yes: bool) -> int:
    """Bring a MASTER back that holds itself because its SLAVE was promoted.

    With --as-master it takes its addresses and starts production again, at an epoch above the other server's, which
    holds itself when it comes back. Data of the other server stays there. To make this server the SLAVE, install it
    anew.

    Exit status: 0 done, 2 usage, 3 refused: the other server answers and is the MASTER, 9 a step failed.
    """
    log.set_up("hotsync")
    if not as_master:
        raise UsageError(
            reason="A former MASTER cannot come back as SLAVE by itself yet.",
            hint="Install it anew as SLAVE; or `hotsync rejoin --as-master`, if the other server is off for good.",
        )
    places, clock = paths.from_environment(), SystemClock()
    hold = may_rejoin_as_master(places, clock)
    if not yes:
        say(
            f"The other server of the pair was promoted (epoch {hold.epoch}) and does not answer now. If it serves all "
            "the same, out of this server's sight, there will be two MASTERs with the same addresses. What was written "
            "there since its promotion is not here."
        )
        name = readable(socket.gethostname())
        if click.prompt(f"Type the name of this server ({name}) if the other one is off and stays off") != name:
            raise click.Abort
    epoch = rejoin_as_master(places, clock, say)
    say(f"This server is the MASTER again, at epoch {epoch}. `systemctl --failed` shows what did not start.")
    say("Put its settings into force: signal-event nethserver-hotsync-save")
    return ExitCode.DONE
