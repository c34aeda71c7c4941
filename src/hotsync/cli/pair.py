"""`hotsync pair`: let the next attempt to pair come at once, or forget the peer."""

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
              help="For how many minutes failed attempts from before do not slow the next ones.")  # fmt: skip
@click.option("--forget", "forgetting", is_flag=True, help="Forget the paired server; it cannot connect any more.")
def pair_command(minutes: int, forgetting: bool) -> int:
    """Pair with the other server by the password that both administrators set.

    Pairing is open by itself while a password is set and no server is paired, and each wrong guess makes the next one
    wait longer. This ends the wait at once, for a while; afterwards all guesses count as before.
    """
    log.set_up("hotsync")
    places = paths.from_environment()
    if forgetting:
        name = forget(places)
        say(f"{name} is forgotten." if name else "No server was paired.")
        return ExitCode.DONE
    say(open_window(places, SystemClock(), minutes))
    return ExitCode.DONE
