"""What a stream may say to the MASTER's MariaDB: what a replica says that logs in as ours, whatever way it is cut."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotsync.errors import StreamRefused
from hotsync.sources.mariadb.guard import Guard, error_packet, turned_away

FLAGS = 0x8038A205  # as a replica of 10.11 sends them
SSL, COMPRESSION, DATABASE, STATEMENTS = 0x800, 0x20, 0x8, 0x10000
REPLICA = (
    "SELECT UNIX_TIMESTAMP()",
    "SHOW VARIABLES LIKE 'SERVER_ID'",
    "SET NAMES latin1",
    "SET @master_heartbeat_period= 2000000000",
    "SET @master_binlog_checksum= @@global.binlog_checksum",
    "SELECT @master_binlog_checksum",
    "SET @mariadb_slave_capability=4",
    "SELECT @@GLOBAL.gtid_domain_id",
    "SET @slave_connect_state='0-77-3,1-5-12'",
    "SET @slave_connect_state=''",
    "SET @slave_gtid_strict_mode=0",
    "SET @slave_gtid_ignore_duplicates=0",
)


def packet(body: bytes, sequence: int = 0) -> bytes:
    return len(body).to_bytes(3, "little") + bytes((sequence,)) + body


def login(
    user: str = "hotsync_stream", flags: int = FLAGS, plugin: str = "mysql_native_password", own: int = 0
) -> bytes:
    head = flags.to_bytes(4, "little") + (2**30).to_bytes(4, "little") + b"\x08" + bytes(19) + own.to_bytes(4, "little")
    return packet(head + user.encode() + b"\0\x14" + b"x" * 20 + plugin.encode() + b"\0\x03_os\x05linux", 1)


def query(text: str) -> bytes:
    return packet(b"\x03" + text.encode())


REGISTER = packet(b"\x15" + bytes(18))
DUMP = packet(b"\x12" + (4).to_bytes(4, "little") + bytes(2) + (78).to_bytes(4, "little") + b"hotsync-bin.000001")
ALL = login() + b"".join(map(query, REPLICA)) + REGISTER + DUMP + packet(b"\x01")


@given(st.lists(st.integers(1, len(ALL) - 1)))
def test_what_a_replica_says_passes_as_it_came_however_it_is_cut(cuts: list[int]) -> None:
    guard, passed, before = Guard(), b"", 0
    for cut in [*sorted(cuts), len(ALL)]:
        passed += guard.sieve(ALL[before:cut])
        before = cut
    assert passed == ALL


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (login("root"), "logs in as 'root'"),
        (login(""), "logs in as ''"),
        (login(flags=FLAGS | SSL), "encryption"),
        (packet(((FLAGS | SSL).to_bytes(4, "little")) + bytes(28), 1), "encryption"),
        (login(flags=FLAGS | COMPRESSION), "compression"),
        (login(flags=FLAGS | DATABASE), "the wishes 0x8"),
        (login(flags=FLAGS | STATEMENTS), "the wishes 0x10000"),
        (login(flags=FLAGS & ~0x200), "malformed"),
        (login(flags=FLAGS, own=2), "malformed"),
        (login(flags=FLAGS & ~1, own=2), "malformed"),
        (login(plugin="dialog"), "logs in by 'dialog'"),
        (packet(b"\x05\xa2\x38\x80", 1), "malformed"),
        (login()[:-1] + b"x", None),
        (query("SELECT UNIX_TIMESTAMP()"), "out of its turn"),
        (login() + packet(b"x" * 20, 3), "out of its turn"),
        (login() + query("SELECT 1"), "the statement 'SELECT 1'"),
        (login() + query("SET @slave_connect_state='0-1-1'; SELECT 1"), "the statement"),
        (login() + query("SET NAMES utf8 COLLATE x"), "the statement"),
        (login() + query("SELECT UNIX_TIMESTAMP()\n"), "the statement"),
        (login() + packet(b"\x11root\0"), "the command 0x11"),
        (login() + packet(b"\x02mysql"), "the command 0x02"),
        (login() + packet(b"\x16SELECT 1"), "the command 0x16"),
        (login() + packet(b"\x12" + bytes(3)), "an odd way"),
        (login() + packet(b"\x12" + bytes(4) + b"\x04\0" + bytes(4)), "an odd way"),
        (login() + packet(b""), "is empty"),
        (login() + b"\xff\xff\xff\0", "too long"),
        ((16 * 1024 + 1).to_bytes(3, "little") + b"\x01", "too long"),
        (login() + DUMP + query("SELECT UNIX_TIMESTAMP()"), "while changes are sent"),
    ],
)
def test_whatever_else_is_said_ends_the_stream_before_the_server_sees_it(said: bytes, reason: str | None) -> None:
    if reason is None:
        assert Guard().sieve(said) == said  # attributes are anybody's words
        return
    with pytest.raises(StreamRefused, match=reason):
        Guard().sieve(said)


def test_what_is_too_long_is_refused_before_it_is_there() -> None:
    guard = Guard()
    assert guard.sieve(login()) == login()
    with pytest.raises(StreamRefused, match="too long"):
        guard.sieve((16 * 1024 + 1).to_bytes(3, "little") + b"\0")


def test_a_refusal_answers_the_packet_that_was_refused() -> None:
    guard = Guard()
    with pytest.raises(StreamRefused):
        guard.sieve(login("root"))
    assert guard.refusal("no") == error_packet("no", 2)
    assert error_packet("no", 2) == b"\x0b\0\0\x02\xff\xcb\x04#42000no"
    assert turned_away("down") == b"\x07\0\0\0\xff\x1d\x04down"
