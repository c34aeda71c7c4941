"""`hotsync explain` on both sides: lists, links, mounts, databases, generations of a real replica's tree."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path

import pytest
from click.testing import CliRunner

from hotsync.cli.explain import explain_command
from hotsync.model.identity import Role, RoleRecord
from hotsync.model.selection import Action, Rule
from hotsync.sources.frozen.store import Known as FrozenKnown
from hotsync.sources.frozen.store import copy_of
from hotsync.sources.shadows.index import Known, save_index
from hotsync.state.rules import render_rules
from hotsync.state.store import save_role
from hotsync.system import command
from hotsync.system.paths import Paths

pytestmark = pytest.mark.contract


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Paths:
    monkeypatch.setenv("HOTSYNC_ROOT", str(tmp_path))
    return Paths(tmp_path)


def ask(*words: str) -> dict[str, list[dict[str, object]]]:
    done = CliRunner().invoke(explain_command, [*words, "--json"], standalone_mode=False)
    assert done.exception is None, done.exception
    document: dict[str, list[dict[str, object]]] = json.loads(done.output)
    return document


def write_list(paths: Paths, name: str, text: str) -> None:
    file = paths.at(f"/etc/backup-data.d/{name}")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def test_on_a_master_the_line_of_the_list_that_decides_is_named_with_the_rule_that_it_beats(paths: Paths) -> None:
    write_list(paths, "site.exclude", "/srv/music\n")
    answer, other = ask("/srv/music/a.flac", "/data")["paths"]
    assert (answer["fate"], other["fate"]) == ("absent", "unknown")
    assert answer["rule"] == {
        "pattern": "/srv/music", "action": "exclude", "origin": "/etc/backup-data.d/site.exclude:1",
    }  # fmt: skip
    assert answer["beaten"] == [{"pattern": "/srv", "action": "include", "origin": "profile base"}]


def test_a_path_that_leads_through_a_link_is_answered_for_what_it_leads_to(paths: Paths, tmp_path: Path) -> None:
    (tmp_path / "srv/real").mkdir(parents=True)
    (tmp_path / "data").symlink_to(tmp_path / "srv/real")
    (answer,) = ask("/data/file")["paths"]
    assert (answer["path"], answer["asked_as"], answer["fate"]) == ("/srv/real/file", "/data/file", "carried")


def test_a_file_with_a_sound_copy_is_said_to_travel_as_that(paths: Paths, tmp_path: Path) -> None:
    paths.shadows.mkdir(parents=True)
    save_index(paths.shadows / "index.json", [Known("srv/a.db", "sqlite", (None, None, None), False, 1000.0)])
    (answer,) = ask("/srv/a.db")["paths"]
    assert (answer["copy"], answer["copied_at"]) == ("sqlite", "1970-01-01T00:16:40Z")


def test_a_file_of_a_database_in_a_container_is_said_to_travel_as_a_copy_of_one_moment(paths: Paths) -> None:
    copy = copy_of(paths.frozen, "/srv/db")
    copy.tree.mkdir(parents=True)
    copy.confirm(FrozenKnown("/srv/db", "mariadbd in container shop-db", 1000.0, {}))
    inside, beside = ask("/srv/db/ibdata1", "/srv/db-2")["paths"]
    assert (inside["copy"], inside["copied_at"]) == ("container", "1970-01-01T00:16:40Z")
    assert beside["copy"] is None


def test_a_file_of_a_database_that_is_a_service_is_said_to_travel_as_a_copy_of_one_moment(paths: Paths) -> None:
    copy = copy_of(paths.frozen, "/srv/db")
    copy.tree.mkdir(parents=True)
    copy.confirm(FrozenKnown("/srv/db", "influxd of influxdb.service", 1000.0, {}))
    (answer,) = ask("/srv/db/wal/1.wal")["paths"]
    assert (answer["copy"], answer["copied_at"]) == ("service", "1970-01-01T00:16:40Z")


def test_what_is_neither_a_path_nor_a_unit_is_refused_with_a_thing_to_do(paths: Paths) -> None:
    done = CliRunner().invoke(explain_command, ["mariadb", "--json"])
    assert done.exit_code == 2
    assert "neither a path nor a unit" in done.output


def test_on_a_slave_the_rules_are_those_that_came_with_the_generation(paths: Paths) -> None:
    save_role(paths, RoleRecord(Role.SLAVE))
    done = CliRunner().invoke(explain_command, ["/data/app"])
    assert done.exit_code == 3  # it holds nothing yet
    rules = paths.replica / "tree/var/lib/hotsync/spool/rules/rules.json"
    rules.parent.mkdir(parents=True)
    rules.write_bytes(render_rules([Rule("/data/app", Action.INCLUDE, "/etc/backup-data.d/m.include:7")]))
    paths.manifest.touch()
    (answer,) = ask("/data/app/x", "cron.service")["paths"]
    assert answer["fate"] == "carried"
    assert answer["rule"] == {"pattern": "/data/app", "action": "include", "origin": "/etc/backup-data.d/m.include:7"}


def test_what_belongs_to_one_machine_and_what_comes_with_a_promotion_are_told_with_their_reasons(paths: Paths) -> None:
    del paths
    own, later, other = ask("/etc/fstab", "/etc/hostname", "/etc/issue")["paths"]
    assert (own["fate"], own["per_host"]) == ("own", "which disks this machine has, and how they hang together")
    assert later["not_before"] == "two machines must not have one name at the same time"
    assert (other["per_host"], other["not_before"]) == (None, None)
    shown = CliRunner().invoke(explain_command, ["/etc/fstab", "/etc/hostname"], standalone_mode=False).output
    assert "which disks this machine has" in shown
    assert "not before" in shown


def with_systemctl(folder: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    program = folder / "programs/systemctl"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\n{text}\n")
    program.chmod(0o755)
    monkeypatch.setitem(command.ENVIRONMENT, "PATH", f"{program.parent}:{command.ENVIRONMENT['PATH']}")


def test_an_alias_of_a_unit_is_answered_for_what_it_stands_for(
    paths: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`mysql.service` was said not to run on a MASTER with MariaDB, and not to be started."""
    told = "Id=mariadb.service\\nActiveState=active\\nFragmentPath=/lib/systemd/system/mariadb.service\\n"
    listed = "mariadb.service enabled enabled"
    with_systemctl(
        tmp_path,
        monkeypatch,
        f"case $1 in list-unit-files) echo '{listed}';; *) printf '{told}WantedBy=a.target\\n';; esac",
    )
    (answer,) = ask("mysql.service")["units"]
    assert (answer["unit"], answer["on_master"]) == ("mariadb.service", True)
    assert str(answer["promotion"]).startswith("started, since it runs on the MASTER")


def test_where_systemd_gives_no_answer_nothing_is_said_of_what_runs(
    paths: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_systemctl(tmp_path, monkeypatch, "exit 1")
    (answer,) = ask("mariadb.service")["units"]
    assert answer["on_master"] is None
    assert str(answer["promotion"]).startswith("not known")


def test_a_socket_is_not_said_to_be_carried(paths: Paths, tmp_path: Path) -> None:
    (tmp_path / "srv").mkdir()
    with socket.socket(socket.AF_UNIX) as place:
        place.bind(os.fspath(tmp_path / "srv/sock"))
        (answer,) = ask("/srv/sock")["paths"]
    assert (answer["fate"], answer["lies"]) == ("absent", "a socket")
