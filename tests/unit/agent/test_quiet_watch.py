"""The look of the SLAVE at its MASTER goes on whatever the settings say."""

from __future__ import annotations

from pathlib import Path
from threading import Event
from types import SimpleNamespace
from typing import Any

import pytest

from hotsync.agent import quiet
from hotsync.agent.quiet import QuietWatch
from hotsync.model.identity import Peer, Role, RoleRecord
from hotsync.state.store import save_peer, save_role
from hotsync.system.clock import SystemClock
from hotsync.system.paths import Paths


def test_a_wrong_setting_does_not_end_the_alarm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = Paths(tmp_path)
    paths.databases.mkdir(parents=True)
    paths.configuration.write_text("hotsync=configuration|QuietMinutes|30|SlavePort|many|role|slave\nrsyncd=service\n")
    save_role(paths, RoleRecord(Role.SLAVE, 1))
    save_peer(paths, Peer("boss", "192.0.2.1", "0" * 64, ""))
    looked: list[Any] = []
    monkeypatch.setattr(quiet, "watch", lambda paths, settings, *rest: looked.append(settings))
    around: Any = SimpleNamespace(paths=paths, clock=SystemClock())
    QuietWatch(around).look()
    assert looked[0].quiet_minutes == 30


def test_whoever_stops_it_waits_for_no_relay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A relay may take ten minutes for a mail; a server whose role changes must answer its peer at once."""
    began, over = Event(), Event()

    def hang(_: QuietWatch) -> None:
        began.set()
        over.wait(30)

    monkeypatch.setattr(QuietWatch, "look", hang)
    monkeypatch.setattr(quiet, "STOP_SECONDS", 0.05)
    around: Any = SimpleNamespace(paths=Paths(tmp_path), clock=SystemClock())
    watch = QuietWatch(around, look_seconds=0.0)
    watch.start()
    assert began.wait(10)
    watch.stop()
    assert not over.is_set()
    over.set()
