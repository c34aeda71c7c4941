"""What the sessions of ours say to a PostgreSQL server, by its version."""

from __future__ import annotations

import getpass
from pathlib import Path

import pytest

from hotsync.sources.postgresql.cluster import Login
from hotsync.sources.postgresql.standby import Standby

OLDEST = "-c statement_timeout=0 -c default_transaction_read_only=off -c synchronous_commit=off"
SINCE_9_6 = f"{OLDEST} -c lock_timeout=0 -c idle_in_transaction_session_timeout=0"


@pytest.mark.parametrize(
    ("version", "options"),
    [
        ("", OLDEST),
        ("9.2", OLDEST),
        ("9.3", f"{OLDEST} -c lock_timeout=0"),
        ("9.6", SINCE_9_6),
        ("13", SINCE_9_6),
        ("15", f"{SINCE_9_6} -c idle_session_timeout=0"),
        ("17", f"{SINCE_9_6} -c idle_session_timeout=0 -c transaction_timeout=0"),
    ],
)
def test_a_server_is_told_only_what_its_version_knows(version: str, options: str) -> None:
    login = Login(getpass.getuser(), "/run/postgresql", 5432, version)
    assert login.session == {**login.environment, "PGOPTIONS": options}


def test_a_session_of_replication_sets_nothing() -> None:
    # the MASTER's guard refuses any
    standby = Standby("15-main", getpass.getuser(), Path("/d"), Path("/u"), Path("/f"))
    assert "PGOPTIONS" not in standby.environment
