"""How things look on a terminal: lines, sizes, times, tables. Elsewhere than on a terminal, plain lines.

Whatever a line or a cell tells (names and notes that the MASTER made up among it), nothing of it can move the cursor,
colour the terminal or pass for another line.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, is_dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from hotsync.model.readable import readable, readable_lines
from hotsync.model.report import Check, Notice, RunReport

if TYPE_CHECKING:
    from rich.console import Console  # a run that a timer started shows no table

VERDICT_STYLE = {"green": "green", "amber": "yellow", "red": "red"}


def console(*, err: bool = False) -> Console:
    """Return a console that writes plain lines when nobody looks."""
    from rich.console import Console

    # markup and emoji: a name in brackets or between colons is a name, wherever it comes from
    return Console(stderr=err, highlight=False, markup=False, emoji=False, soft_wrap=True)


def say(text: str, *, mark: str = "", lines: bool = False, err: bool = False) -> None:
    """Print a text of any origin, behind a coloured mark of our own; one line, unless it is meant to have `lines`."""
    shown = readable_lines(text) if lines else readable(text)
    click.echo(f"{mark} {shown}" if mark else shown, err=err)


def say_error(sentence: str, hint: str) -> None:
    """Print what went wrong and what to do about it, as every command does."""
    say(sentence, mark=click.style("Error:", fg="red", bold=True), lines=True, err=True)
    say(hint, mark=click.style("Hint:", bold=True), lines=True, err=True)


def check_document(check: Check) -> dict[str, str]:
    """Return a check as every document has it."""
    return {
        "name": check.name,
        "title": check.title,
        "verdict": check.verdict.value,
        "detail": check.detail,
        "hint": check.hint,
    }


def print_json(document: object) -> None:
    """Print the one JSON document of a call."""
    click.echo(json.dumps(document, default=_plain, ensure_ascii=True, indent=2 if sys.stdout.isatty() else None))


def _plain(value: object) -> object:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if isinstance(value, set | frozenset):
        return sorted(value, key=str)  # pyright: ignore[reportUnknownArgumentType,reportUnknownVariableType]
    return str(value)


def utc(moment: float) -> str | None:
    """Given seconds since 1970, return ISO 8601 in UTC as JSON documents carry it (None for never)."""
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="seconds").replace("+00:00", "Z") if moment else None


def local(moment: float) -> str:
    """Given seconds since 1970, return the local time as people write it."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(moment)) if moment else "never"


def age(seconds: float) -> str:
    """Given a duration in seconds, return it as people say it."""
    seconds = max(0, round(seconds))
    for size, word in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= 2 * size:
            return f"{seconds // size} {word}s"
    return f"{seconds} seconds" if seconds != 1 else "1 second"


def size(count: float) -> str:
    """Given bytes, return them as people read them."""
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if count < 1024 or unit == "GiB":
            return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1024
    raise AssertionError


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table: with rules on a terminal, tab-separated lines elsewhere; nothing in a cell ends it early."""
    rows = [[readable(cell) for cell in row] for row in rows]
    if not sys.stdout.isatty():
        for row in rows:
            click.echo("\t".join(row))
        return
    from rich.table import Table

    shown = Table(title=title, title_justify="left", header_style="bold", box=None, pad_edge=False)
    for column in columns:
        shown.add_column(column)
    for row in rows:
        shown.add_row(*row)
    console().print(shown)


def path_document(path: str) -> dict[str, Any]:
    """Given a path, return it as JSON documents carry it: readable, and exact where it is not UTF-8."""
    import base64

    raw = path.encode("utf-8", "surrogateescape")
    text = raw.decode("utf-8", "replace")
    return {"path": text} if text == path else {"path": text, "path_b64": base64.b64encode(raw).decode()}


def report_document(report: RunReport) -> dict[str, object]:
    """Return a run's record as `--json` prints it."""
    document: dict[str, object] = {
        "schema": 1,
        "command": report.command,
        "started_at": utc(report.started_at),
        "ended_at": utc(report.ended_at),
        "seconds": round(report.ended_at - report.started_at, 3),
        "exit_code": report.exit_code,
        "summary": report.summary,
        "generation": report.generation,
        "figures": report.figures,
        "warnings": notice_documents(report.warnings),
        "remarks": notice_documents(report.remarks),
    }
    if report.error_code:
        document["error"] = {"code": report.error_code, "sentence": report.summary, "hint": report.hint}
    return document


def notice_documents(notices: Iterable[Notice]) -> list[dict[str, object]]:
    """Return notices as `--json` prints them."""
    return [
        {"code": notice.code, "sentence": notice.sentence, **(path_document(notice.path) if notice.path else {})}
        for notice in notices
    ]
