"""The fences as a SLAVE tries them: where it may, what is kept, shown and told, and when it is done again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from hotsync.cli.drill import drill_command
from hotsync.config.schema import Settings
from hotsync.engine.fence import known
from hotsync.engine.fence import rehearsal as engine
from hotsync.errors import NotReady, WrongRole
from hotsync.flows import fences as flow
from hotsync.model.fence import Tier
from hotsync.model.fence_rehearsal import DAY, Outcome, Rehearsed
from hotsync.model.identity import Peer, Role, RoleRecord
from hotsync.model.report import Verdict
from hotsync.report.letters import Trouble
from hotsync.state import store
from hotsync.state.fences import load_fences, save_fences
from hotsync.system import lock, log
from hotsync.system.clock import Clock
from hotsync.system.paths import Paths
from tests.fakes.clock import TickingClock

MASTER = "f" * 64
AGENT = Rehearsed(Tier.AGENT, MASTER, 1.0, Outcome.WORKS, "it answers at 192.0.2.10")
SSH = Rehearsed(Tier.SSH, "old-master", 1.0, Outcome.FAILED, "Permission denied", "Give it a key.")
DONE = replace(SSH, outcome=Outcome.WORKS, detail="root is let in", hint="")


class Slave:
    """A paired SLAVE with ssh as a fence; `found` is what its rehearsals find."""

    def __init__(self, paths: Paths, patch: pytest.MonkeyPatch) -> None:
        self.paths = paths
        self.found: tuple[Rehearsed, ...] = (AGENT, SSH)
        self.rehearsals = 0
        self.mails: list[Trouble | None] = []
        self._patch = patch
        self.set(fence_ssh="old-master")
        paths.state.mkdir(parents=True)
        store.save_role(paths, RoleRecord(Role.SLAVE, 0, None, 1.0, "test"))
        store.save_peer(paths, Peer("master", "192.0.2.10", MASTER, "", ""))
        patch.setattr(engine, "rehearse", self._rehearse)
        patch.setattr(flow, "tell", lambda *words: self.mails.append(words[3]))

    def set(self, **props: str) -> None:
        made = Settings.model_validate(props)
        for module in (engine, known, flow):
            self._patch.setattr(module, "read_settings", lambda _: (made, ()))

    def _rehearse(self, paths: Paths, clock: Clock) -> Iterator[Rehearsed]:
        self.rehearsals += 1
        yield from self.found

    def rehearse(self, said: list[str] | None = None) -> tuple[Rehearsed, ...]:
        return flow.rehearse_fences(self.paths, TickingClock(), (said if said is not None else []).append)

    def when_due(self) -> None:
        flow.rehearse_if_due(self.paths, TickingClock(), lambda _: None)


@pytest.fixture
def slave(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Slave:
    return Slave(Paths(tmp_path), monkeypatch)


def test_only_a_paired_slave_that_is_not_being_promoted_tries_them(slave: Slave) -> None:
    store.forget_peer(slave.paths)
    with pytest.raises(NotReady, match="no MASTER is paired"):
        slave.rehearse()
    store.save_role(slave.paths, RoleRecord(Role.SLAVE, 0, 1, 1.0, "test"))
    with pytest.raises(NotReady, match="unfinished"):
        slave.rehearse()
    store.save_role(slave.paths, RoleRecord(Role.MASTER, 1, None, 1.0, "test"))
    with pytest.raises(WrongRole):
        slave.rehearse()
    assert slave.rehearsals == 0


def test_what_came_of_each_is_kept_and_of_a_master_that_is_away_what_was_known(slave: Slave) -> None:
    assert slave.rehearse() == load_fences(slave.paths) == (AGENT, SSH)
    slave.found, said = (DONE,), list[str]()
    assert slave.rehearse(said) == (AGENT, DONE)
    assert said[1:] == ["ssh: works: root is let in", "agent: not tried: the MASTER is not there now"]
    slave.set()
    assert known.known_fences(slave.paths) == (AGENT,), "what is not set up any more is forgotten"
    slave.found = ()
    assert slave.rehearse() == load_fences(slave.paths) == (AGENT,)


def test_a_document_that_cannot_be_read_counts_as_nothing_known(slave: Slave) -> None:
    for text in ("", "[]", '{"schema": 9, "fences": []}', '{"schema": 1, "fences": [1]}'):
        slave.paths.fences.write_text(text)
        assert load_fences(slave.paths) == ()


def test_it_is_mailed_what_failed_and_that_all_works_again(slave: Slave) -> None:
    slave.rehearse()
    slave.found = (AGENT, DONE)
    slave.rehearse()
    failed, well = slave.mails
    assert failed is not None
    assert (failed.about, failed.code, failed.hint) == ("the rehearsal of the fences", "ssh", "Give it a key.")
    assert failed.sentence == "ssh: Permission denied"
    assert well is None


def test_they_are_tried_by_themselves_when_it_is_time_and_by_nobody_twice_at_once(slave: Slave) -> None:
    slave.when_due()
    slave.when_due()
    assert slave.rehearsals == 2, "one failed"
    save_fences(slave.paths, (replace(AGENT, at=1e12), replace(DONE, at=1e12)))
    slave.when_due()
    assert slave.rehearsals == 2
    slave.set(fence_ssh="another")
    with lock.held(slave.paths.run / "fences.lock", "test"):
        slave.when_due()
    assert slave.rehearsals == 2
    slave.set(fence_ssh="another", fence_test_days="0")
    slave.when_due()
    assert slave.rehearsals == 2
    slave.set(fence_ssh="another")
    slave.when_due()
    assert slave.rehearsals == 3


def test_readiness_asks_for_no_rehearsal_where_no_drill_is_wanted(slave: Slave) -> None:
    def verdicts(now: float) -> list[Verdict]:
        return [check.verdict for check in known.check_fences(slave.paths, now)]

    assert verdicts(20 * DAY) == [Verdict.AMBER] * 2
    slave.set(fence_ssh="old-master", drill="disabled")
    assert verdicts(20 * DAY) == [Verdict.GREEN] * 2
    save_fences(slave.paths, (AGENT, SSH))
    assert verdicts(20 * DAY) == [Verdict.GREEN, Verdict.AMBER]


def test_the_command_tries_or_shows_them(slave: Slave, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOTSYNC_ROOT", str(slave.paths.root))
    monkeypatch.setattr(log, "set_up", lambda _: None)
    done = CliRunner().invoke(drill_command, ["--fences", "--json"])
    assert done.exit_code == 1
    document = json.loads(done.stdout)
    assert document["verdict"] == "amber"
    assert [(each["tier"], each["outcome"]) for each in document["fences"]] == [("agent", "works"), ("ssh", "failed")]
    assert slave.rehearsals == 1
    shown = CliRunner().invoke(drill_command, ["--fences", "--last"])
    assert (shown.exit_code, slave.rehearsals) == (1, 1)
    assert "FAILED" in shown.stdout
    assert "Permission denied - Give it a key." in shown.stdout
    slave.found = (replace(AGENT, at=4e9), replace(DONE, at=4e9))
    assert CliRunner().invoke(drill_command, ["--fences"]).exit_code == 0
