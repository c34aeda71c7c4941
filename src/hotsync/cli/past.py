"""Commands on what the SLAVE holds: `hotsync history`, `diff`, `restore`, `verify`."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import click

from hotsync.cli.door import GuardedCommand
from hotsync.cli.render import VERDICT_STYLE, local, path_document, print_json, say, size, table, utc
from hotsync.cli.words import Folder, Text
from hotsync.errors import ExitCode
from hotsync.flows import history as flow
from hotsync.model.generation import Generation, database_moment
from hotsync.model.report import Verdict
from hotsync.system import paths
from hotsync.system.clock import SystemClock

_EXITS = {Verdict.GREEN: ExitCode.DONE, Verdict.AMBER: ExitCode.WARNINGS, Verdict.RED: ExitCode.REPLICA}


@click.command("history", cls=GuardedCommand)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def history_command(as_json: bool) -> int:
    """List the generations that this SLAVE holds, newest last."""
    held = flow.generations(paths.from_environment(), SystemClock())
    if as_json:
        print_json({"schema": 1, "generations": [generation_document(generation) for generation in held]})
        return ExitCode.DONE
    rows = [
        (
            str(g.number), local(g.committed_at), local(g.collected_at), str(g.changed), str(g.deleted), size(g.bytes),
            databases_as_of(g),
        )
        for g in held
    ]  # fmt: skip
    columns = ("generation", "committed", "the MASTER's time", "changed", "deleted", "content", "databases as of")
    table("Generations", columns, rows)
    if not held:
        click.echo("This SLAVE holds no generation yet.", err=True)
    return ExitCode.DONE


def databases_as_of(generation: Generation, without: Collection[str] = ()) -> str:
    """Return of when the oldest database in a generation is, as people read it; servers `without` are left out."""
    moment, stale = database_moment(generation, without)
    shown = local(moment) if moment else "none"
    return f"{shown} ({stale} stale)" if stale else shown


def generation_document(generation: Generation) -> dict[str, object]:
    """Return a generation as `--json` prints it."""
    return {
        "number": generation.number,
        "digest": generation.digest,
        "epoch": generation.epoch,
        "collected_at": utc(generation.collected_at),
        "committed_at": utc(generation.committed_at),
        "confirmed_at": utc(generation.confirmed_at),
        "changed": generation.changed,
        "deleted": generation.deleted,
        "bytes": generation.bytes,
        "unsettled": generation.unsettled,
        "datasets": [
            {
                "name": point.name,
                "taken_at": utc(point.taken_at),
                "stale_since": utc(point.stale_since),
                "note": point.note,
                "streamed": point.streamed,
            }
            for point in generation.datasets
        ],
    }


@click.command("diff", cls=GuardedCommand)
@click.argument("old", type=Text())
@click.argument("new", type=Text())
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def diff_command(old: str, new: str, as_json: bool) -> int:
    """Show what differs between the generations (or times) OLD and NEW."""
    found = flow.diff(paths.from_environment(), SystemClock(), old, new)
    if as_json:
        document = [{"change": one.change.value, **path_document(one.path)} for one in found]
        print_json({"schema": 1, "old": old, "new": new, "differences": document})
        return ExitCode.DONE
    for one in found:
        say(f"{one.change.value:<11} /{one.path}")
    if not found:
        click.echo("Nothing differs.", err=True)
    return ExitCode.DONE


@click.command("restore", cls=GuardedCommand)
@click.argument("path", type=Text())
@click.option("--to", "folder", required=True, type=Folder(), metavar="DIR", help="The folder to write it into.")
@click.option(
    "--at",
    "moment",
    type=Text(),
    metavar="TIME-OR-GENERATION",
    help="A generation's number, or a time (2026-11-22 16:30). Default: the newest.",
)
def restore_command(path: str, folder: Path, moment: str | None) -> int:
    """Bring PATH, a file or a folder, out of a generation into the folder DIR, with all its metadata.

    What lies live is never replaced, unless DIR is / itself.
    """
    report = flow.restore(paths.from_environment(), SystemClock(), path, folder, moment or "")
    for notice in report.notices:
        say(notice.sentence, mark=click.style("Note:", fg="yellow"), err=True)
    say(
        f"{report.files} files and {report.folders} folders ({size(report.bytes)}) of generation {report.generation} "
        f"are in {report.target}."
    )
    return ExitCode.WARNINGS if report.notices else ExitCode.DONE


@click.command("verify", cls=GuardedCommand)
@click.option("--sample", type=click.IntRange(1), help="Read the content of so many files only, chosen by chance.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def verify_command(sample: int | None, as_json: bool) -> int:
    """Compare the replica with its manifest, and every file's content with the sum taken when it arrived."""
    report = flow.verify(paths.from_environment(), SystemClock(), sample)
    if as_json:
        print_json(
            {
                "schema": 1,
                "verdict": report.verdict.value,
                "sentence": report.sentence,
                "generation": report.generation,
                "paths": report.paths,
                "contents": report.contents,
                "bytes": report.bytes,
                "faults": [{**path_document(fault.path), "what": fault.what} for fault in report.faults],
                "unlisted": report.unlisted,
                "unknown": report.unknown,
                "unsettled": report.unsettled,
            }
        )
    else:
        for fault in report.faults:
            say(f"/{fault.path}: {fault.what}")
        if report.unlisted:
            click.echo(f"... and {report.unlisted} more")
        shown = click.style(report.verdict.value, fg=VERDICT_STYLE[report.verdict.value])
        say(report.sentence, mark=f"{shown}:")
    return _EXITS[report.verdict]
