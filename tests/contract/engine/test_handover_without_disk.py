"""A hand-over that finds /run full: production goes on, and no claim counts as one that was waited for."""

from __future__ import annotations

import errno
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import pytest

from hotsync.engine.one_master.handover import Run, Yard
from hotsync.flows import handover as flow
from hotsync.flows.handover import hand_over, settle
from hotsync.model.facts import UnitFact
from hotsync.model.generation import Generation
from hotsync.model.handover import HandOver, Stage
from hotsync.model.hold import HeardBy
from hotsync.model.identity import Role, RoleRecord
from hotsync.state import handover as state
from hotsync.state import store
from hotsync.state.hold import load_hold, note_superseded
from hotsync.state.sent import save_sent
from hotsync.system.clock import SystemClock
from hotsync.system.paths import Paths

pytestmark = pytest.mark.contract


@dataclass
class Production:
    """What runs on this MASTER; `spoils`: when /run is filled."""

    paths: Paths
    spoils: str
    runs: bool = True
    known: Stage | None = None
    did: list[str] = field(default_factory=list[str])

    def _does(self, what: str) -> None:
        self.did.append(what)
        if what == self.spoils:
            fill(self.paths.run)

    def lacking(self) -> str:
        return ""

    def running(self) -> tuple[str, ...]:
        return ("dovecot.service",)

    def told(self) -> tuple[UnitFact, ...]:
        return ()

    def timers(self) -> tuple[str, ...]:
        return ()

    def stop(self, units: Sequence[str], timers: Sequence[str]) -> None:
        self.runs = False
        self._does("stop")

    def run(self, *, last: bool) -> Run:
        if last:
            save_sent(self.paths, Generation(7, "d" * 64, 0, 1.0, 1.0, 1.0))
            self._does("last run")
        return Run(0, 7, "done")

    def leave(self) -> None:
        raise AssertionError("nobody claimed it")

    def go_on(self, units: Sequence[str], timers: Sequence[str]) -> None:
        assert tuple(units) == ("dovecot.service",)
        self.runs = True
        self.known = stage(self.paths)


def fill(folder: Path) -> None:
    with (folder / "filler").open("ab", buffering=0) as file:
        for size in (4096, 1):
            with suppress(OSError):
                while True:
                    file.write(bytes(size))
    with pytest.raises(OSError, match="No space") as caught:
        (folder / "one more").write_bytes(b"x")
    assert caught.value.errno == errno.ENOSPC
    (folder / "one more").unlink(missing_ok=True)


def stage(paths: Paths) -> Stage | None:
    known = state.current(paths, 3)
    return None if known is None else known.stage


@contextmanager
def _nothing() -> Iterator[None]:
    yield


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Paths]:
    """A MASTER with a /run of its own, which is small."""
    made = Paths(tmp_path / "host")
    made.state.mkdir(parents=True)
    made.run.mkdir(parents=True)
    for name in ("noticing_the_end", "deaf_to_the_end"):
        monkeypatch.setattr(flow, name, _nothing)
    for name in ("tell", "run_command"):
        monkeypatch.setattr(flow, name, lambda *_, **__: None)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", made.run], check=True)
    try:
        store.save_role_and_flag(made, RoleRecord(Role.MASTER, epoch=3))
        yield made
    finally:
        subprocess.run(["umount", made.run], check=True)


def test_where_there_is_no_room_even_then_there_is_no_hand_over(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    production, forget = Production(paths, "last run"), state.forget_handover

    def forget_and_fill(_: Paths) -> None:
        forget(paths)
        fill(paths.run)

    monkeypatch.setattr(state, "forget_handover", forget_and_fill)
    state.request(paths)
    assert not hand_over(paths, SystemClock(), cast("Yard", production))
    assert production.runs
    assert production.known is None


@pytest.mark.parametrize("spoils", ["stop", "last run"])
def test_production_starts_again_and_a_claim_that_comes_is_none_that_was_waited_for(paths: Paths, spoils: str) -> None:
    production = Production(paths, spoils)
    state.request(paths)
    assert not hand_over(paths, SystemClock(), cast("Yard", production))
    assert production.runs
    assert production.did[-1] == spoils
    assert stage(paths) in (None, Stage.GIVEN_UP)
    settle(paths, SystemClock(), cast("Yard", production))
    assert note_superseded(paths, store.load_role(paths), 4, HeardBy.CALLED, 5.0)
    hold = load_hold(paths)
    assert hold is not None
    assert not hold.planned, "it had started production again"


def test_one_that_was_cut_while_it_waited_for_the_claim_is_given_up_by_what_comes_after_it(paths: Paths) -> None:
    ready = HandOver(Stage.READY, 3, 1.0, ("dovecot.service",), stopped=1.0, until=2.0, generation=7, digest="d" * 64)
    state.save_handover(paths, ready)
    production = Production(paths, "", runs=False)
    fill(paths.run)
    settle(paths, SystemClock(), cast("Yard", production))
    assert production.runs
    assert stage(paths) in (None, Stage.GIVEN_UP)


def test_one_that_cannot_even_begin_stops_nothing_and_is_not_begun_again_and_again(paths: Paths) -> None:
    production = Production(paths, "")
    state.request(paths)
    fill(paths.run)
    with pytest.raises(OSError, match="No space"):
        hand_over(paths, SystemClock(), cast("Yard", production))
    assert production.runs
    assert not state.is_requested(paths)
