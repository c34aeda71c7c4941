"""What a stream may say to the MASTER's server: physical replication as the cluster's owner, whatever way it is cut."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotsync.errors import StreamRefused
from hotsync.sources.postgresql.guard import Guard, check_command, error_response, in_english, read_startup

REPLICATION = {"user": "postgres", "database": "replication", "replication": "true", "application_name": "walreceiver"}


def packet(parameters: dict[str, str], code: int = 3 << 16, more: bytes = b"") -> bytes:
    words = b"".join(word.encode() + b"\0" for pair in parameters.items() for word in pair)
    body = code.to_bytes(4) + words + b"\0" + more
    return (len(body) + 4).to_bytes(4) + body


def told(data: bytes, owner: str = "postgres") -> tuple[bytes, bytes]:
    """Return the startup packet that was let through, and what was answered before it."""
    rest, said = [data], bytearray()

    def read(count: int) -> bytes:
        part, rest[0] = rest[0][:count], rest[0][count:]
        assert len(part) == count, "it asks for more than was sent"
        return part

    return read_startup(read, said.extend, owner), bytes(said)


def message(kind: str, body: bytes) -> bytes:
    return kind.encode() + (len(body) + 4).to_bytes(4) + body


def query(text: str) -> bytes:
    return message("Q", text.encode() + b"\0")


@pytest.mark.parametrize("value", ["true", "on", "yes", "1"])
def test_physical_replication_of_the_owner_is_let_through_as_it_came(value: str) -> None:
    sent = packet(REPLICATION | {"replication": value})
    assert told(sent) == (sent, b"")


def test_the_server_is_asked_to_speak_english_besides() -> None:
    assert in_english(packet(REPLICATION)) == packet(REPLICATION | {"lc_messages": "C"})


def test_encryption_is_declined_and_then_the_startup_packet_counts() -> None:
    sent = packet(REPLICATION)
    ask = (8).to_bytes(4) + (80877103).to_bytes(4)
    gss = (8).to_bytes(4) + (80877104).to_bytes(4)
    assert told(gss + ask + sent) == (sent, b"NN")
    with pytest.raises(StreamRefused):
        told(ask * 4)


@pytest.mark.parametrize(
    "parameters",
    [
        {"user": "postgres", "database": "shop"},
        REPLICATION | {"replication": "database"},
        REPLICATION | {"replication": "false"},
        REPLICATION | {"user": "shop"},
        REPLICATION | {"options": "-c session_preload_libraries=/tmp/x.so"},
        REPLICATION | {"session_preload_libraries": "/tmp/x.so"},
        REPLICATION | {"_pq_.anything": "1"},
        {"database": "replication", "replication": "true"},
        {},
    ],
)
def test_whatever_else_a_startup_packet_asks_for_is_refused(parameters: dict[str, str]) -> None:
    with pytest.raises(StreamRefused):
        told(packet(parameters))


@pytest.mark.parametrize(
    "sent",
    [
        packet(REPLICATION, 2 << 16),
        packet(REPLICATION, 80877102),  # a cancel request
        packet(REPLICATION, more=b"user\0shop\0\0"),
        packet(REPLICATION, more=b"\0"),
        (9).to_bytes(4) + (3 << 16).to_bytes(4) + b"x",
        (20_000).to_bytes(4) + bytes(20_000),
        (4).to_bytes(4),
        b"GET / HTTP/1.1\r\n\r\n",
    ],
)
def test_a_malformed_startup_packet_is_refused(sent: bytes) -> None:
    with pytest.raises(StreamRefused):
        told(sent)


def test_a_parameter_that_is_given_twice_is_refused() -> None:
    words = b"user\0postgres\0replication\0true\0replication\0database\0\0"
    body = (3 << 16).to_bytes(4) + words
    with pytest.raises(StreamRefused, match="replication"):
        told((len(body) + 4).to_bytes(4) + body)


NEEDED = [
    "IDENTIFY_SYSTEM",
    "SHOW wal_segment_size",
    "SHOW data_directory_mode",
    "TIMELINE_HISTORY 2",
    'CREATE_REPLICATION_SLOT "hotsync" PHYSICAL (RESERVE_WAL)',
    'CREATE_REPLICATION_SLOT "hotsync" PHYSICAL RESERVE_WAL',
    'START_REPLICATION SLOT "hotsync" 0/3000000 TIMELINE 1',
    "BASE_BACKUP ( LABEL 'pg_basebackup base backup',  CHECKPOINT 'fast',  WAIT 0,  MANIFEST 'yes',  TARGET 'client')",
    "BASE_BACKUP LABEL 'pg_basebackup base backup'  FAST NOWAIT    MANIFEST 'yes' ",
]
REFUSED = [
    "SELECT 1",
    "IDENTIFY_SYSTEM; DROP DATABASE shop",
    "SHOW ALL; SELECT 1",
    "DROP_REPLICATION_SLOT hotsync",
    'CREATE_REPLICATION_SLOT "other" PHYSICAL',
    'CREATE_REPLICATION_SLOT "hotsync" LOGICAL "pgoutput"',
    "START_REPLICATION 0/3000000",
    'START_REPLICATION SLOT "hotsync" LOGICAL 0/0',
    "BASE_BACKUP (TARGET 'server', TARGET_DETAIL '/var/lib/postgresql/x')",
    "BASE_BACKUP ( LABEL 'a', TARGET 'blackhole')",
    "BASE_BACKUP ( LABEL 'a' TARGET_DETAIL '/x', PROGRESS)",
    "UPLOAD_MANIFEST",
    "ALTER SYSTEM SET archive_command = 'x'",
    "",
]


@pytest.mark.parametrize("command", NEEDED)
def test_what_a_base_backup_and_a_standby_say_is_let_through(command: str) -> None:
    check_command(command)
    assert Guard().sieve(query(command)) == query(command)


@pytest.mark.parametrize("command", REFUSED)
def test_other_commands_are_refused(command: str) -> None:
    with pytest.raises(StreamRefused):
        Guard().sieve(query(command))


@given(st.data())
def test_a_conversation_goes_through_byte_for_byte_however_it_is_cut(data: st.DataObject) -> None:
    sent = b"".join(
        [query(command) for command in NEEDED]
        + [message("d", b"r" + bytes(33)), message("d", b""), message("c", b""), message("X", b"")]
    )
    cuts = sorted(data.draw(st.lists(st.integers(0, len(sent)), max_size=40)))
    guard, passed = Guard(), b""
    for start, end in zip([0, *cuts], [*cuts, len(sent)], strict=True):
        passed += guard.sieve(sent[start:end])
    assert passed == sent


@given(st.data())
def test_a_refused_command_never_reaches_the_server_however_it_is_cut(data: st.DataObject) -> None:
    sent = message("d", bytes(10)) + query(data.draw(st.sampled_from(REFUSED)))
    cut = data.draw(st.integers(0, len(sent)))
    guard, passed = Guard(), b""

    def say() -> None:
        nonlocal passed
        for part in (sent[:cut], sent[cut:]):
            passed += guard.sieve(part)

    with pytest.raises(StreamRefused):
        say()
    assert len(passed) <= len(message("d", bytes(10)))


@pytest.mark.parametrize("kind", ["P", "B", "E", "F", "p", "\0"])
def test_messages_of_other_kinds_are_refused(kind: str) -> None:
    with pytest.raises(StreamRefused):
        Guard().sieve(message(kind, b"x\0"))


@pytest.mark.parametrize("sent", [b"Q\0\0\0\3", b"Q\x7f\xff\xff\xff", b"d\x7f\xff\xff\xff", message("Q", b"SHOW a")])
def test_lengths_and_ends_that_cannot_be_are_refused(sent: bytes) -> None:
    with pytest.raises(StreamRefused):
        Guard().sieve(sent)


def test_an_error_is_said_as_a_server_says_it() -> None:
    said = error_response("no\0no")
    assert said[:1] == b"E"
    assert int.from_bytes(said[1:5]) == len(said) - 1
    assert said[5:] == b"SFATAL\0VFATAL\0C28000\0Mno?no\0\0"
