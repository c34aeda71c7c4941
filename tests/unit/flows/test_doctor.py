"""What `hotsync doctor` says of a server whose timers stand still because it waits for something."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import ClassVar

import pytest

from hotsync.flows import doctor as flow
from hotsync.model.handover import HandOver, Stage
from hotsync.model.hold import Hold
from hotsync.model.identity import Role, RoleRecord
from hotsync.model.rejoin import Rejoin, Terms
from hotsync.model.report import Verdict
from hotsync.model.undo import Undo
from hotsync.state import store
from hotsync.state.handover import save_handover
from hotsync.state.hold import save_hold
from hotsync.state.rejoin import save_rejoin
from hotsync.state.undo import save_undo
from hotsync.system import lock
from hotsync.system.paths import Paths

MASTER = RoleRecord(Role.MASTER, 3)
REJOIN = Rejoin(Terms(4, 7, "d" * 64), 1.0, "/vault", ())
running = ExitStack()
"""What goes on while a test looks."""


@pytest.fixture(autouse=True)
def _end() -> Iterator[None]:
    with running:
        yield


def held(paths: Paths) -> None:
    save_hold(paths, Hold(4, 1.0))


def claimed(paths: Paths) -> None:
    store.save_role(paths, RoleRecord(Role.SLAVE, 3, claim=4))


def undoing(paths: Paths) -> None:
    save_undo(paths, Undo(4, 7, 1.0, was_master=True))


def coming_back(paths: Paths) -> None:
    held(paths)
    save_rejoin(paths, REJOIN)


def coming_back_now(paths: Paths) -> None:
    coming_back(paths)
    running.enter_context(lock.held(paths.rejoin_lock, "rejoin of this server"))


def handing_over(paths: Paths) -> None:
    paths.run.mkdir(parents=True)
    save_handover(paths, HandOver(Stage.STOPPING, 3, 1.0))


@pytest.mark.parametrize(
    ("arrange", "words", "hint", "verdict"),
    [
        (held, "This server is HELD", "hotsync rejoin", Verdict.RED),
        (claimed, "a promotion to epoch 4 is not finished", "hotsync-promote: it goes on", Verdict.RED),
        (undoing, "the undo of a promotion is not finished", "hotsync-promote --undo", Verdict.RED),
        (coming_back, "it is coming back as SLAVE", "hotsync rejoin", Verdict.RED),
        (coming_back_now, "it is coming back as SLAVE", "shows how far", Verdict.AMBER),
        (handing_over, "A switchover goes on", "journalctl -u hotsync-handover", Verdict.AMBER),
    ],
)
def test_a_server_that_waits_says_what_for_and_not_to_start_a_timer(
    arrange: Callable[[Paths], None],
    words: str,
    hint: str,
    verdict: Verdict,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Down:
        def is_active(self, unit: str) -> bool:
            del unit
            return False

    class Machine:
        """All that is asked of the machine itself is well."""

        answers: ClassVar[Mapping[str, object]] = {
            "room": (0, 0), "is_listening": True, "package_faults": (), "clock_is_right": True, "is_guarded": True,
        }  # fmt: skip

        def __getattr__(self, name: str) -> Callable[..., object]:
            return lambda *_: self.answers.get(name, "")

    monkeypatch.setattr(flow, "machine", Machine())
    asked: list[Role] = []
    monkeypatch.setattr(flow, "addressee_of", lambda _, role: asked.append(role))
    monkeypatch.setattr(flow, "mail_fault", lambda _: "")
    paths = Paths(tmp_path)
    paths.databases.mkdir(parents=True)
    paths.configuration.write_text("hotsync=configuration|SlaveHost|192.0.2.2|status|enabled\nrsyncd=service\n")
    store.save_role(paths, MASTER)
    arrange(paths)
    first, *others = flow.doctor(paths, Down())  # type: ignore[arg-type]
    assert (first.name, first.verdict) == ("unfinished", verdict)
    assert words in first.detail
    assert hint in first.hint
    assert "timer" not in {check.name for check in others}
    assert asked == [Role.SLAVE if arrange in (held, coming_back, coming_back_now) else store.load_role(paths).role]
