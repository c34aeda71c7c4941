"""`hotsync explain`: how its answers look."""

from __future__ import annotations

from collections.abc import Iterator

import click

from hotsync.cli.door import GuardedCommand
from hotsync.cli.render import local, path_document, print_json, table, utc
from hotsync.errors import ExitCode
from hotsync.flows.explain import Explanation, explain
from hotsync.model.explain import SOCKET, Fate, Known, PathAnswer, UnitAnswer, UnitFacts
from hotsync.model.per_host import reason_not_before, reason_of_rule
from hotsync.model.selection import Rule
from hotsync.system import paths
from hotsync.system.clock import SystemClock

_FATES = {
    Fate.CARRIED: "carried; a promotion puts it in its place on the SLAVE",
    Fate.ABSENT: "not carried; not there after a promotion",
    Fate.OWN: "never copied; what the SLAVE has there stays, also in a promotion",
    Fate.UNKNOWN: "not carried: no rule speaks of it",
}
_MOST = 10


@click.command("explain", cls=GuardedCommand)
@click.argument("what", nargs=-1, required=True, metavar="PATH-OR-UNIT...")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def explain_command(what: tuple[str, ...], as_json: bool) -> int:
    """Say of each PATH whether it is carried, and which rule says so; of each UNIT what becomes of it.

    On the SLAVE the rules are those of the newest generation, and it is told in which generations a path changed. A
    unit is named with its ending, such as mariadb.service.
    """
    told = explain(paths.from_environment(), SystemClock(), what)
    if as_json:
        print_json(explanation_document(told))
        return ExitCode.DONE
    for answer, known in told.paths:
        table(answer.path, ("", ""), _path_rows(answer, known))
    for unit, facts in told.units:
        table(unit.name, ("", ""), _unit_rows(unit, facts))
    return ExitCode.DONE


def explanation_document(told: Explanation) -> dict[str, object]:
    """Return the answers as `--json` prints them."""
    return {
        "schema": 1,
        "role": told.role.value,
        "paths": [_path_document(answer, known) for answer, known in told.paths],
        "units": [
            {
                "unit": unit.name,
                "file": facts.file,
                "active": facts.active,
                "on_master": facts.on_master,
                "profiles": [{"profile": name, "key": key} for name, key in unit.profiles],
                "waiting": unit.waiting,
                "promotion": unit.promotion,
            }
            for unit, facts in told.units
        ],
    }


def _path_document(answer: PathAnswer, known: Known) -> dict[str, object]:
    return {
        **path_document(answer.path),
        "asked_as": known.really or None,
        "fate": answer.fate.value,
        "rule": _rule_document(answer.rule),
        "beaten": [_rule_document(rule) for rule in answer.beaten],
        "inside": [_rule_document(rule) for rule in answer.inside],
        "barred_by": answer.barred_by or None,
        "no_data": answer.no_data or None,
        "per_host": reason_of_rule(answer.rule) or None,
        "not_before": (answer.fate is Fate.CARRIED and reason_not_before(answer.path)) or None,
        "lies": known.lies,
        "datasets": list(known.datasets),
        "taken_at": utc(known.taken_at),
        "copy": known.copy or None,
        "copied_at": utc(known.copied_at),
        "trouble": known.trouble,
        "whole": known.whole,
        "generation": known.generation or None,
        "held": known.held,
        "unsettled": known.unsettled,
        "changed_in": list(known.changed_in),
    }


def _rule_document(rule: Rule | None) -> dict[str, str] | None:
    return None if rule is None else {"pattern": rule.pattern, "action": rule.action.value, "origin": rule.origin}


def _path_rows(answer: PathAnswer, known: Known) -> Iterator[tuple[str, str]]:
    yield answer.path, _FATES[answer.fate]
    if known.really:
        yield "asked as", f"{known.really} (a link leads from there)"
    if answer.rule is not None:
        yield "by", _rule(answer.rule)
    if reason := reason_of_rule(answer.rule):
        yield "because", reason
    if answer.fate is Fate.CARRIED and (reason := reason_not_before(answer.path)):
        yield "not before", reason
    if answer.barred_by:
        yield "because", f"a file system is mounted at {answer.barred_by}, and no rule names it"
    if answer.no_data:
        yield "because", answer.no_data
    for rule in answer.beaten[:_MOST]:
        yield "beats", _rule(rule)
    yield from _more("beats", len(answer.beaten))
    for rule in answer.inside[:_MOST]:
        yield "but inside", _rule(rule)
    yield from _more("but inside", len(answer.inside))
    yield from _content(answer, known)
    yield from _generations(known)


def _rule(rule: Rule) -> str:
    return f"{rule.action.value} {rule.pattern or '/'} ({rule.origin})"


def _more(word: str, count: int) -> Iterator[tuple[str, str]]:
    if count > _MOST:
        yield word, f"... and {count - _MOST} more (--json has all)"


def _content(answer: PathAnswer, known: Known) -> Iterator[tuple[str, str]]:
    if known.lies == SOCKET:
        yield "note", "it is a socket: it belongs to a running process and is never carried"
    if known.datasets:
        moment = f", collected {local(known.taken_at)} (the MASTER's time)" if known.taken_at else ", not collected yet"
        yield "instead", f"its content is carried as {', '.join(known.datasets)}{moment}"
    elif known.copy and known.copied_at and answer.fate is Fate.CARRIED:
        yield "as", f"a sound copy ({known.copy}) of {local(known.copied_at)}, at its own path"
    if known.trouble:
        yield "trouble", f"no newer sound copy could be made: {known.trouble}"
    if known.whole:
        yield "whole", "it comes settled and complete, or stays as the generation before had it"


def _generations(known: Known) -> Iterator[tuple[str, str]]:
    if known.held is None:
        yield "generation", "there is none yet"
    elif known.held:
        unsettled = ", unsettled: it would not hold still, and is looked at again in the next run"
        yield "generation", f"{known.generation} has it{unsettled if known.unsettled else ''}"
    else:
        yield "generation", f"{known.generation} does not have it"
    if known.changed_in:
        yield "changed in", ", ".join(map(str, known.changed_in))


def _unit_rows(unit: UnitAnswer, facts: UnitFacts) -> Iterator[tuple[str, str]]:
    runs = {True: "it runs here", False: "it does not run here", None: "systemd cannot be asked"}[facts.active]
    yield unit.name, runs if facts.file or facts.active is None else "there is no such unit here"
    if facts.file:
        yield "file", facts.file
    for name, key in unit.profiles:
        yield "profile", f"{name} names it under {key}"
    yield "waiting", unit.waiting
    yield "promotion", unit.promotion
