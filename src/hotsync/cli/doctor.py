"""`hotsync doctor`: how its checks look."""

from __future__ import annotations

import click

from hotsync.cli.door import GuardedCommand
from hotsync.cli.render import VERDICT_STYLE, print_json, say
from hotsync.errors import ExitCode
from hotsync.flows.doctor import doctor
from hotsync.model.readable import readable, readable_lines
from hotsync.model.report import Check, Verdict, worst
from hotsync.system import paths

_STATUS = {Verdict.GREEN: ExitCode.DONE, Verdict.AMBER: ExitCode.WARNINGS, Verdict.RED: ExitCode.REFUSED}


@click.command("doctor", cls=GuardedCommand)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def doctor_command(as_json: bool) -> int:
    """Look at what this server lacks: settings, daemon, timer, disk, programs, mail, clock, firewall.

    The other server is not asked, and nothing is changed. Exit status: 0 all is well, 1 something should be looked at,
    3 something does not work.
    """
    checks = doctor(paths.from_environment())
    if as_json:
        print_json(doctor_document(checks))
    else:
        _show(checks)
    return _STATUS[worst(checks)]


def doctor_document(checks: tuple[Check, ...]) -> dict[str, object]:
    """Return the checks as `--json` prints them."""
    listed = [
        {"name": c.name, "title": c.title, "verdict": c.verdict.value, "detail": c.detail, "hint": c.hint}
        for c in checks
    ]
    return {"schema": 1, "verdict": worst(checks).value, "checks": listed}


def _show(checks: tuple[Check, ...]) -> None:
    for check in checks:
        mark = click.style(check.verdict.value, fg=VERDICT_STYLE[check.verdict.value])
        detail = f": {readable_lines(check.detail)}" if check.detail else ""
        click.echo(f"{mark} {readable(check.title)}{detail}")
        if check.verdict is not Verdict.GREEN and check.hint:
            say(f"    {check.hint}", lines=True)
