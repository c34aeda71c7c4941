"""Running a plan: every step is recorded, and whatever fails is one error with a thing to do."""

from __future__ import annotations

import errno
from dataclasses import dataclass, field

import pytest

from hotsync.engine.execute import execute
from hotsync.errors import HotSyncError, NotReady, StepFailed
from hotsync.model.plan import Outcome, Phase, StepRecord
from hotsync.model.ports import Host
from tests.fakes.clock import TickingClock
from tests.fakes.host import FakeHost, World


@dataclass(frozen=True)
class Do:
    """A step that does nothing, or fails."""

    key: str
    error: Exception | None = None
    phase: Phase = Phase.DATA

    @property
    def title(self) -> str:
        return f"do {self.key}"

    def apply(self, host: Host) -> None:
        del host
        if self.error:
            raise self.error


@dataclass
class Journal:
    """Keeps records; `full_at` is the position of the first one that the disk does not take."""

    full_at: int = 0
    records: list[StepRecord] = field(default_factory=list[StepRecord])

    def __call__(self, record: StepRecord) -> None:
        if self.full_at and len(self.records) + 1 >= self.full_at:
            raise OSError(errno.ENOSPC, "No space left on device")
        self.records.append(record)


def run(*steps: Do, journal: Journal | None = None) -> tuple[list[tuple[str, Outcome, str]], StepFailed | None]:
    kept = journal or Journal()
    failed: StepFailed | None = None
    try:
        execute(steps, FakeHost(World()).host(), TickingClock(), kept)
    except StepFailed as error:
        failed = error
    return [(record.key, record.outcome, record.detail) for record in kept.records], failed


def test_every_step_is_recorded_in_order_with_its_times() -> None:
    journal = Journal()
    assert run(Do("a"), Do("b"), journal=journal)[1] is None
    assert [(record.key, record.outcome) for record in journal.records] == [("a", Outcome.DONE), ("b", Outcome.DONE)]
    assert all(record.started_at < record.ended_at for record in journal.records)


@pytest.mark.parametrize(
    ("error", "hint"),
    [
        (NotReady(reason="it is so", hint="Do this."), "Do this."),
        (PermissionError(errno.EACCES, "Permission denied"), StepFailed.hint),
        (OSError(errno.ENOSPC, "No space left on device"), "Free space"),
    ],
)
def test_the_first_failure_ends_it_with_what_was_done_and_what_to_do(error: HotSyncError | OSError, hint: str) -> None:
    records, failed = run(Do("a"), Do("b", error), Do("c"))
    assert failed is not None
    assert failed.facts["done"] == 1
    assert failed.facts["step"] == "do b"
    assert hint in failed.hint
    assert [(key, outcome) for key, outcome, _ in records] == [("a", Outcome.DONE), ("b", Outcome.FAILED)]
    assert records[1][2] in str(failed)


def test_a_disk_that_takes_no_record_is_a_failed_step_and_no_bug() -> None:
    records, failed = run(Do("a"), Do("b"), Do("c"), journal=Journal(full_at=2))
    assert failed is not None
    assert (failed.facts["step"], failed.facts["done"]) == ("do b", 1)
    assert "No space left" in failed.sentence
    assert "Free space" in failed.hint
    assert [key for key, _, _ in records] == ["a"]
