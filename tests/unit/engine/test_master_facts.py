"""What the MASTER told, where a part of it cannot be read: each part has its own consequence."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hotsync.engine.promotion.ground import Ground
from hotsync.engine.promotion.master_facts import (
    check_spool,
    dumps_fault,
    facts_fault,
    read_told,
    rules_fault,
    spool_of_tree,
    unit_of,
    units_here,
)
from hotsync.errors import ReplicaError, RestoreFailed
from hotsync.flows import promote
from hotsync.flows.promote_answers import Answers
from hotsync.model.identity import Role, RoleRecord
from hotsync.model.promotion import DatabaseDump, NetworkPlan, Promotion
from hotsync.state import promotion as document
from hotsync.state import store
from hotsync.system.paths import Paths
from tests.fakes.clock import TickingClock


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    paths = Paths(tmp_path)
    spool_of_tree(paths).mkdir(parents=True)
    return paths


def put(paths: Paths, name: str, text: str) -> None:
    path = spool_of_tree(paths) / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_facts_that_cannot_be_read_say_nothing_against_the_databases(paths: Paths) -> None:
    put(paths, "facts/units.json", "{")
    assert "units.json" in facts_fault(paths)
    assert dumps_fault(paths) == ""
    check_spool(paths)


def test_rules_that_cannot_be_read_say_nothing_against_the_databases_and_stop_a_promotion_that_goes_on(
    paths: Paths,
) -> None:
    put(paths, "rules/rules.json", "{")
    assert "rules.json" in rules_fault(paths)
    assert dumps_fault(paths) == ""
    with pytest.raises(ReplicaError):
        check_spool(paths)


def test_a_master_that_told_no_unit_is_a_fault_of_the_facts(paths: Paths) -> None:
    assert "does not say" in facts_fault(paths)


def test_databases_that_cannot_be_read_are_never_no_databases_when_a_promotion_goes_on(paths: Paths) -> None:
    put(paths, "mariadb/default/instance.json", "{")
    assert dumps_fault(paths)
    store.save_role(paths, RoleRecord(Role.SLAVE, 0, claim=1))
    document.save_promotion(paths, Promotion(1, 7, "d", 1.0, 1.0, 1.0, NetworkPlan(), ()))
    with pytest.raises(RestoreFailed):
        promote.prospect(paths, Answers(), TickingClock())


def test_where_the_master_told_no_unit_its_profiles_say_what_is_started(paths: Paths) -> None:
    status = paths.at("/var/lib/dpkg/status")
    status.parent.mkdir(parents=True)
    status.write_text("Package: nginx\nStatus: install ok installed\n")
    assert Ground(paths).production == ("nginx.service",)


@pytest.mark.parametrize(
    ("told", "unit"),
    [
        ("", "mariadb@second.service"),
        ("nextcloud-db.service", "nextcloud-db.service"),
        ("rh-mariadb105-mariadb@nextcloud.service", "rh-mariadb105-mariadb@nextcloud.service"),
        ("--now.service", "mariadb@second.service"),
        ("a b.service", "mariadb@second.service"),
        ("../x.service", "mariadb@second.service"),
        ("hotsyncd.service", "mariadb@second.service"),
        ("poweroff.target", "mariadb@second.service"),
    ],
)
def test_the_unit_of_a_second_server_is_the_one_that_the_master_tells_if_it_can_be_one(told: str, unit: str) -> None:
    assert unit_of("mariadb", "second", told) == unit


def test_a_redis_server_beside_another_in_one_unit_is_run_by_the_unit_that_the_master_tells() -> None:
    assert unit_of("redis", "supervisor--srv_a.conf", "supervisor.service") == "supervisor.service"
    assert unit_of("redis", "redis-server", "hotsyncd.service") == "redis-server.service"


@pytest.mark.parametrize(
    ("engine", "instance", "unit"),
    [
        ("postgresql", "15-main", "postgresql@15-main.service"),
        ("mariadb", "default", "mariadb.service"),
        ("mariadb", "second", "mariadb@second.service"),
        ("openldap", "slapd", "slapd.service"),
        ("redis", "redis-server%40cache", "redis-server@cache.service"),
        ("redis", "--no-block", "redis.service"),
        ("redis", "srv%2Fmy.conf", "redis.service"),
    ],
)
def test_a_server_is_run_by_the_unit_that_its_name_says(engine: str, instance: str, unit: str) -> None:
    assert unit_of(engine, instance) == unit


def test_the_unit_of_a_newer_cluster_takes_the_place_of_the_masters() -> None:
    dump = DatabaseDump("postgresql", "15-main", "postgresql@17-main.service", "b" * 64, server="17-main")
    same = DatabaseDump("mariadb", "default", "mariadb.service", "a" * 64)
    units = ("cron.service", "postgresql@15-main.service", "mariadb.service")
    there = ["cron.service", "postgresql@17-main.service", "mariadb.service"]
    assert list(units_here(units, (dump, same))) == there


def test_dumps_name_the_cluster_that_serves_them_here(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hotsync.sources.postgresql.newer.installed_versions", lambda: frozenset(("17",)))
    document = {
        "schema": 1, "version": "150018", "digest": "b", "collected_at": 1.0, "databases": [], "roles": [],
        "globals": {"file": "globals.sql", "size": 0, "sha256": ""}, "tablespaces": [],
    }  # fmt: skip
    folder = spool_of_tree(paths) / "postgresql/15-main"
    folder.mkdir(parents=True)
    (folder / "cluster.json").write_text(json.dumps(document))
    (dump,) = read_told(paths).dumps
    assert (dump.instance, dump.served_by, dump.unit) == ("15-main", "17-main", "postgresql@17-main.service")
