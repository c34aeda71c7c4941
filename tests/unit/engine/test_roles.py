"""What of HotSync's own runs on a server that was just promoted."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from hotsync.backends.units import ALL, DAEMON, Units
from hotsync.engine.promotion import roles
from hotsync.system.command import Completed


def test_a_promoted_server_runs_the_daemon_and_nothing_that_needs_a_slave(monkeypatch: pytest.MonkeyPatch) -> None:
    enabled, active = set(ALL), set(ALL)  # its /etc is the MASTER's, with all that was enabled there

    def systemctl(argv: Sequence[str]) -> Completed:
        unit = argv[-1]
        {
            "enable": lambda: enabled.add(unit),
            "disable": lambda: enabled.discard(unit),
            "stop": lambda: active.discard(unit),
            "reload-or-restart": lambda: active.add(unit),
        }[argv[1]]()
        return Completed(0, b"", b"")

    monkeypatch.setattr(roles, "Units", lambda: Units(systemctl, systemctl))
    roles._arrange_units()
    coverage = "hotsync-coverage.timer"  # looks at this server alone
    assert enabled == active == {DAEMON, coverage}
