"""Units and ports that nothing brings back after a promotion are told; those that come back are not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hotsync.model.coverage.findings import Kind
from hotsync.model.coverage.judge import Judge
from hotsync.model.coverage.runners import Runner
from hotsync.model.coverage.units import Listener, UnitSeen, other_services, port_findings, unit_findings
from hotsync.model.explain import Mounted
from hotsync.model.selection import Action, Rule, Selection, Voice

RULES = Selection([Rule(path, Action.INCLUDE, "profile base", Voice.PROFILE) for path in ("/etc", "/usr/local")])
JUDGE = Judge(RULES, Mounted({}), {"/usr/lib/systemd/system/app.service", "/usr/sbin/app"})
PACKAGED = UnitSeen("app.service", True, "/usr/lib/systemd/system/app.service", programs=("/usr/sbin/app",))
OWN = UnitSeen("own.service", True, "/etc/systemd/system/own.service", programs=("/usr/local/bin/own",))


def reasons(*units: UnitSeen, named: tuple[str, ...] = ()) -> dict[str, str]:
    return {finding.name: finding.reason for finding in unit_findings(units, named, JUDGE)}


def test_what_packages_bring_and_what_rules_carry_comes_back() -> None:
    assert reasons(PACKAGED, OWN) == {}
    assert list(other_services([PACKAGED, OWN], {"own.service"}, ())) == ["app.service"]


@pytest.mark.parametrize(
    ("unit", "said"),
    [
        (
            replace(PACKAGED, file="/usr/lib/systemd/system/x.service"),
            "its unit file /usr/lib/systemd/system/x.service",
        ),
        (replace(OWN, programs=("/data/own",)), "its program /data/own: no rule names it"),
        (replace(OWN, programs=("/var/cache/own",)), "its program /var/cache/own: caches"),
        (replace(OWN, files=("/data/own.conf",)), "it names /data/own.conf: no rule names it"),
        (replace(OWN, file="/run/systemd/system/own.service"), "lives until the next boot only"),
        (replace(OWN, transient=True), "systemd-run"),
        (replace(OWN, name="run-r01.service", transient=True), "systemd-run"),
        (
            replace(OWN, file="/run/systemd/generator.late/own.service", source="/data/init.d/own"),
            "its unit file /data",
        ),
    ],
)
def test_what_nothing_brings_back_is_told_with_the_reason(unit: UnitSeen, said: str) -> None:
    assert said in reasons(unit)[unit.name]


@pytest.mark.parametrize(
    "unit",
    [
        replace(OWN, active=False, programs=("/data/own",)),
        replace(OWN, name="systemd-own.service", programs=("/data/own",)),
        replace(OWN, name=f"{'0a' * 32}.service", transient=True),
        replace(OWN, file="/run/systemd/generator.late/own.service", source="/etc/init.d/own"),
        replace(OWN, files=("/run/own.sock", "/var/log/own.log")),
    ],
)
def test_what_is_the_machines_or_comes_back_otherwise_is_no_concern(unit: UnitSeen) -> None:
    assert reasons(unit) == {}


def test_a_profile_that_names_a_unit_or_its_template_answers_for_it() -> None:
    unit = replace(OWN, name="own@1.service", programs=("/data/own",))
    assert reasons(unit, named=("own@.service",)) == {}
    assert set(reasons(unit)) == {"own@1.service"}


def test_a_timer_is_told_for_what_it_starts() -> None:
    timer = UnitSeen("job.timer", True, "/etc/systemd/system/job.timer", triggers=("job.service",))
    job = replace(OWN, name="job.service", active=False, programs=("/data/job",))
    (finding,) = unit_findings([timer, job], (), JUDGE)
    assert (finding.kind, finding.name, finding.by) == (Kind.TIMER, "job.timer", ("job.service",))


def listening(address: str, runner: Runner | None, lost: tuple[str, ...] = ()) -> list[str]:
    return [finding.reason for finding in port_findings([Listener(address, runner, "own")], lost, range(32768, 61000))]


HAND = Runner(7, "own", "/usr/bin/own")


def test_a_port_of_something_that_was_started_by_hand_is_told_with_the_program_and_its_package() -> None:
    (finding,) = port_findings([Listener("tcp 0.0.0.0:80", HAND, "own")], (), range(32768, 61000))
    assert (finding.kind, finding.name, finding.by) == (Kind.PORT, "tcp 0.0.0.0:80", ("own", "package own"))


def test_a_udp_port_that_the_kernel_gives_to_nobody_was_chosen_by_who_listens_there() -> None:
    assert len(listening("udp 0.0.0.0:61001", HAND)) == 1


def test_a_port_of_a_unit_is_told_if_nothing_brings_the_unit_back() -> None:
    runner = replace(HAND, unit="own.service")
    assert listening("tcp 0.0.0.0:80", runner) == []
    assert listening("tcp 0.0.0.0:80", runner, ("own.service",)) == [
        "nothing brings own.service back after a promotion"
    ]


def test_a_port_of_somebodys_own_service_is_told() -> None:
    (reason,) = listening("tcp 0.0.0.0:80", replace(HAND, unit="web.service", person=True))
    assert "until he logs in" in reason


@pytest.mark.parametrize(
    ("address", "runner"),
    [
        ("tcp 0.0.0.0:2049", None),
        ("tcp [::]:22", replace(HAND, pid=1)),
        ("udp 0.0.0.0:40000", HAND),
        ("tcp 127.0.0.1:6010", replace(HAND, name="sshd", person=True)),
        ("tcp 0.0.0.0:80", replace(HAND, container=True)),
    ],
)
def test_a_port_that_needs_no_protection_is_no_concern(address: str, runner: Runner | None) -> None:
    assert listening(address, runner) == []
