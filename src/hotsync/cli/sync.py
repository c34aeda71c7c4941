"""`hotsync` without a command: one sync run, or its preview."""

from __future__ import annotations

import click

from hotsync.cli.progress import Progress
from hotsync.cli.render import age, notice_documents, print_json, report_document, say, say_error, size, table
from hotsync.engine.sync.host import SyncHost
from hotsync.engine.sync.preview import Preview
from hotsync.errors import Busy, ExitCode
from hotsync.flows.sync import SyncOptions, preview, run_sync
from hotsync.model.report import RunReport
from hotsync.system import log, paths
from hotsync.system.clock import SystemClock

_NOTE = click.style("Note:", fg="yellow")


def sync(*, dry_run: bool, accept_changes: bool, full: bool, as_json: bool, timer: bool, last: bool = False) -> int:
    """Run `hotsync` once and return its exit code."""
    log.set_up("hotsync")
    progress = Progress(quiet=as_json and not dry_run)
    places, clock = paths.from_environment(), SystemClock()
    if dry_run:
        _show_preview(preview(SyncHost.of_this_machine(places, clock), progress), as_json)
        return ExitCode.DONE
    options = SyncOptions(accept_changes=accept_changes, full=full, timer=timer, last=last)
    try:
        report = run_sync(places, clock, options, progress)
    except Busy:
        if timer:
            return ExitCode.DONE
        raise
    finally:
        progress.done()
    if as_json:
        print_json(report_document(report))
    else:
        _show(report)
    return report.exit_code


def _show(report: RunReport) -> None:
    failed = report.exit_code not in (ExitCode.DONE, ExitCode.WARNINGS)
    for notice in report.warnings[:20]:
        say(notice.sentence, mark=_NOTE, err=True)
    if len(report.warnings) > 20:
        click.echo(f"... and {len(report.warnings) - 20} more: hotsync status --json", err=True)
    if failed:
        say_error(report.summary, report.hint)
        return
    say(report.summary, lines=True)
    figures = report.figures
    if "sent_bytes" in figures:
        click.echo(
            f"{size(figures.get('content_bytes', 0))} of content, {size(figures['sent_bytes'])} over the wire, "
            f"in {age(report.ended_at - report.started_at)}."
        )


def _show_preview(shown: Preview, as_json: bool) -> None:
    if as_json:
        print_json(
            {
                "schema": 1,
                "dry_run": True,
                "entries": shown.entries,
                "applications": [
                    {"application": row.application, "changed": row.changed, "deleted": row.deleted, "bytes": row.bytes}
                    for row in shown.rows
                ],
                "held": list(shown.held),
                "warnings": notice_documents(shown.notices),
                "remarks": notice_documents(shown.skipped),
            }
        )
        return
    rows = [(row.application, str(row.changed), str(row.deleted), size(row.bytes)) for row in shown.rows]
    table("What would be sent", ("application", "changed", "deleted", "content"), rows)
    changed, deleted = sum(row.changed for row in shown.rows), sum(row.deleted for row in shown.rows)
    click.echo(
        f"{changed} paths would be sent, {deleted} deleted; {shown.entries} paths are protected. Nothing was changed."
    )
    click.echo("Databases and plugins are not asked in a dry run: their last collected copies stand in for them.")
    for notice in shown.notices[:20]:
        say(notice.sentence, mark=_NOTE)
    for notice in shown.skipped[:20]:
        say(notice.sentence, mark=click.style("Left out:", bold=True))
    if len(shown.skipped) > 20:
        click.echo(f"... and {len(shown.skipped) - 20} more: hotsync --dry-run --json")
    for reason in shown.held:
        say(reason, mark=click.style("Held:", fg="yellow"))
