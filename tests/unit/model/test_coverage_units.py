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
ALONE = UnitSeen(
    "own.service", True, "/etc/systemd/system/own.service", programs=("/usr/local/bin/own",), started_by=()
)
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


@pytest.mark.parametrize(
    ("unit", "said"),
    [
        (replace(ALONE, state="disabled"), "`systemctl enable own.service`"),
        (replace(ALONE, state="linked", file="/srv/app/own.service"), "`systemctl enable own.service`"),
        (replace(ALONE, state="static"), "no [Install] section"),
        (replace(PACKAGED, state="disabled", started_by=()), "`systemctl enable app.service`"),
        (replace(PACKAGED, name="app@1.service", state="indirect", started_by=()), "enable app@1.service`"),
        (replace(ALONE, name="own.timer", state="disabled", programs=()), "`systemctl enable own.timer`"),
    ],
)
def test_what_runs_though_nothing_starts_it_is_told_also_if_a_profile_names_it(unit: UnitSeen, said: str) -> None:
    named = (unit.name,)
    (finding,) = unit_findings([unit], named, JUDGE)
    assert finding.reason.startswith("it runs, but nothing starts it")
    assert said in finding.reason
    assert finding.kind is (Kind.TIMER if unit.name.endswith(".timer") else Kind.UNIT)
    assert list(other_services([unit], (), {finding.name})) == []


@pytest.mark.parametrize(
    "unit",
    [
        replace(ALONE, state="disabled", active=False),
        replace(ALONE, state="disabled", started_by=("shop.target",)),
        replace(ALONE, state="enabled"),
        replace(ALONE, state="generated", file="/run/systemd/generator.late/own.service", source="/etc/init.d/own"),
        replace(ALONE, name=f"{'0a' * 32}.timer", state="static"),
        replace(ALONE, name="systemd-own.service", state="disabled"),
        replace(PACKAGED, state="static", started_by=()),
        replace(PACKAGED, state="indirect", started_by=()),
    ],
)
def test_what_something_starts_or_may_start_is_no_concern(unit: UnitSeen) -> None:
    assert reasons(unit) == {}


def test_a_unit_that_the_administrator_wrote_is_judged_whatever_it_is_called() -> None:
    unit = replace(OWN, name="cloud-sync.service", programs=("/data/sync",))
    assert reasons(unit) == {}
    assert "/data/sync" in reasons(replace(unit, handmade=True))["cloud-sync.service"]
    assert list(other_services([replace(OWN, name="cloud-sync.service", handmade=True)], (), ())) == [
        "cloud-sync.service"
    ]


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
