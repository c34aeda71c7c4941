"""How a promotion looks: the plan before, the steps while it goes, the report after."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable, Sequence
from typing import IO, Any

import click

from hotsync.cli.data_age import COLUMNS, age_documents, age_rows
from hotsync.cli.loss import losses_document, show_losses
from hotsync.cli.render import VERDICT_STYLE, age, check_document, local, say, size, table, utc
from hotsync.flows.promote import Prospect
from hotsync.flows.promote_look import losses_of
from hotsync.flows.promote_past import Past
from hotsync.flows.unit_events import Ended
from hotsync.model.data_age import ServerAge
from hotsync.model.fence import sentence_of
from hotsync.model.network.cards import NONE
from hotsync.model.promotion import How, Promotion
from hotsync.model.readable import readable
from hotsync.model.report import Check, Verdict
from hotsync.model.switchover import masters_part
from hotsync.model.undo import Undo
from hotsync.report.runbook import COMPLETE, only_a_person
from hotsync.state.promotion import claimed_promotion
from hotsync.state.store import load_role
from hotsync.state.undo import kept_folder
from hotsync.system.paths import Paths


def table_of(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print rows as a table, or, where nobody sits at a terminal, as plain aligned lines."""
    if sys.stdout.isatty():
        table(title, columns, rows)
        return
    shown = [[readable(cell) for cell in row] for row in rows]
    click.echo(f"{title}:")  # a page for people, also in a file or a mail: programs take --json
    for line in aligned(shown):
        click.echo(f"  {line}")


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Given rows of cells, return lines in which each column begins at one place."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def show_plan(paths: Paths, seen: Prospect, ages: Sequence[ServerAge]) -> None:
    """Print what will be done, what speaks against it, how old the data is (files, and each database server), and what
    is lost."""
    promotion = seen.promotion
    if seen.resumed:
        began = local(promotion.started_at)
        say(f"A promotion that began at {began} is not finished; {len(seen.plan)} steps are left.")
    if promotion.planned and not seen.resumed:
        table_of(
            "First, on the MASTER",
            ("", "step"),
            [(str(n), part) for n, part in enumerate(masters_part(seen.stopping), 1)],
        )
    if seen.becomes:
        say(f"Before the first step generation {promotion.generation} becomes the newest here, as {seen.becomes}.")
    title = f"The plan: from generation {promotion.generation} to MASTER at epoch {promotion.epoch}"
    rows = [(str(number), step.phase.value, step.title) for number, step in enumerate(seen.plan, start=1)]
    table_of(title, ("", "phase", "step"), rows)
    if promotion.network.pairs:
        say(f"Network cards: {', '.join(f'{old} -> {new or NONE}' for old, new in promotion.network.pairs)}.")
    if promotion.without:
        say(f"Left out: {readable(', '.join(promotion.without))}.")
    for check in seen.checks:
        if check.verdict is not Verdict.GREEN:
            _show_check(check)
    now = time.time()
    if ages:
        table_of("How old the data is", COLUMNS, age_rows(promotion, ages, now))
    if promotion.planned:
        _show_planned(seen)
        return
    old, since = age(now - promotion.confirmed_at), local(promotion.confirmed_at)
    newer = " (what is streamed is newer)" if any(each.streamed for each in ages) else ""
    say(
        f"The data is that of generation {promotion.data_of}, {old} old ({since}){newer}. "
        "What was done on the MASTER since then is lost unless its disks can be read."
    )
    show_losses(losses_of(paths, promotion, seen.undone), past=seen.resumed)
    say(f"This takes about {age(seen.seconds)}.")


def _show_planned(seen: Prospect) -> None:
    if not seen.resumed:
        say(
            "Nothing is lost: the MASTER stops first, and sends what is newer than this generation. If anything fails "
            "before this server takes over, the MASTER goes on as before."
        )
    say(f"After the MASTER has stopped and sent the rest, this takes about {age(seen.seconds)}.")


def plan_document(paths: Paths, seen: Prospect, ages: Sequence[ServerAge]) -> dict[str, object]:
    """Return the plan as `--dry-run --json` prints it."""
    promotion = seen.promotion
    return {
        "schema": 1,
        "resumed": seen.resumed,
        "planned": promotion.planned,
        **({"master": list(masters_part(seen.stopping))} if promotion.planned and not seen.resumed else {}),
        "generation": promotion.generation,
        "epoch": promotion.epoch,
        "data_confirmed_at": utc(promotion.confirmed_at),
        "databases": age_documents(ages, time.time()),
        "loss": None if promotion.planned else losses_document(losses_of(paths, promotion, seen.undone)),
        "estimated_seconds": round(seen.seconds, 1),
        "steps": [{"key": step.key, "phase": step.phase.value, "title": step.title} for step in seen.plan],
        "checks": [check_document(check) for check in seen.checks],
        "cards": dict(promotion.network.pairs),
        "without": list(promotion.without),
        "copied": [unit.path for unit in promotion.units if unit.how is How.COPY],
    }


def show_past(past: Past, to: IO[str]) -> None:
    """Print what a promotion with an older generation brings back."""
    wanted, newest = past.wanted, past.newest
    made = (
        f"{past.changes} paths differ; {size(past.bytes)} of old files are copied. It becomes generation {past.becomes}"
        " right before the claim"
        if past.changes
        else f"It is the newest one here already, as generation {past.becomes}"
    )
    lost = f"\n{past.lost} paths of it the replica has lost: they stay as they are now." if past.lost else ""
    click.echo(
        f"Generation {wanted.number} is of {local(wanted.collected_at)}; the MASTER's newest one, {newest.number}, is"
        f" of {local(newest.collected_at)}.\n{made}; generation {newest.number} is still held.{lost}",
        file=to,
    )


def past_document(past: Past) -> dict[str, object]:
    """Return the same as `--json` prints it."""
    return {
        "generation": past.wanted.number,
        "collected_at": utc(past.wanted.collected_at),
        "newest": past.newest.number,
        "becomes": past.becomes,
        "paths": past.changes,
        "bytes": past.bytes,
        "lost": past.lost,
    }


def show_step(event: dict[str, Any]) -> None:
    """Print one step as it begins, or what was said between two."""
    if "said" in event:
        say(str(event["said"]), err=True)
        return
    say(f"[{event['position']:>3}/{event['total']}] {event['title']}", err=True)


def show_outcome(paths: Paths, ended: Ended, promotion: Promotion | None = None, undone: Undo | None = None) -> None:
    """Print the report: measured times, verdicts, what only a person can check, and the one sentence.

    Without a `promotion`, of the one that this server has claimed: what ended before its claim has none, whatever an
    earlier promotion has left. Of one that was `undone` nothing is left to be checked.
    """
    promotion = promotion or claimed_promotion(paths, load_role(paths))
    if promotion is not None and promotion.records:
        _show_report(paths, promotion, undone=undone is not None)
    if ended.error:
        say(ended.sentence, mark=click.style("Error:", fg="red", bold=True), err=True)
        say(str(ended.error.get("hint", "")), mark=click.style("Hint:", bold=True), err=True)
        return
    if promotion is not None and promotion.finished_at and undone is None:
        click.echo()
        say("Only a person can check:")
        for line in only_a_person(planned=promotion.planned):
            say(f"  - {line}")
        say(f"When all is well: {COMPLETE}, then reboot once and look again.")
        click.echo()
    say(ended.sentence)


def outcome_document(
    paths: Paths, ended: Ended, promotion: Promotion | None = None, undone: Undo | None = None
) -> dict[str, object]:
    """Return the report as `--json` prints it."""
    promotion = promotion or claimed_promotion(paths, load_role(paths))
    document: dict[str, object] = {"schema": 1, "exit_code": ended.exit_code, "sentence": ended.sentence}
    if ended.error:
        document["error"] = ended.error
    if promotion is not None:
        document |= {
            "epoch": promotion.epoch,
            "generation": promotion.generation,
            "planned": promotion.planned,
            **({"still_seconds": round(promotion.still_seconds, 1)} if promotion.planned else {}),
            "started_at": utc(promotion.started_at),
            "finished_at": utc(promotion.finished_at),
            "data_age_seconds": round(promotion.started_at - promotion.confirmed_at, 1),
            "databases": age_documents(promotion.servers, promotion.started_at),
            "loss": None if promotion.planned or undone else losses_document(losses_of(paths, promotion)),
            "steps": [
                {
                    "key": record.key,
                    "phase": record.phase,
                    "title": record.title,
                    "seconds": round(record.ended_at - record.started_at, 3),
                    "outcome": record.outcome.value,
                    **({"detail": record.detail} if record.detail else {}),
                }
                for record in promotion.records
            ],
            "checks": [check_document(check) for check in promotion.checks],
            "notes": list(promotion.notes),
            "fences": [
                {"tier": each.tier.value, "reached": each.reached, "detail": each.detail} for each in promotion.fences
            ],
        }
    if undone is not None:
        kept = os.fspath(kept_folder(paths, undone.epoch))
        document["undone"] = {"began_at": utc(undone.began_at), "finished_at": utc(undone.finished_at), "kept": kept}
    return document


def _show_report(paths: Paths, promotion: Promotion, *, undone: bool) -> None:
    rows = [
        (record.phase, record.title, f"{record.ended_at - record.started_at:.1f} s", record.outcome.value)
        for record in promotion.records
    ]
    table_of("What was done", ("phase", "step", "took", ""), rows)
    if promotion.checks:
        verdicts = [(check.verdict.value, check.title, check.detail) for check in promotion.checks]
        table_of("Checks", ("", "question", "answer"), verdicts)
    for check in promotion.checks:
        if check.verdict is not Verdict.GREEN:
            _show_check(check)
    if promotion.fences:
        say(sentence_of(promotion.fences))
    for note in promotion.notes:
        say(note, mark=click.style("Note:", fg="yellow"))
    if promotion.servers:
        table_of("How old the data was", COLUMNS, age_rows(promotion, promotion.servers, promotion.started_at))
    if promotion.planned:
        lost = readable(promotion.lost_by_plan)
        say(f"Planned: the MASTER had stopped and sent everything before this server took over, and {lost}.")
        if promotion.still_seconds:
            say(f"Production stood still for {promotion.still_seconds:.1f} s.")
        return
    say(f"The data was {age(promotion.started_at - promotion.confirmed_at)} old when the promotion began.")
    if not undone:  # the old MASTER serves again with all that it had
        show_losses(losses_of(paths, promotion), past=True)


def _show_check(check: Check) -> None:
    mark = click.style(f"{check.verdict.value}:", fg=VERDICT_STYLE[check.verdict.value])
    say(f"{check.title}: {check.detail}" if check.detail else check.title, mark=mark)
    if check.hint:
        say(f"       {check.hint}")
