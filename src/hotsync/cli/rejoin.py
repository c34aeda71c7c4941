"""`hotsync rejoin`: what becomes of a MASTER that was superseded."""

from __future__ import annotations

import signal
import socket
from pathlib import Path

import click

from hotsync.cli.door import GuardedCommand
from hotsync.cli.following import only_shown
from hotsync.cli.render import age, say
from hotsync.cli.words import Folder
from hotsync.errors import Busy, ExitCode, Refused, UsageError
from hotsync.flows.hold import may_rejoin_as_master, rejoin_as_master
from hotsync.flows.rejoin import Prospect, Rejoined, prospect, rejoin_as_slave
from hotsync.flows.rejoin_follow import follow, going_on, refuse_if_going_on, refuse_other_vault
from hotsync.model.readable import readable
from hotsync.model.rejoin import Way
from hotsync.system import log, paths
from hotsync.system.clock import Clock, SystemClock
from hotsync.system.lock import Owner
from hotsync.system.paths import Paths

_GOING_ON = "A rejoin of this server is going on. It is shown from its beginning; Ctrl-C ends only the showing."
_GOES_ON = "Only the showing ends here: the rejoin goes on. hotsync rejoin shows it again."


@click.command("rejoin", cls=GuardedCommand)
@click.option(
    "--as-master", is_flag=True, help="Serve again: the promotion of the other server was given up; it is off."
)
@click.option(
    "--vault",
    type=Folder(),
    metavar="DIR",
    help="The folder for what the other server never received (/var/lib/hotsync/vault); no carried one.",
)
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--force", is_flag=True, help="With --as-master: also while somebody answers for what it would take.")
def rejoin_command(as_master: bool, vault: Path | None, yes: bool, force: bool) -> int:
    """Bring a MASTER back that holds itself because its SLAVE was promoted.

    It becomes the SLAVE of the server that took its place. What it had and that one never received goes to a vault
    first: files, mails and databases, with a list; nothing of it flows into what is served now. Then its data becomes
    the replica by renaming, it takes the standby address, and is sent what differs, not everything. Run it again if it
    was cut: it goes on where it stopped, also with another --vault, as long as the vault is not whole. While it runs,
    another call shows it.

    With --as-master it takes its addresses and starts production again, at an epoch above the other server's, which
    holds itself when it comes back. Data of the other server stays there. It asks before whether anybody has these
    addresses, and whether the other server is on; if so it refuses, unless --force says that it cannot serve. --yes
    never means --force.

    Exit status: 0 done, 2 usage, 3 refused, 4 another run is going, 5 the other server does not answer, 9 a step
    failed.
    """
    log.set_up("hotsync")
    places, clock = paths.from_environment(), SystemClock()
    if as_master:
        if vault is not None:
            raise UsageError(reason="--vault goes with a rejoin as SLAVE.", hint="Leave it out, or --as-master.")
        return _as_master(places, clock, yes=yes, force=force)
    if force:
        raise UsageError(reason="--force goes with --as-master.", hint="`hotsync rejoin` as SLAVE needs none.")
    return _as_slave(places, clock, vault.absolute() if vault is not None else None, yes=yes)


def _as_slave(places: Paths, clock: Clock, vault: Path | None, *, yes: bool) -> int:
    if (running := going_on(places)) is not None:
        return _look_on(places, clock, running, vault)
    seen = prospect(places, clock, vault)
    if not yes:
        _show(seen, clock)
        if not click.confirm("Go on?", default=False):
            raise Refused(reason="it was not confirmed", hint="Nothing was changed.")
    # the network changes on the way: a terminal that is lost must not end it
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        done = rejoin_as_slave(places, clock, say, vault)
    except Busy:
        # somebody else said yes before
        if (running := going_on(places)) is None:
            raise
        return _look_on(places, clock, running, vault)
    return _show_done(done)


def _look_on(places: Paths, clock: Clock, running: Owner, vault: Path | None) -> int:
    """Show the rejoin that another call does, to its end."""
    refuse_other_vault(places, vault)
    say(_GOING_ON)
    with only_shown(_GOES_ON):
        done = follow(places, running, clock, say)
    return _show_done(done)


def _show_done(done: Rejoined) -> int:
    if done.vault is not None:
        say(done.vault.sentence)
        say(f"The vault: {done.rejoin.vault} (LIST.txt says what is in it, and how it comes back).")
    for note in done.rejoin.notes:
        say(note)
    addresses = ", ".join(map(str, done.rejoin.own))
    say(f"This server is the SLAVE {done.rejoin.name} now, at {addresses}. The MASTER's next run sends what differs.")
    say("Then `hotsync-slave` makes it ready to be promoted; `hotsync status` shows it.")
    return ExitCode.DONE


def _show(seen: Prospect, clock: Clock) -> None:
    rejoin = seen.rejoin
    if seen.facts.begun:
        say(f"A rejoin that began {age(clock.now() - rejoin.started_at)} ago goes on: {len(seen.plan)} steps are left.")
    say(f"This server becomes the SLAVE of the server at epoch {rejoin.terms.epoch}; nothing of it is served again.")
    say(f"  What that one never received goes to {rejoin.vault}, and stays there.")
    for way, what in (
        (Way.MOVE, "moved into the replica, by renaming"),
        (Way.COPY, "copied into the replica, since this server needs it"),
        (Way.CARRY, "copied into the replica from another file system, and removed there"),
    ):
        if found := [f"/{part.path}" for part in rejoin.parts if part.way is way]:
            shown = ", ".join(found[:8]) + (f" and {len(found) - 8} more" if len(found) > 8 else "")
            say(f"  {readable(shown)}: {what}.")
    say(f"  Its address: {', '.join(map(str, rejoin.own))}; its name: {rejoin.name}.")


def _as_master(places: Paths, clock: Clock, *, yes: bool, force: bool) -> int:
    refuse_if_going_on(places)
    seen = may_rejoin_as_master(places, clock, force=force)
    hold = seen.hold
    for sign in seen.signs:
        say(f"Somebody is there: {sign}.")
    if not yes:
        say(
            f"The other server of the pair was promoted (epoch {hold.epoch}) and does not answer now. If it serves all "
            "the same, out of this server's sight, there will be two MASTERs with the same addresses. What was written "
            "there since its promotion is not here."
        )
        name = readable(socket.gethostname())
        if click.prompt(f"Type the name of this server ({name}) if the other one is off and stays off") != name:
            raise Refused(reason=f"what was typed is not {name}", hint="Nothing was changed.")
        if seen.signs and click.prompt("Type CANNOT SERVE if you made sure that it cannot").strip() != "CANNOT SERVE":
            raise Refused(reason="the other server may serve", hint="Nothing was changed. Switch it off first.")
    # its addresses change on the way: a terminal that is lost must not end it
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    epoch = rejoin_as_master(places, clock, say, force=force)
    say(f"This server is the MASTER again, at epoch {epoch}. `systemctl --failed` shows what did not start.")
    say("Put its settings into force: signal-event nethserver-hotsync-save")
    return ExitCode.DONE
