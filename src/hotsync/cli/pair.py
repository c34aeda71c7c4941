"""`hotsync pair`: open pairing for a while, or forget the peer."""

from __future__ import annotations

import click

from hotsync.cli.door import GuardedCommand
from hotsync.cli.render import say
from hotsync.errors import ExitCode
from hotsync.flows.pair import forget, open_window
from hotsync.system import log, paths
from hotsync.system.clock import SystemClock


@click.command("pair", cls=GuardedCommand)
@click.option("--window", "minutes", type=click.IntRange(1, 1440), default=15, show_default=True,
              help="How many minutes pairing stays open, guesses slowed anew.")  # fmt: skip
@click.option("--forget", "forgetting", is_flag=True, help="Forget the paired server; it cannot connect any more.")
def pair_command(minutes: int, forgetting: bool) -> int:
    """Pair with the other server by the password that both administrators set.

    Pairing is open by itself while a password is set and no server is paired; this is only needed to begin anew.
    """
    log.set_up("hotsync")
    places = paths.from_environment()
    if forgetting:
        name = forget(places)
        say(f"{name} is forgotten." if name else "No server was paired.")
        return ExitCode.DONE
    say(open_window(places, SystemClock(), minutes))
    return ExitCode.DONE
