"""The command `backup-config`: what it prints and how it ends are the original's."""

from __future__ import annotations

from datetime import datetime
from functools import partial

import click

from hotsync import __version__
from hotsync.cli.door import GuardedCommand
from hotsync.cli.hand_over import FAILED, hand_over
from hotsync.cli.render import say
from hotsync.errors import SourceError
from hotsync.flows.events import Invocation, NoSuchEvent, Outlets, run_event
from hotsync.model.report import Notice
from hotsync.sources.backup_config import back_up
from hotsync.sources.source import Context
from hotsync.state.configdb import configuration
from hotsync.system import log
from hotsync.system.paths import Paths, from_environment
from hotsync.system.syslog import SystemLog


@click.command("backup-config", cls=GuardedCommand)
@click.option("-f", "--force", is_flag=True, help="Make the archive anew, also if nothing changed.")
@click.version_option(__version__, prog_name="backup-config")
def backup_config(force: bool) -> int:
    """Write this server's configuration into an archive, with its md5 files and the list of packages.

    The archive is rewritten only if something changed. Files and folders to add or leave out: /etc/backup-config.d.
    Passwords and private keys stay out. On NethServer its own backup-config is called in the place of this one.
    Exit status: 0 done (or switched off), 1 failed.
    """
    paths = from_environment()
    if (theirs := paths.platform().backup_config) is not None:
        return hand_over("backup-config", str(paths.at(theirs)), ["-f"] if force else [])
    record = configuration(paths).props(["backup-config"]).get("backup-config", {})
    if record.get("status", "enabled") != "enabled":
        return 0
    log.set_up("backup-config")
    started = datetime.now().astimezone()
    click.echo("===== Report for configuration backup =====")
    click.echo(f"\nBackup started at {started:%Y-%m-%d %H:%M:%S}")
    good = True
    for title, work in (
        ("Event pre-backup-config", partial(_signal, paths, "pre-backup-config")),
        ("Action backup-config-execute", partial(_execute, paths, force)),
        ("Event post-backup-config", partial(_signal, paths, "post-backup-config")),
    ):
        done = work()
        click.echo(f"{title}: {'SUCCESS' if done else 'FAIL'}")
        good = good and done
    ended = datetime.now().astimezone()
    click.echo(f"Backup status: {'SUCCESS' if good else 'FAIL'}")
    click.echo(f"Backup ended at {ended:%Y-%m-%d %H:%M:%S}")
    seconds = round((ended - started).total_seconds())
    click.echo(f"Time elapsed: {seconds // 3600} hours, {seconds // 60 % 60} minutes, {seconds % 60} seconds")
    return 0 if good else FAILED


def _execute(paths: Paths, force: bool) -> bool:
    try:
        back_up(Context(paths, notice=_warn), force=force)
    except SourceError as error:
        say(error.sentence, lines=True, err=True)
        say(error.hint, lines=True, err=True)
        return False
    return True


def _warn(notice: Notice) -> None:
    say(notice.sentence, err=True)


def _complain(line: str) -> None:
    click.echo(line, err=True)


def _tell(step: dict[str, object]) -> None:
    del step


def _signal(paths: Paths, event: str) -> bool:
    """Run the site's actions of an event; return whether all did well (none is well)."""
    try:
        return run_event(Invocation(paths, event, (), _complain), Outlets(SystemLog("esmith::event"), _complain, _tell))
    except NoSuchEvent:
        return True
