"""docs/formats.md names what the documents really hold."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest

from hotsync.cli import past, slave
from hotsync.cli.coverage import coverage_document, drift_document
from hotsync.cli.doctor import doctor_document
from hotsync.cli.drill_documents import drill_document, fences_document
from hotsync.cli.explain import explanation_document
from hotsync.cli.look import status_document
from hotsync.cli.render import report_document
from hotsync.config.schema import read_settings
from hotsync.flows.coverage import Drift
from hotsync.flows.explain import Explanation
from hotsync.flows.slave import Done
from hotsync.flows.status_shown import Status
from hotsync.model.changeset import parse_change
from hotsync.model.coverage.findings import Application, Coverage, Finding, Kind
from hotsync.model.drift import Difference, Topic
from hotsync.model.drill import DrillPoint, DrillReport, Stage, point_of
from hotsync.model.entry import Entry
from hotsync.model.explain import Fate, Known, PathAnswer, UnitFacts, explain_unit
from hotsync.model.fence import Tier
from hotsync.model.fence_rehearsal import Outcome, Rehearsed
from hotsync.model.generation import DatasetPoint, Generation
from hotsync.model.identity import Peer, Role, RoleRecord
from hotsync.model.report import Check, Notice, RunReport, Verdict
from hotsync.model.selection import Action, Rule
from hotsync.replica.history import Change
from hotsync.replica.verify import VerifyReport
from hotsync.state.slave_run import MissingPackage, SlaveRun
from hotsync.system.lock import Owner
from hotsync.system.paths import Paths
from hotsync.transport.presence import Presence

PAGE = (Path(__file__).resolve().parents[2] / "docs/formats.md").read_text()

FENCE = Rehearsed(Tier.SSH, "old-master", 1.0, Outcome.FAILED, "Permission denied", "Give it a key.")


def section(title: str) -> str:
    return PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def keys_of(document: object) -> Iterator[str]:
    """Return every key of a document, also of what it holds (figures are free)."""
    if isinstance(document, dict):
        for name, value in document.items():
            yield name
            if name != "figures":
                yield from keys_of(value)
    elif isinstance(document, list):
        for item in document:
            yield from keys_of(item)


def lacking(document: object, title: str) -> list[str]:
    text = section(title)
    assert text, title
    return sorted(name for name in set(keys_of(document)) if not re.search(rf"`(?:\w+\.)?{name}`", text))


REPORT = RunReport(
    "hotsync",
    1.0,
    2.0,
    8,
    "It failed.",
    "replica",
    "Do it.",
    3,
    (Notice("code", "Sentence.", "srv/\udcff"),),
    {"entries": 1.0},
)


def test_every_key_of_the_status_is_described() -> None:
    settings, _ = read_settings({})
    status = Status(
        host="slave",
        now=10.0,
        role=RoleRecord(Role.SLAVE, 1, 2),
        settings=settings,
        peer=Peer("master", "192.0.2.1", "", ""),
        presence=Presence(),
        newest=Generation(1, "0", 1, 1.0, 1.0, 1.0, datasets=(DatasetPoint("facts", 1.0),)),
        last_run=REPORT,
        next_run=11.0,
        slave_run=SlaveRun(1.0, 1, checks=(Check("name", "title", Verdict.RED),)),
        muted=("cron.service",),
        warnings=("Look.",),
        running=Owner(1, 1.0),
        coverage=Coverage(1.0, 7),
        drills=(DrillPoint(1.0, 1, Verdict.RED, "why", 20.0, 600.0),),
        fences=(FENCE,),
    )
    assert lacking(status_document(status), "`hotsync status --json`") == []


def test_every_key_of_a_drill_is_described() -> None:
    check, stage = Check("name", "title", Verdict.RED), Stage("name", "title", 1.0)
    report = DrillReport(1.0, 2.0, 1, (check,), (stage,), ("hardware",), ("note",), 20.0, 600.0, (FENCE,))
    assert lacking(drill_document(report, (point_of(report),)), "`hotsync drill --json`") == []
    assert lacking(fences_document((FENCE,), (check,)), "`hotsync drill --fences --json`") == []


def test_every_key_of_the_doctors_document_is_described() -> None:
    assert lacking(doctor_document((Check("name", "title", Verdict.RED),)), "`hotsync doctor --json`") == []


def test_every_key_and_kind_of_the_coverage_is_described() -> None:
    findings = (Finding(Kind.DATA, "/data/\udcff", "reason"), Finding(Kind.DATABASE, "MariaDB", "reason"))
    found = Coverage(1.0, 7, findings, (Application("base", "Base", ("all",)),))
    title = "`hotsync coverage --json`"
    assert lacking(coverage_document(found), title) == []
    assert [kind.value for kind in Kind if f"`{kind.value}`" not in section(title)] == []


def test_every_key_and_topic_of_the_drift_is_described() -> None:
    found = Drift(1.0, (Difference(Topic.UNIT, "a.service", "enabled", "", True, "why"),))
    title = "`hotsync coverage --json`"
    assert lacking(drift_document(found), title) == []
    assert [topic.value for topic in Topic if f"`{topic.value}`" not in section(title)] == []


def test_every_key_of_an_explanation_is_described() -> None:
    rule = Rule("/srv", Action.INCLUDE, "profile base")
    answer = PathAnswer("/srv/\udcff", Fate.CARRIED, rule, (rule,), (rule,))
    unit = UnitFacts("cron.service", profiles=(("cron", "mute"),))
    told = Explanation(Role.MASTER, ((answer, Known()),), ((explain_unit(unit), unit),))
    assert lacking(explanation_document(told), "`hotsync explain --json`") == []


def test_every_key_of_a_runs_record_is_described() -> None:
    assert lacking(report_document(REPORT), "`hotsync --json`") == []


def test_every_key_of_a_run_of_the_slave_is_described() -> None:
    missing = (MissingPackage("apache2", "no repository of this server has it"),)
    run = SlaveRun(1.0, 1, missing, missing, (Check("name", "title", Verdict.RED),))
    assert lacking(slave._document(Done(REPORT, run)), "`hotsync-slave --json`") == []


def test_every_key_of_a_generation_is_described() -> None:
    title = "`hotsync history --json`, `hotsync diff --json`, `hotsync verify --json`"
    generation = Generation(1, "0", 1, 1.0, 1.0, 1.0, datasets=(DatasetPoint("facts", 1.0),))
    assert lacking(past.generation_document(generation), title) == []
    text = section(title)
    assert [change.value for change in Change if f"`{change.value}`" not in text] == []
    held = {field.name for field in fields(VerifyReport)} | {"what", "faults", "differences", "old", "new"}
    assert sorted(name for name in held if f"`{name}`" not in text) == []


def test_the_lines_of_a_changeset_on_the_page_are_canonical() -> None:
    lines = re.findall(r"^\{.*\}$", section("Changesets"), re.MULTILINE)
    assert [parse_change(line.encode() + b"\n").path for line in lines] == ["srv/files/plan.ods", "srv/files/old.ods"]


def test_every_field_of_an_entry_is_described() -> None:
    assert [field.name for field in fields(Entry) if f"`{field.name}`" not in section("Changesets")] == []


@pytest.mark.parametrize("name", [name for name, value in vars(Paths).items() if isinstance(value, property)])
def test_every_place_of_the_program_is_on_the_page(name: str) -> None:
    place = str(getattr(Paths(), name))
    assert place in section("What lies where") or place.startswith(("/run/hotsync/", "/var/lib/hotsync/spool/"))


def test_the_contents_name_every_part_once_and_in_order() -> None:
    entries = re.findall(r"^(\d+)\. (\[.*)$", PAGE, re.MULTILINE)
    assert [int(number) for number, _ in entries] == list(range(1, len(entries) + 1))
    named = [title for _, links in entries for title in re.findall(r"\[(.+?)\]\(#", links)]
    assert named == re.findall(r"^## (.+)$", PAGE, re.MULTILINE)


def test_no_key_of_the_status_is_described_twice() -> None:
    keys = re.findall(r"^\| (`.+?) \|", section("`hotsync status --json`"), re.MULTILINE)
    assert len(keys) == len(set(keys)) > 20
