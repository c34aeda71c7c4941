"""`hotsync coverage`: how it looks, to people and to programs."""

from __future__ import annotations

from collections.abc import Iterable

import click

from hotsync.cli.door import GuardedCommand
from hotsync.cli.progress import Progress
from hotsync.cli.render import local, path_document, print_json, say, size, table, utc
from hotsync.errors import ExitCode
from hotsync.flows.coverage import Drift, look
from hotsync.model.coverage.findings import DAYS, Coverage, Finding, summary_of
from hotsync.system import paths
from hotsync.system.clock import SystemClock

_FEW = 3
_HINT = (
    "A path is carried by a line in a list, /etc/backup-data.d/NAME.include, and left out for good by one in "
    "NAME.exclude; hotsync explain PATH says which rule decides."
)


@click.command("coverage", cls=GuardedCommand)
@click.option("--days", type=click.IntRange(0, 36500), default=DAYS, show_default=True,
              help="What counts as changed lately; 0: everything that is not protected, whatever its age.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.option("--timer", is_flag=True, hidden=True, help="The timer calls: one line will do.")
def coverage_command(days: int, as_json: bool, timer: bool) -> int:
    """Show which applications are here and what protects them, and what on this server nothing protects.

    Looked at are data that changed lately and files that are open for writing, wherever no rule speaks of them;
    mounted file systems; running units, timers, listening ports and containers that nothing brings back after a
    promotion; certificates and keys. What packages brought, caches and logs are no concern.

    On the SLAVE: how it differs from its MASTER (packages, versions, units, accounts, kernel settings, locale, time
    zone, kernel modules of the firewall, shares), whether that matters, and why.

    Exit status: 0 all is protected, and no difference matters; 1 something is not, or matters.
    """
    progress = Progress(quiet=as_json or timer)
    try:
        found = look(paths.from_environment(), SystemClock(), days, progress)
    finally:
        progress.done()
    if isinstance(found, Drift):
        return _tell_drift(found, as_json=as_json)
    if as_json:
        print_json(coverage_document(found))
    elif timer:
        say(summary_of(found))
    else:
        _show(found)
    return ExitCode.WARNINGS if found.findings or found.faults else ExitCode.DONE


def coverage_document(found: Coverage) -> dict[str, object]:
    """Return the answer as `--json` prints it."""
    return {
        "schema": 1,
        "role": "master",
        "looked_at": utc(found.looked_at),
        "days": found.days,
        "applications": [
            {"profile": each.name, "title": each.title, "protected_by": list(each.protected_by)}
            for each in found.applications
        ],
        "unprotected": [_finding_document(each) for each in found.findings],
        "faults": list(found.faults),
    }


def drift_document(found: Drift) -> dict[str, object]:
    """Return the differences as `--json` prints them on a SLAVE."""
    return {
        "schema": 1,
        "role": "slave",
        "looked_at": utc(found.looked_at),
        "differences": [
            {
                "topic": each.topic.value,
                "name": each.name,
                "master": each.master,
                "slave": each.slave,
                "matters": each.matters,
                "why": each.why,
            }
            for each in found.differences
        ],
    }


def _finding_document(finding: Finding) -> dict[str, object]:
    named = path_document(finding.name) if finding.name.startswith("/") else {"name": finding.name}
    return {
        "kind": finding.kind.value,
        **named,
        "reason": finding.reason,
        "by": list(finding.by),
        "files": finding.files,
        "bytes": finding.size,
        "held_bytes": finding.held,
        "newest": utc(finding.newest),
    }


def _show(found: Coverage) -> None:
    rows = [(each.title, "; ".join(each.protected_by)) for each in found.applications]
    table("Applications", ("application", "protected by"), rows)
    if found.findings:
        shown = [(each.kind.value, each.name, _size(each), each.reason, _few(each.by)) for each in found.findings]
        table("Not protected", ("what", "which", "changed lately", "because", "by"), shown)
        say(_HINT, err=True)
    elif not found.faults:
        say("Nothing is unprotected.")
    else:
        say("Nothing that could be looked at is unprotected.")
    for fault in found.faults:
        say(f"{fault[:1].upper()}{fault[1:]}.", mark=click.style("Warning:", fg="yellow"), err=True)


def _tell_drift(found: Drift, *, as_json: bool) -> int:
    differences = found.differences
    if as_json:
        print_json(drift_document(found))
    elif differences:
        rows = [
            ("matters" if each.matters else "does not", each.topic.value, each.name, each.master or "-",
             each.slave or "-", each.why)
            for each in differences
        ]  # fmt: skip
        table("How this SLAVE differs", ("matters", "what", "which", "MASTER", "here", "why"), rows)
    else:
        say("This SLAVE does not differ from its MASTER.")
    return ExitCode.WARNINGS if any(each.matters for each in differences) else ExitCode.DONE


def _size(finding: Finding) -> str:
    if not finding.files:
        return ""
    count = "1 file" if finding.files == 1 else f"{finding.files} files"
    last = f", {local(finding.newest)}" if finding.newest else ""
    more = f" (of {size(finding.held)})" if finding.held > finding.size else ""
    return f"{count}, {size(finding.size)}{more}{last}"


def _few(names: Iterable[str]) -> str:
    listed = list(names)
    return ", ".join(listed[:_FEW]) + (f" and {len(listed) - _FEW} more" if len(listed) > _FEW else "")
