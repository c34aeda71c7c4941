from __future__ import annotations

from dataclasses import replace

import pytest

from hotsync.backends.packages.apt import Apt
from hotsync.backends.packages.dnf import Dnf
from hotsync.model.doctor import DoctorFacts, examine
from hotsync.model.identity import Role
from hotsync.model.ports.package_manager import Hints
from hotsync.model.report import Verdict, worst
from hotsync.system.paths import Paths

APT, DNF = Apt(Paths()).hints, Dnf(Paths()).hints
WELL = DoctorFacts(Role.MASTER, APT, timer="hotsync.timer", total=100, free=50)


@pytest.mark.parametrize("role", [Role.MASTER, Role.SLAVE])
def test_a_server_that_lacks_nothing_is_green(role: Role) -> None:
    assert worst(examine(replace(WELL, role=role))) is Verdict.GREEN


@pytest.mark.parametrize(
    ("facts", "name", "verdict"),
    [
        (replace(WELL, faults=("hotsync SlavePort: many. Set it",)), "settings", Verdict.RED),
        (replace(WELL, identity_fault="role.json has faults"), "identity", Verdict.RED),
        (replace(WELL, role=Role.NONE), "role", Verdict.AMBER),
        (replace(WELL, enabled=False), "enabled", Verdict.AMBER),
        (replace(WELL, daemon=False), "daemon", Verdict.RED),
        (replace(WELL, listening=False), "daemon.port", Verdict.RED),
        (replace(WELL, timer_runs=False), "timer", Verdict.RED),
        (replace(WELL, unfinished="HELD", unfinished_hint="rejoin", timer_runs=False), "unfinished", Verdict.RED),
        (replace(WELL, unfinished="It hands over", unfinished_hint="wait", passes=True), "unfinished", Verdict.AMBER),
        (replace(WELL, state_fault="read-only"), "state.writable", Verdict.RED),
        (replace(WELL, free=1), "replica.room", Verdict.RED),
        (replace(WELL, rsync_fault="it is 3.1.3"), "rsync", Verdict.RED),
        (replace(WELL, mail_fault="no sendmail"), "mail", Verdict.AMBER),
        (replace(WELL, clock=False), "clock", Verdict.AMBER),
        (replace(WELL, clock=None), "clock", Verdict.AMBER),
        (replace(WELL, guarded=False), "firewall", Verdict.AMBER),
        (replace(WELL, guarded=None), "firewall", Verdict.AMBER),
        (replace(WELL, package_faults=("half installed",)), "packages.own", Verdict.AMBER),
    ],
)
def test_each_thing_that_is_lacking_is_one_check_with_a_thing_to_do(
    facts: DoctorFacts, name: str, verdict: Verdict
) -> None:
    bad = [check for check in examine(facts) if check.verdict is not Verdict.GREEN]
    assert [(check.name, check.verdict) for check in bad] == [(name, verdict)]
    assert bad[0].hint
    assert bad[0].detail


def test_a_master_without_a_slave_needs_no_timer() -> None:
    assert worst(examine(replace(WELL, alone=True, timer_runs=False))) is Verdict.GREEN


def test_a_server_that_is_switched_off_is_not_asked_for_its_daemon() -> None:
    names = {check.name for check in examine(replace(WELL, enabled=False, daemon=False, listening=False))}
    assert "daemon" not in names


@pytest.mark.parametrize(("hints", "ours", "theirs"), [(APT, ("apt-get", "dpkg"), "dnf"), (DNF, ("dnf",), "apt-get")])
def test_what_is_to_be_typed_is_of_this_servers_own_package_manager(
    hints: Hints, ours: tuple[str, ...], theirs: str
) -> None:
    bad = replace(WELL, hints=hints, rsync_fault="old", guarded=None, package_faults=("half installed",))
    found = [check.hint for check in examine(bad) if check.verdict is not Verdict.GREEN]
    assert len(found) == 3
    assert all(hint.startswith(ours) and theirs not in hint for hint in found)
