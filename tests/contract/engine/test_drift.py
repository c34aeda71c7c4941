"""A SLAVE compares itself with what its MASTER told: real facts of this host, changed where they are to differ."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from hotsync.cli.coverage import coverage_command
from hotsync.manifest.store import Manifest
from hotsync.model.facts import AccountFact, MasterFacts, PackageFact, SysctlFact, UnitFact
from hotsync.model.identity import Role, RoleRecord
from hotsync.sources.facts import read_facts
from hotsync.state.facts import SPOOL_IN_TREE, render_facts
from hotsync.state.store import save_role
from hotsync.system.paths import Paths

pytestmark = pytest.mark.contract


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Paths:
    monkeypatch.setenv("HOTSYNC_ROOT", str(tmp_path))
    paths = Paths(tmp_path)
    for folder in ("etc", "run/hotsync", "var/lib/hotsync/replica", "proc/sys/vm", "lib/modules"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/bash\n")
    (tmp_path / "etc/group").write_text("root:x:0:\n")
    (tmp_path / "proc/sys/vm/overcommit_memory").write_text("0\n")
    (tmp_path / "etc/localtime").symlink_to("/usr/share/zoneinfo/Europe/Rome")
    save_role(paths, RoleRecord(Role.SLAVE, 1, None))
    with Manifest(paths.manifest):
        pass
    return paths


def told(paths: Paths, facts: MasterFacts) -> None:
    folder = paths.replica / "tree" / SPOOL_IN_TREE / "facts"
    folder.mkdir(parents=True)
    for name, data in render_facts(facts).items():
        (folder / name).write_bytes(data)


def ask() -> tuple[int, dict[str, tuple[bool, str, str]]]:
    done = CliRunner().invoke(coverage_command, ["--json"])
    document = json.loads(done.output)
    assert document["role"] == "slave"
    return done.exit_code, {
        each["name"]: (each["matters"], each["master"], each["slave"]) for each in document["differences"]
    }


def test_two_equal_servers_do_not_differ_and_facts_hold_still(paths: Paths) -> None:
    facts = read_facts(paths)
    assert render_facts(read_facts(paths)) == render_facts(facts)
    told(paths, replace(facts, units=()))  # this host's units have their files elsewhere
    assert ask() == (0, {})


def test_what_differs_is_told_and_whether_it_matters(paths: Paths) -> None:
    facts = read_facts(paths)
    unit = paths.replica / "tree/etc/systemd/system/carried.service"
    unit.parent.mkdir(parents=True)
    unit.write_text("")
    quadlet = paths.replica / "tree/etc/containers/systemd/web.container"
    quadlet.parent.mkdir(parents=True)
    quadlet.write_text("")
    told(
        paths,
        replace(
            facts,
            packages=(*facts.packages, PackageFact("not-here", "1", "all")),
            users=(*facts.users, AccountFact("vmail", 5000, 5000)),
            units=(
                UnitFact("carried.service", "", True),
                UnitFact("web.service", "", True),
                UnitFact("unknown.service", "enabled", True),
            ),
            system=replace(
                facts.system,
                timezone="Mars/Olympus",
                sysctl=(SysctlFact("vm.overcommit_memory", "1"), SysctlFact("../../etc/passwd", "x", "/etc/x")),
            ),
        ),
    )
    status, found = ask()
    assert status == 1
    assert found["not-here"] == (True, "1", "")
    assert found["vmail"] == (True, "5000:5000", "")
    assert found["unknown.service"] == (True, "enabled, runs", "")
    assert {"carried.service", "web.service"}.isdisjoint(found)
    assert found["vm.overcommit_memory"] == (True, "1", "0")
    assert found["time zone"] == (True, "Mars/Olympus", "Europe/Rome")
    assert found["../../etc/passwd"] == (False, "x", "")  # a name that the MASTER made up is looked up nowhere
