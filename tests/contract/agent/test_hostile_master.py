"""A MASTER whose root is hostile: it has the certificate and says what it likes. The SLAVE refuses and serves on."""

from __future__ import annotations

import json
import os
import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from hotsync.agent.places import MAX_CONNECTIONS
from hotsync.errors import HotSyncError, PeerRefused, ProtocolError
from hotsync.model.changeset import EMPTY_DIGEST
from hotsync.transport.dial import dial, hang_up, opening
from hotsync.transport.messages import Alive, BulkReady, GetManifest, StreamBegin, StreamReady, Welcome
from hotsync.transport.presence import load_presence
from hotsync.transport.rsync import RsyncTerms
from hotsync.transport.wire import BYTES_KIND, JSON_KIND, Channel
from tests.contract.agent.pair import Pair, two_hosts, until
from tests.contract.sources.servers import open_folder

pytestmark = pytest.mark.contract

TERMS = {"transfer": "files", "sender": "3.5.0", "symtimes": True, "iconv": True, "stall_seconds": 5}
BEGIN = {
    "type": "begin", "protocol": 1, "epoch": 0, "generation": 1, "base_digest": EMPTY_DIGEST,
    "expected_bytes": 0, "expected_files": 0, "terms": TERMS,
}  # fmt: skip
COMMIT = {
    "type": "commit", "protocol": 1, "epoch": 0, "generation": 1, "digest": EMPTY_DIGEST, "collected_at": 0.0,
}  # fmt: skip


def caller(hosts: Pair) -> Channel:
    callee = hosts.callee(hosts.slave.around.identity.fingerprint)
    return dial(callee, hosts.master.clock, 20)


def greeted(hosts: Pair) -> Channel:
    channel = caller(hosts)
    channel.send(opening(hosts.master.here.ours, "control", hosts.master.clock), "test")
    channel.answer(Welcome, "test")
    return channel


def say(channel: Channel, document: object) -> None:
    frame(channel, JSON_KIND, json.dumps(document).encode())


def frame(channel: Channel, kind: bytes, body: bytes, length: int | None = None) -> None:
    channel.socket.sendall(struct.pack("!cI", kind, len(body) if length is None else length) + body)


def refused(channel: Channel) -> HotSyncError:
    try:
        while True:
            channel.receive_message("test")
    except HotSyncError as error:
        return error
    finally:
        hang_up(channel)


def still_serves(hosts: Pair) -> None:
    with hosts.link() as link:
        assert link.alive().type == "alive"


def without(document: dict[str, object], name: str) -> dict[str, object]:
    return {key: value for key, value in document.items() if key != name}


def terms(**changes: object) -> dict[str, object]:
    return {**BEGIN, "terms": {**TERMS, **changes}}


LIES: dict[str, object] = {
    "a commit before a begin": COMMIT,
    "a welcome from the wrong side": {"type": "welcome", "protocol": 1, "epoch": 0},
    "a message of no known type": {"type": "shell", "protocol": 1, "epoch": 0, "command": "id"},
    "no type": {"protocol": 1, "epoch": 0},
    "no object": [1, 2, 3],
    "an unknown key": {**BEGIN, "path": "/etc"},
    "a generation as a path": {**BEGIN, "generation": "../../etc"},
    "generation zero": {**BEGIN, "generation": 0},
    "a negative generation": {**BEGIN, "generation": -1},
    "a truth for a number": {**BEGIN, "generation": True},
    "a huge number": {**BEGIN, "expected_bytes": 10**40},
    "a digest that is none": {**BEGIN, "base_digest": "zz"},
    "no terms": without(BEGIN, "terms"),
    "an option for rsync": terms(options=["--rsync-path=/bin/sh"]),
    "an option hidden in a version": terms(sender="3.5.0 --daemon"),
    "an option hidden in the compression": terms(compress="zstd --log-file=/etc/passwd"),
    "an option hidden in a number": terms(stall_seconds="5 --daemon"),
    "a transfer of another kind": terms(transfer="files/../.."),
    "a dataset name with a line break": {
        **COMMIT,
        "datasets": [{"name": "a\nroot::0:0:", "taken_at": 0.0}],
    },
    "too many datasets": {**COMMIT, "datasets": [{"name": "a", "taken_at": 0.0}] * 2001},
    "a second open": {
        "type": "open", "protocol": 1, "epoch": 0, "connection": "bulk", "role": "master", "host": "h", "version": "1",
        "clock": 0.0,
    },
    "a pairing in a control connection": {"type": "pair_confirm", "protocol": 1, "epoch": 0, "proof": "00"},
}  # fmt: skip


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES.keys())
def test_a_message_that_is_not_lawful_ends_the_connection_and_nothing_else(paired: Pair, lie: object) -> None:
    channel = greeted(paired)
    say(channel, lie)
    error = refused(channel)
    assert error.code in ("peer.malformed", "peer.refused")
    assert not (paired.slave.paths.replica / "staging").exists() or not os.listdir(
        paired.slave.paths.replica / "staging"
    )
    still_serves(paired)


FIRST: dict[str, Callable[[Channel], None]] = {
    "bytes instead of a message": lambda channel: frame(channel, BYTES_KIND, b"x"),
    "a frame of no kind": lambda channel: frame(channel, b"X", b"x"),
    "a frame that claims four gigabytes": lambda channel: frame(channel, JSON_KIND, b"{}", 2**32 - 1),
    "a first message beyond its limit": lambda channel: frame(channel, JSON_KIND, b" " * 65537),
    "no JSON": lambda channel: frame(channel, JSON_KIND, b"\xff\xfe{"),
    "JSON that is nested without end": lambda channel: frame(channel, JSON_KIND, b"[" * 60000),
    "a name as a host": lambda channel: say(
        channel,
        {
            "type": "open", "protocol": 1, "epoch": 0, "connection": "control", "role": "master",
            "host": "../../etc/passwd", "version": "1", "clock": 0.0,
        },
    ),
    "control characters in a version": lambda channel: say(
        channel,
        {
            "type": "open", "protocol": 1, "epoch": 0, "connection": "control", "role": "master",
            "host": "h", "version": "1\x1b[2J", "clock": 0.0,
        },
    ),
}  # fmt: skip


@pytest.mark.parametrize("lie", FIRST.values(), ids=FIRST.keys())
def test_a_first_frame_that_is_not_lawful_is_refused(paired: Pair, lie: Callable[[Channel], None]) -> None:
    channel = caller(paired)
    lie(channel)
    assert refused(channel).code == "peer.malformed"
    still_serves(paired)


def test_an_error_cannot_put_control_characters_into_the_log(paired: Pair, caplog: pytest.LogCaptureFixture) -> None:
    channel = greeted(paired)
    say(
        channel,
        {"type": "error", "protocol": 1, "epoch": 0, "code": "peer", "sentence": "x\nroot logged in", "facts": {}},
    )
    with pytest.raises(HotSyncError):
        channel.receive_message("test")
    hang_up(channel)
    until(lambda: "Refused" in caplog.text, "the refusal is logged")
    assert "root logged in" not in caplog.text
    still_serves(paired)


def test_a_bulk_connection_needs_a_generation_that_was_begun(paired: Pair) -> None:
    channel = caller(paired)
    channel.send(opening(paired.master.here.ours, "bulk", paired.master.clock, 7), "test")
    with pytest.raises(PeerRefused, match="was not begun"):
        channel.answer(BulkReady, "test")
    hang_up(channel)


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("postgresql/15-main", "peer.refused"),
        ("", "peer.refused"),
        ("mariadb", "peer.malformed"),
        ("postgresql/../../x", "peer.malformed"),
        ("postgresql/15-a/b", "peer.malformed"),
        ("postgresql/15-..", "peer.malformed"),
    ],
)
def test_a_stream_of_a_server_that_is_in_no_generation_is_not_served(paired: Pair, name: str, code: str) -> None:
    channel = caller(paired)
    first = opening(paired.master.here.ours, "control", paired.master.clock)
    channel.send(first.model_copy(update={"connection": "stream", "stream": name}), "test")
    assert refused(channel).code == code
    assert not paired.slave.paths.streams.exists()
    still_serves(paired)


@pytest.fixture
def streamable() -> Iterator[Pair]:
    """A SLAVE whose last generation holds a PostgreSQL cluster."""
    # the address of a socket is short
    with open_folder() as root, two_hosts(root) as pair:
        pair.pair()
        folder = pair.slave.paths.replica / "tree/var/lib/hotsync/spool/postgresql/15-main"
        folder.mkdir(parents=True)
        (folder / "cluster.json").write_text("{}")
        yield pair


def test_a_stream_that_says_something_else_than_that_it_is_alive_is_ended(streamable: Pair) -> None:
    for said in (StreamReady(epoch=0), StreamBegin(epoch=0), GetManifest(epoch=0)):
        channel = stream(streamable)
        channel.send(said, "test")
        assert refused(channel).code == "peer.malformed"
    still_serves(streamable)


def test_a_stream_that_does_not_take_up_what_was_begun_keeps_nobody(streamable: Pair) -> None:
    folder = streamable.slave.paths.streams / "15-main"
    channel = stream(streamable)
    until(folder.exists, "a stream waits")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.connect(str(folder / ".s.PGSQL.5432"))
        assert isinstance(channel.receive_message("test"), StreamBegin)
        client.settimeout(20)
        assert client.recv(1) == b""
    assert refused(channel).code == "peer.silent"
    until(lambda: not folder.exists(), "no stream, no socket")
    still_serves(streamable)


def stream(pair: Pair) -> Channel:
    """Open a stream by hand."""
    channel = caller(pair)
    first = opening(pair.master.here.ours, "stream", pair.master.clock, stream="postgresql/15-main")
    channel.send(first, "test")
    return channel


def test_an_interval_of_years_does_not_put_off_the_slaves_alarm(paired: Pair) -> None:
    channel = caller(paired)
    first = opening(paired.master.here.ours, "control", paired.master.clock)
    channel.send(first.model_copy(update={"interval_minutes": 10**6}), "test")
    assert refused(channel).code == "peer.malformed"
    assert load_presence(paired.slave.paths).interval_minutes <= 1440
    still_serves(paired)


def test_a_staging_that_is_a_link_is_not_entered(paired: Pair, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir(mode=0o700)
    source = tmp_path / "source"
    source.mkdir()
    (source / "file").write_text("x")
    (tmp_path / "list").write_bytes(b"file\0")
    (tmp_path / "planned").write_bytes(b"")
    with paired.link() as link:
        link.begin(1, EMPTY_DIGEST, tmp_path / "planned", 0, 1)
        paired.slave.store.staging(1).rmdir()
        paired.slave.store.staging(1).symlink_to(outside)
        with pytest.raises(ProtocolError, match="the receiver did not start"):
            link.send(1, source, tmp_path / "list", lambda _: None)
    assert os.listdir(outside) == []


def test_a_message_in_the_middle_of_a_changeset_is_refused(paired: Pair) -> None:
    channel = greeted(paired)
    say(channel, BEGIN)
    frame(channel, BYTES_KIND, b"{}\n")
    channel.send(Alive(epoch=0, role="master", clock=0.0), "test")
    assert refused(channel).code == "peer.malformed"
    still_serves(paired)


def test_a_changeset_without_end_is_cut_at_its_limit(paired: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hotsync.agent.session.MAX_CHANGESET", 1_000_000)
    channel = greeted(paired)
    say(channel, BEGIN)
    with suppress(HotSyncError):
        for _ in range(100):
            channel.send_bytes(b"x" * 100_000, "test")
    hang_up(channel)
    assert paired.slave.refused_with("peer.malformed")
    still_serves(paired)


def test_bytes_that_are_not_rsyncs_leave_the_receiver_with_nothing(paired: Pair, tmp_path: Path) -> None:
    (tmp_path / "planned").write_bytes(b"")
    with paired.link() as link:
        link.begin(1, EMPTY_DIGEST, tmp_path / "planned", 0, 0)
        channel = caller(paired)
        channel.send(opening(paired.master.here.ours, "bulk", paired.master.clock, 1), "test")
        channel.answer(BulkReady, "test")
        channel.socket.sendall(os.urandom(100_000))
        while channel.socket.recv(65536):
            pass
        hang_up(channel)
    assert os.listdir(paired.slave.store.staging(1)) == []
    still_serves(paired)


def test_more_connections_than_there_are_places_are_turned_away(paired: Pair) -> None:
    with ExitStack() as stack:
        for _ in range(MAX_CONNECTIONS):
            stack.enter_context(greeted(paired).socket)
        assert refused(caller(paired)).code == "peer.busy"
    until(lambda: _can_connect(paired), "a place is free again")


def _can_connect(hosts: Pair) -> bool:
    try:
        still_serves(hosts)
    except HotSyncError:
        return False
    return True


def test_terms_say_all_that_is_in_a_command_line() -> None:
    assert set(RsyncTerms.model_fields) == {
        "transfer", "sender", "symtimes", "iconv", "compress", "told", "stall_seconds", "bandwidth",
    }  # fmt: skip
