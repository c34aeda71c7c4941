"""The document of a promotion: kept whole, and valid only for the epoch that was claimed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from hotsync.errors import ConfigError
from hotsync.model.data_age import ServerAge
from hotsync.model.entry import Kind
from hotsync.model.identity import Role, RoleRecord
from hotsync.model.network.values import Address
from hotsync.model.plan import Outcome, StepRecord
from hotsync.model.promotion import ExchangeUnit, How, NetworkChoice, NetworkPlan, Promotion
from hotsync.model.report import Check, Verdict
from hotsync.state import promotion as document
from hotsync.system.paths import Paths

PLAN = NetworkPlan(NetworkChoice.MASTERS, "master", (Address("eth0", "10.77.0.1", 24),), (), ())
UNITS = (ExchangeUnit("srv/caf\udce9", How.COPY, Kind.DIRECTORY, 2**64 - 1, 7),)
PROMOTION = Promotion(3, 41, "d" * 64, 1.5, 1.0, 1.25, PLAN, UNITS, ("srv",), ("ssh.service",))


def test_it_comes_back_as_it_was_with_names_that_are_not_utf_8(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    paths.state.mkdir(parents=True)
    servers = (ServerAge("mariadb/default", 7.5, streamed=True, as_of=9.5), ServerAge("postgresql/15-main"))
    document.save_promotion(paths, replace(PROMOTION, servers=servers))
    record = StepRecord("role.claim:3", "claim", "claim", 1.0, 2.0, Outcome.DONE)
    document.add_record(paths, record, PROMOTION.epoch)
    document.add_record(paths, replace(record, detail="of a later promotion"), PROMOTION.epoch + 2)
    document.add_check(paths, Check("imap", "mail", Verdict.RED, "refused", "look"))
    document.add_check(paths, Check("imap", "mail", Verdict.GREEN))
    document.add_note(paths, "once")
    document.add_note(paths, "once")
    document.set_etc_inode(paths, 99)
    document.set_server(paths, "mariadb/default", lambda age: replace(age, said="it was given up"))
    document.set_copy(paths, UNITS[0].path, 5)
    document.leave_out(paths, ["mariadb/default/shop"])
    document.leave_out(paths, ["mariadb/default/shop", "openldap/slapd"])
    found = document.load_promotion(paths)
    assert found is not None
    assert found.units == UNITS
    assert found.network == PLAN
    assert found.records == (record,)
    assert found.checks == (Check("imap", "mail", Verdict.GREEN),)
    assert found.notes == ("once",)
    assert found.servers == (replace(servers[0], said="it was given up"), servers[1])
    assert found.etc_inode == 99
    assert found.copy_of(UNITS[0].path) == 5
    assert found.without == ("mariadb/default/shop", "openldap/slapd")
    assert set(found.databases_left("mariadb/default")) == {"shop"}
    assert set(found.databases_left("openldap/slapd")) == set()
    assert found.done == {"role.claim:3"}
    assert document.document_path(paths).stat().st_mode & 0o777 == 0o600


def test_a_document_that_was_never_claimed_is_nothing(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    paths.state.mkdir(parents=True)
    slave = RoleRecord(Role.SLAVE, 2)
    assert document.claimed_promotion(paths, slave) is None
    document.save_promotion(paths, PROMOTION)
    assert document.claimed_promotion(paths, slave) is None
    assert document.claimed_promotion(paths, RoleRecord(Role.SLAVE, 2, claim=3)) == PROMOTION
    assert document.unfinished_promotion(paths, RoleRecord(Role.MASTER, 3)) == PROMOTION
    assert document.claimed_promotion(paths, RoleRecord(Role.SLAVE, 3)) is None
    assert document.claimed_promotion(paths, RoleRecord(Role.MASTER, 4)) is None


@pytest.mark.parametrize("text", ["{", "[]", '{"schema": 2}', '{"schema": 1, "epoch": "x"}'])
def test_a_document_that_cannot_be_understood_is_one_sentence(tmp_path: Path, text: str) -> None:
    paths = Paths(tmp_path)
    paths.state.mkdir(parents=True)
    document.document_path(paths).write_text(text)
    with pytest.raises(ConfigError, match=r"promotion\.json"):
        document.load_promotion(paths)
    if text.startswith('{"schema": 2'):
        assert json.loads(text)["schema"] == 2
