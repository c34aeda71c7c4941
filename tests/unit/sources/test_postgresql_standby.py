"""A standby's command line, how far it is by which clock, whether a pair can stream, when a copy must be made anew."""

from __future__ import annotations

from pathlib import Path

import pytest

from hotsync.sources.postgresql.fitness import Side, divergence, fitness
from hotsync.sources.postgresql.slot import overrun
from hotsync.sources.postgresql.standby import Standby, Standing, holds, parse_control, render_conninfo, standby_argv

CONTROL = """pg_control version number:            1300
Catalog version number:               202209061
Database system identifier:           7577741126934352837
Latest checkpoint's TimeLineID:       3
Time of latest checkpoint:            Sat Nov 28 18:00:00 2026
wal_level setting:                    replica
wal_log_hints setting:                off
max_connections setting:              250
max_worker_processes setting:         8
max_wal_senders setting:              10
max_prepared_xacts setting:           5
max_locks_per_xact setting:           64
track_commit_timestamp setting:       off
"""
STANDBY = Standby(
    "15-main", "postgres", Path("/var/lib/postgresql/15/main"), Path("/run/hotsync/stream/15-main"),
    Path("/run/hotsync/warm/postgresql@15-main"),
)  # fmt: skip
DEBIAN = Side("15", "x86_64 glibc 2.36")


def standing(**changes: object) -> Standing:
    fields: dict[str, object] = {
        "streaming": True, "replayed": "0/3000148", "unreceived": 0, "last_commit": 1000.0, "told_at": 1010.0,
    }  # fmt: skip
    return Standing.model_validate(fields | changes)


def test_a_control_file_tells_whose_data_it_is_and_what_it_needs() -> None:
    control = parse_control(CONTROL)
    assert (control.system_identifier, control.timeline) == ("7577741126934352837", 3)
    assert control.needed == {
        "max_connections": 250, "max_worker_processes": 8, "max_wal_senders": 10, "max_prepared_transactions": 5,
        "max_locks_per_transaction": 64,
    }  # fmt: skip
    with pytest.raises(ValueError, match="max_wal_senders"):
        parse_control(CONTROL.replace("max_wal_senders", "x"))


def test_the_command_line_has_what_the_master_has_and_nothing_that_runs_a_program() -> None:
    argv = standby_argv(STANDBY, parse_control(CONTROL))
    assert argv[1:3] == ["-D", "/var/lib/postgresql/15/main"]
    given = dict(word.split("=", 1) for word in argv[4::2])
    assert set(argv[3::2]) == {"-c"}
    assert given["max_connections"] == "250"
    assert given["max_prepared_transactions"] == "5"
    assert given["primary_slot_name"] == "hotsync"
    for setting in (
        "listen_addresses", "restore_command", "archive_cleanup_command", "recovery_end_command", "external_pid_file",
        "shared_preload_libraries", "session_preload_libraries", "local_preload_libraries",
        "synchronous_standby_names",
        "promote_trigger_file",
    ):  # fmt: skip
        assert given[setting] == "", setting
    assert (given["archive_mode"], given["logging_collector"], given["ssl"]) == ("off", "off", "off")


def test_only_hotsyncs_own_socket_leads_to_the_master() -> None:
    conninfo = render_conninfo(STANDBY)
    assert "host='/run/hotsync/stream/15-main'" in conninfo
    assert "requirepeer='root'" in conninfo


@pytest.mark.parametrize(
    ("changes", "as_of"),
    [
        ({}, 1010.0),
        ({"unreceived": 1}, 1000.0),
        ({"streaming": False}, 1000.0),
        ({"told_at": 0.0}, 1000.0),
        ({"last_commit": 0.0}, 1010.0),
        ({"last_commit": 0.0, "streaming": False}, 0.0),
    ],
)
def test_a_standby_is_as_of_the_masters_last_word_only_when_it_has_all(
    changes: dict[str, object], as_of: float
) -> None:
    assert standing(**changes).as_of == as_of


def test_the_lag_is_by_the_masters_clock() -> None:
    assert standing().lag(1012.0) == 2.0
    assert standing().lag(1012.0, clock_difference=30.0) == 32.0
    assert standing().lag(1012.0, clock_difference=-30.0) == 0.0


@pytest.mark.parametrize(
    ("master", "slave", "spaces", "said"),
    [
        (DEBIAN, DEBIAN, (), ""),
        (DEBIAN, None, (), "PostgreSQL 15 is not installed here"),
        (DEBIAN, Side("16", DEBIAN.platform), (), "the MASTER's PostgreSQL is 15, the one here 16"),
        (DEBIAN, Side("15", "x86_64 glibc 2.41"), (), "they may sort text differently"),
        (DEBIAN, Side("15", "aarch64 glibc 2.36"), (), "they may sort text differently"),
        (Side("15", ""), DEBIAN, (), "which C library the MASTER has is not known yet"),
        (DEBIAN, DEBIAN, ("fast", "slow"), "it has tablespaces (fast, slow)"),
    ],
)
def test_what_cannot_be_streamed_is_said(master: Side, slave: Side | None, spaces: tuple[str, ...], said: str) -> None:
    found = fitness(master, slave, spaces)
    assert said in found if said else found == ""


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("FATAL:  could not start WAL streaming: ERROR:  requested WAL segment 000000010000000000000003 has "
         "already been removed", "does not have the log any more"),
        ('FATAL:  could not start WAL streaming: ERROR:  replication slot "hotsync" does not exist', "gave up keeping"),
        ('ERROR:  can no longer get changes from replication slot "hotsync"', "gave up keeping"),
        ("FATAL:  database system identifier differs between the primary and standby", "made anew"),
        ("LOG:  new timeline 2 forked off current database system timeline 1 before current recovery point 0/50000A0",
         "different ways"),
        ("FATAL:  highest timeline 1 of the primary is behind recovery timeline 2", "different ways"),
        ("FATAL:  requested starting point 0/5000000 is ahead of the WAL flush position of this server 0/4000000",
         "different ways"),
        ("FATAL:  could not connect to the primary server: connection to server on socket failed", ""),
        ("LOG:  started streaming WAL from primary at 0/3000000 on timeline 1", ""),
        ("FATAL:  terminating walreceiver due to timeout", ""),
    ],
)  # fmt: skip
def test_what_the_server_says_tells_whether_it_can_go_on(line: str, why: str) -> None:
    found = divergence(f"LOG:  something\n2026-11-28 18:00:00 UTC [1] {line}\n")
    assert why in found if why else found == ""


@pytest.mark.parametrize(
    ("kept_mb", "keep_mb", "free_mb", "bound_mb"),
    [
        (1000, 1024, 100_000, None),
        (1025, 1024, 100_000, 1024),
        (300, 1024, 700, 250),
        (249, 1024, 751, None),
        (0, 16, 0, None),
    ],
)
def test_a_slot_keeps_no_more_than_its_bound_and_a_quarter_of_what_is_free(
    kept_mb: int, keep_mb: int, free_mb: int, bound_mb: int | None
) -> None:
    found = overrun(kept_mb << 20, keep_mb, free_mb << 20)
    assert (found.bound >> 20 if found else None) == bound_mb


@pytest.mark.parametrize(
    ("position", "replayed", "held"),
    [
        ("7 0/3000148", "0/3000148", True),
        ("7 0/FFFFFFFF", "1/0", True),
        ("7 1/0", "0/FFFFFFFF", False),
        ("8 0/3000148", "0/3000148", False),
        ("", "0/3000148", False),
        ("7 0/3000148", "", False),
        ("7 nonsense", "0/3000148", False),
        ("7", "0/3000148", False),
    ],
)
def test_a_standby_holds_a_dump_when_it_got_as_far_in_the_same_cluster(
    position: str, replayed: str, held: bool
) -> None:
    assert holds(position, "7", replayed) is held
