"""What a MASTER made up (names, notes, reasons) is shown: it neither moves the cursor nor passes for a line of ours."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from hotsync.cli import look, past
from hotsync.cli import slave as door
from hotsync.cli import sync as sync_door
from hotsync.cli.promote_render import show_step
from hotsync.cli.render import say, table
from hotsync.config.schema import Settings
from hotsync.engine.slave.local_packages import LocalOffer
from hotsync.engine.slave.repository_offer import Keyring, Offer
from hotsync.engine.sync.preview import Preview, PreviewRow
from hotsync.flows import history
from hotsync.flows import slave as flow
from hotsync.flows.status_shown import Status
from hotsync.model.identity import Peer, Role, RoleRecord
from hotsync.model.packages.local import LocalPackage
from hotsync.model.packages.repositories import Refusal, Repository
from hotsync.model.plan import Step
from hotsync.model.report import Check, Notice, RunReport, Verdict
from hotsync.replica.verify import Fault, VerifyReport
from hotsync.state.slave_run import SlaveRun
from hotsync.steps.network import SetHostName
from hotsync.transport.presence import Presence

EVIL = "x\x1b[2J\x1b]0;t\x07\nHint: rm -rf /\u202e[/b]:bomb:"
SHOWN = "x\\x1b[2J\\x1b]0;t\\x07\\x0aHint: rm -rf /\\u202e[/b]:bomb:"
BY_LINES = "x\\x1b[2J\\x1b]0;t\\x07\n  Hint: rm -rf /\\u202e[/b]:bomb:"


class Terminal(io.StringIO):
    """An output that says it is a terminal, and keeps every byte."""

    def isatty(self) -> bool:
        return True


def on_terminal(show: Callable[[], object]) -> str:
    """Return what a terminal gets, without our own colours; fail if anything else in it moves the cursor."""
    terminal = Terminal()
    with redirect_stdout(terminal), redirect_stderr(terminal):
        show()
    text = re.sub(r"\x1b\[[0-9;]*m", "", terminal.getvalue())
    assert all(sign.isprintable() or sign == "\n" for sign in text), repr(text)
    assert not any(line.startswith("Hint: rm") for line in text.splitlines()), text
    return text


def test_a_line_is_one_line_unless_it_is_meant_to_have_more() -> None:
    assert on_terminal(lambda: say(EVIL, mark="Note:")) == f"Note: {SHOWN}\n"
    assert on_terminal(lambda: say(EVIL, lines=True)) == f"{BY_LINES}\n"


def test_a_cell_of_a_table_is_text_and_no_markup(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    shown = on_terminal(lambda: table("What", ("name",), [(EVIL,), ("[red]plain[/red]",)]))
    assert SHOWN in shown
    assert "[red]plain[/red]" in shown


def test_a_table_that_no_terminal_shows_has_one_line_a_row() -> None:
    output = io.StringIO()
    with redirect_stdout(output):
        table("What", ("name", "reason"), [(EVIL, EVIL)])
    assert output.getvalue() == f"{SHOWN}\t{SHOWN}\n"


def test_repositories_and_keys_are_shown_before_they_are_accepted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer = Offer(
        ((Repository(f"http://{EVIL}", EVIL, (EVIL,)), (Keyring(f"/etc/{EVIL}", b"", (EVIL,), "/etc"),)),),
        (Refusal(EVIL, EVIL),),
        "0" * 64,
    )
    monkeypatch.setenv("HOTSYNC_ROOT", str(tmp_path))
    monkeypatch.setattr("hotsync.system.log.set_up", lambda *_: None)
    monkeypatch.setattr(flow, "offered_repositories", lambda _paths: offer)
    done = CliRunner().invoke(door.slave, ["--accept-repositories"], input="n\n", color=True)
    assert done.exit_code == 3
    lines = done.stdout.splitlines()
    assert lines[0].endswith(f" {SHOWN}: {SHOWN}")
    assert lines[1:4] == [f"http://{SHOWN} {SHOWN} {SHOWN}", f"    keys /etc/{SHOWN}", f"        {SHOWN}"]


def test_packages_of_no_repository_are_shown_before_they_are_accepted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer = LocalOffer((LocalPackage(EVIL, EVIL, EVIL, "0" * 64, 1, rebuilt=True),), (LocalPackage(EVIL, EVIL, EVIL),))
    accepted: list[LocalOffer] = []
    monkeypatch.setenv("HOTSYNC_ROOT", str(tmp_path))
    monkeypatch.setattr("hotsync.system.log.set_up", lambda *_: None)
    monkeypatch.setattr(flow, "offered_packages", lambda _paths: offer)
    monkeypatch.setattr(flow, "accept_packages", lambda *words: accepted.append(words[-1]))
    for word, status in (("n", 3), ("y", 0)):
        done = CliRunner().invoke(door.slave, ["--accept-packages"], input=f"{word}\n", color=True)
        assert done.exit_code == status
        lines = done.stdout.splitlines()
        assert f"{SHOWN} {SHOWN}: the MASTER could not build" in lines[0]
        how = ", built anew on the MASTER of what is installed there"
        assert lines[1:3] == [f"{SHOWN} {SHOWN} ({SHOWN}){how}", f"    SHA-256 {'0' * 64}"]
    assert accepted == [offer]


CHECK = Check("evil", EVIL, Verdict.RED, EVIL, EVIL)


def slave_ran(code: str) -> flow.Done:
    return flow.Done(RunReport("hotsync-slave", 1.0, 2.0, 9, EVIL, code, EVIL), SlaveRun(2.0, 7, checks=(CHECK,)))


@pytest.mark.parametrize("code", ["", "step"])
def test_a_run_of_the_slave_shows_its_checks_or_its_error(code: str) -> None:
    shown = on_terminal(lambda: door._show(slave_ran(code)))
    assert (f"Error: {BY_LINES}\nHint: {BY_LINES}\n" if code else f"red: {SHOWN}: {SHOWN}\n       {SHOWN}\n") in shown


def test_the_plan_of_the_slave_shows_its_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    steps: tuple[Step, ...] = (SetHostName(EVIL),)
    facts: Any = None
    assert SHOWN in on_terminal(lambda: door._show_plan(flow.Prospect(facts, steps), as_json=False))


def test_a_step_of_a_promotion_is_one_line() -> None:
    assert on_terminal(lambda: show_step({"position": 1, "total": 2, "title": EVIL})) == f"[  1/2] {SHOWN}\n"
    assert on_terminal(lambda: show_step({"said": EVIL})) == f"{SHOWN}\n"


def test_the_status_shows_names_and_notes() -> None:
    status = Status(
        host=EVIL,
        now=1e9,
        role=RoleRecord(Role.SLAVE, 1),
        settings=Settings(),
        peer=Peer(EVIL, EVIL, "", ""),
        presence=Presence(last_seen=1e9, connected=True),
        newest=None,
        last_run=RunReport("hotsync-slave", 1.0, 2.0, 0, EVIL),
        next_run=1e9,
        slave_run=SlaveRun(1e9, 7, checks=(CHECK,)),
        muted=(EVIL,),
        warnings=(EVIL,),
    )
    shown = on_terminal(lambda: look._show(status))
    assert shown.startswith(f"{SHOWN}: SLAVE")
    assert f"{SHOWN} ({SHOWN}), connected" in shown
    assert f"red {SHOWN}: {SHOWN} - {SHOWN}\n" in shown
    assert f"1 units: {SHOWN}\n" in shown
    assert f"Warning: {BY_LINES}\n" in shown


def test_the_faults_of_the_replica_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    report = VerifyReport(7, 1, 1, 1, (Fault(EVIL, EVIL),), 0, 0, 0, Verdict.RED, EVIL)
    monkeypatch.setattr(history, "verify", lambda *_: report)
    verify = past.verify_command.callback
    assert verify is not None
    shown = on_terminal(lambda: verify(sample=None, as_json=False))
    assert shown == f"/{SHOWN}: {SHOWN}\nred: {SHOWN}\n"


def test_a_preview_shows_what_is_left_out_and_what_is_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    notice = Notice("path", EVIL, EVIL)
    preview = Preview((PreviewRow(EVIL, 1, 1, 1),), 1, (EVIL,), (notice,), (notice,))
    shown = on_terminal(lambda: sync_door._show_preview(preview, as_json=False))
    assert f"Note: {SHOWN}\nLeft out: {SHOWN}\nHeld: {SHOWN}\n" in shown
