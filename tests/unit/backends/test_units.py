from collections.abc import Sequence

import pytest

from hotsync.backends.units import ALL, STREAM, WATCH, Units
from hotsync.model.identity import Role
from hotsync.system.command import Completed


class Systemctl:
    """Remembers which units are enabled and run."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.enabled: set[str] = set()
        self.active: set[str] = set()

    def __call__(self, argv: Sequence[str]) -> Completed:
        program, verb, *rest = argv
        assert program == "systemctl"
        unit = rest[-1] if rest else ""
        self.said.append(f"{verb} {unit}".strip())
        if verb == "is-active":
            return Completed(0 if unit in self.active else 3, b"", b"")
        if verb in ("enable", "disable"):
            (self.enabled.add if verb == "enable" else self.enabled.discard)(unit)
        if verb in ("start", "restart", "reload-or-restart", "stop"):
            (self.active.discard if verb == "stop" else self.active.add)(unit)
        return Completed(0, b"", b"")


@pytest.mark.parametrize(
    ("role", "enabled", "running"),
    [
        (Role.MASTER, True, {"hotsyncd.service", "hotsync.timer", "hotsync-coverage.timer"}),
        (Role.SLAVE, True, {"hotsyncd.service", "hotsync-slave.timer"}),
        (Role.NONE, True, set[str]()),
        (Role.MASTER, False, set[str]()),
        (Role.SLAVE, False, set[str]()),
    ],
)
@pytest.mark.parametrize("before", [set[str](), set(ALL)])
def test_what_the_role_needs_runs_and_nothing_else(
    role: Role, enabled: bool, running: set[str], before: set[str]
) -> None:
    systemctl = Systemctl()
    systemctl.active, systemctl.enabled = set(before), set(before)
    units = Units(systemctl, systemctl)
    units.arrange(role, enabled=enabled)
    assert systemctl.active == systemctl.enabled == running
    assert {unit for unit in ALL if units.is_active(unit)} == running


def test_a_timer_whose_interval_changed_starts_anew_and_the_daemon_is_never_interrupted_for_it() -> None:
    systemctl = Systemctl()
    Units(systemctl, systemctl).arrange(Role.MASTER, enabled=True, changed=["hotsync.timer", "hotsync-slave.timer"])
    assert "restart hotsync.timer" in systemctl.said
    assert "restart hotsync-slave.timer" not in systemctl.said
    assert "reload-or-restart hotsyncd.service" in systemctl.said
    assert "restart hotsyncd.service" not in systemctl.said


def test_the_old_timer_stops_before_the_new_one_starts() -> None:
    systemctl = Systemctl()
    Units(systemctl, systemctl).arrange(Role.SLAVE, enabled=True)
    assert systemctl.said.index("stop hotsync.timer") < systemctl.said.index("start hotsync-slave.timer")


@pytest.mark.parametrize(
    ("role", "enabled", "streams", "runs"),
    [
        (Role.MASTER, True, True, True),
        (Role.MASTER, True, False, False),
        (Role.MASTER, False, True, False),
        (Role.SLAVE, True, True, False),
        (Role.NONE, True, True, False),
    ],
)
@pytest.mark.parametrize("before", [set[str](), {STREAM}])
def test_only_a_master_that_is_told_to_streams(
    role: Role, enabled: bool, streams: bool, runs: bool, before: set[str]
) -> None:
    systemctl = Systemctl()
    systemctl.active, systemctl.enabled = set(before), set(before)
    Units(systemctl, systemctl).arrange(role, enabled=enabled, streams=streams)
    assert (STREAM in systemctl.active, STREAM in systemctl.enabled) == (runs, runs)


@pytest.mark.parametrize(
    ("role", "enabled", "watches", "runs"),
    [
        (Role.MASTER, True, True, True),
        (Role.MASTER, True, False, False),
        (Role.MASTER, False, True, False),
        (Role.SLAVE, True, True, False),
        (Role.NONE, True, True, False),
    ],
)
@pytest.mark.parametrize("before", [set[str](), {WATCH}])
def test_only_a_master_that_is_told_to_watches(
    role: Role, enabled: bool, watches: bool, runs: bool, before: set[str]
) -> None:
    systemctl = Systemctl()
    systemctl.active, systemctl.enabled = set(before), set(before)
    Units(systemctl, systemctl).arrange(role, enabled=enabled, watches=watches)
    assert (WATCH in systemctl.active, WATCH in systemctl.enabled) == (runs, runs)


@pytest.mark.parametrize(("role", "running"), [(Role.SLAVE, True), (Role.MASTER, False), (Role.NONE, False)])
def test_only_a_slave_drills(role: Role, running: bool) -> None:
    systemctl = Systemctl()
    Units(systemctl, systemctl).arrange(role, enabled=True, drills=True)
    assert ("hotsync-drill.timer" in systemctl.active) is running
