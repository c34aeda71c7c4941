"""Somebody answers at the SLAVE's address, or calls from the MASTER's, and has not the certificate of either."""

from __future__ import annotations

import json
import logging
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest
from spake2 import SPAKE2_B

from hotsync.errors import HotSyncError, NotPaired, PeerRefused, ProtocolError
from hotsync.model.identity import Role, RoleRecord
from hotsync.state.hold import held, load_released
from hotsync.state.store import forget_peer, load_role
from hotsync.system.paths import Paths
from hotsync.transport.dial import dial, hail, hang_up, opening
from hotsync.transport.messages import PairConfirm, PairReply, PairStart, Welcome, expect
from hotsync.transport.pairing import identities
from hotsync.transport.presence import load_presence
from hotsync.transport.tls import Identity, accept_tls, connect_tls, fingerprint_of, load_identity
from hotsync.transport.wire import JSON_KIND, Channel, render_frame
from tests.contract.agent.pair import PORT, SLAVE_ADDRESS, Pair, until

pytestmark = pytest.mark.contract

WORDS = "Root logged in: run this program at once."


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hotsync.agent.heartbeat.HEARTBEAT_SECONDS", 0.1)
    monkeypatch.setattr("hotsync.agent.heartbeat._backoff", lambda _: 0.1)
    monkeypatch.setattr("hotsync.agent.daemon.LOOK_SECONDS", 0.1)


def error_frame(code: str, **facts: object) -> bytes:
    body = {"type": "error", "protocol": 1, "epoch": 99, "code": code, "sentence": WORDS, "hint": WORDS, "facts": facts}
    return render_frame(JSON_KIND, json.dumps(body).encode())


class Impostor:
    """Listens at the SLAVE's address with a certificate of its own, and does the same with everybody who comes."""

    def __init__(self, identity: Identity, act: Callable[[Channel, Pair], None], pair: Pair) -> None:
        self.identity = identity
        self.met = 0
        self._act = act
        self._pair = pair
        self._listener = socket.create_server((SLAVE_ADDRESS, PORT))
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                raw, _ = self._listener.accept()
            except OSError:
                return
            with suppress(HotSyncError, OSError):
                secured, _ = accept_tls(raw, self.identity, "", "the MASTER")
                channel = Channel(secured, "the MASTER", self._pair.master.clock, 5)
                try:
                    self._act(channel, self._pair)
                finally:
                    hang_up(channel)
            self.met += 1

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(20)


@contextmanager
def impostor(hosts: Pair, act: Callable[[Channel, Pair], None]) -> Iterator[Impostor]:
    hosts.slave.stop()
    there = Impostor(load_identity(Paths(hosts.master.paths.root.parent / "impostor")), act, hosts)
    try:
        yield there
    finally:
        hosts.master.stop()
        there.close()


def telling(frame: bytes) -> Callable[[Channel, Pair], None]:
    def act(channel: Channel, _: Pair) -> None:
        channel.receive("test")
        channel.receive("test")
        channel.socket.sendall(frame)

    return act


# what a SLAVE may say for good reasons, once it has proven to be one
EPOCHS = {
    "a higher epoch": error_frame("refused.epoch", ours=0, theirs=99),
    "a released epoch": error_frame("peer.released", ours=0, theirs=99),
}


@pytest.mark.parametrize("frame", EPOCHS.values(), ids=EPOCHS.keys())
def test_a_master_that_is_not_paired_yet_is_not_stopped_by_whoever_answers(
    hosts: Pair, frame: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    with impostor(hosts, telling(frame)) as there:
        hosts.master.start()
        until(lambda: there.met >= 2, "the MASTER called twice")
        until(lambda: load_presence(hosts.master.paths).trouble is not None, "it notes why it has no SLAVE")
    assert held(hosts.master.paths) is None
    assert not hosts.master.paths.hold_file.exists()
    assert load_released(hosts.master.paths) == 0
    assert load_role(hosts.master.paths) == RoleRecord(Role.MASTER)
    known = load_presence(hosts.master.paths)
    assert known.superseded_by == 0
    assert known.trouble is not None
    assert known.trouble.code == "peer.refused"
    assert WORDS not in known.trouble.sentence + known.trouble.hint + caplog.text


def test_nor_does_it_stop_the_run_that_pairs(hosts: Pair) -> None:
    with impostor(hosts, telling(EPOCHS["a higher epoch"])), pytest.raises(PeerRefused, match="has not proven"):
        hosts.pair(by_hand=True)
    assert held(hosts.master.paths) is None


def test_once_paired_nobody_else_is_heard_at_all(paired: Pair) -> None:
    with impostor(paired, telling(EPOCHS["a higher epoch"])):
        paired.master.start()
        until(lambda: load_presence(paired.master.paths).trouble is not None, "it notes why it has no SLAVE")
    known = load_presence(paired.master.paths)
    assert known.trouble is not None
    assert (known.trouble.code, known.superseded_by) == ("peer.certificate", 0)
    assert held(paired.master.paths) is None


def test_a_call_that_names_no_certificate_is_none(hosts: Pair) -> None:
    with pytest.raises(NotPaired):
        hail(hosts.callee(""), hosts.master.clock, 5)


def test_an_answerer_gets_one_guess_of_an_attempt_though_it_says_afterwards_that_it_is_paired_already(
    hosts: Pair,
) -> None:
    proofs: list[PairConfirm] = []

    def act(channel: Channel, pair: Pair) -> None:
        channel.receive("test")
        start = expect(channel.receive_message("test"), PairStart)
        names = identities(fingerprint_of(start.certificate), there.identity.fingerprint)
        part: bytes = SPAKE2_B(b"a guess", idA=names[0], idB=names[1]).start()
        reply = PairReply(epoch=0, host="slave", version="1", secret_part=part.hex())
        channel.send(reply, "test")
        proofs.append(expect(channel.receive_message("test"), PairConfirm))
        channel.socket.sendall(error_frame("peer.paired", address="x"))

    with impostor(hosts, act) as there, pytest.raises(ProtocolError):
        hosts.pair(by_hand=True)
    assert len(proofs) == 1


def test_an_answerer_that_is_always_still_working_keeps_nobody(hosts: Pair) -> None:
    working = render_frame(JSON_KIND, b'{"type":"working","protocol":1,"epoch":0}')
    with impostor(hosts, telling(working)), pytest.raises(ProtocolError):
        hosts.pair(by_hand=True)


def stranger(hosts: Pair) -> Channel:
    """Call the SLAVE without a certificate."""
    raw = socket.create_connection((SLAVE_ADDRESS, PORT))
    secured, _ = connect_tls(raw, SLAVE_ADDRESS, PORT, None)
    return Channel(secured, SLAVE_ADDRESS, hosts.master.clock, 20)


LIES = {
    "a made up error": error_frame("peer.refused", reason=WORDS),
    "an error nobody knows": error_frame("x"),
    "a clock": error_frame("peer.clock", seconds=WORDS),
    "a full disk": error_frame("replica.full", reason=WORDS),
    "a higher epoch": error_frame("refused.epoch", ours=0, theirs=99),
    "a key that nobody knows": render_frame(
        JSON_KIND,
        json.dumps({"type": "alive", "protocol": 1, "epoch": 0, "role": "master", "clock": 0.0, WORDS: 1}).encode(),
    ),
}


@pytest.mark.parametrize("frame", LIES.values(), ids=LIES.keys())
@pytest.mark.parametrize("is_paired", [False, True], ids=["unpaired", "paired"])
def test_a_caller_without_certificate_writes_no_words_of_its_own_into_status_or_log(
    hosts: Pair, frame: bytes, is_paired: bool, caplog: pytest.LogCaptureFixture
) -> None:
    if is_paired:
        hosts.pair()
    channel = stranger(hosts)
    with caplog.at_level(logging.DEBUG):
        channel.socket.sendall(frame)
        with pytest.raises(HotSyncError):
            channel.receive_message("test")
        hang_up(channel)
        assert hosts.slave.refused_with("peer.malformed")
    shown = load_presence(hosts.slave.paths).refusal
    assert shown is not None
    assert "Root logged in" not in shown.sentence + shown.hint + caplog.text


def test_nor_in_the_middle_of_a_pairing(hosts: Pair, caplog: pytest.LogCaptureFixture) -> None:
    channel = stranger(hosts)
    channel.send(opening(hosts.master.here.ours, "pairing", hosts.master.clock), "test")
    channel.socket.sendall(error_frame("peer.refused", reason=WORDS))
    assert hosts.slave.refused_with("peer.malformed")
    hang_up(channel)
    assert "Root logged in" not in caplog.text


def test_a_master_that_was_pinned_to_another_certificate_still_says_so(hosts: Pair) -> None:
    channel = stranger(hosts)
    channel.socket.sendall(error_frame("peer.certificate", address=WORDS, seen=WORDS, pinned=WORDS))
    assert hosts.slave.refused_with("peer.untrusted")
    hang_up(channel)
    shown = load_presence(hosts.slave.paths).refusal
    assert shown is not None
    assert "Root logged in" not in shown.sentence + shown.hint


def serving() -> set[threading.Thread]:
    """Return the threads that serve connections of the MASTER's now; that of the pairing may not have ended yet."""
    return {thread for thread in threading.enumerate() if "from 10.77.0.1" in thread.name}


def test_a_master_that_is_forgotten_while_it_is_slow_to_secure_its_connection_is_not_let_in(
    paired: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    # the daemon itself, which would end all connections, does not look meanwhile
    monkeypatch.setattr("hotsync.agent.daemon.LOOK_SECONDS", 15.0)
    threading.Event().wait(0.5)
    callee = paired.callee(paired.slave.around.identity.fingerprint)
    before = serving()
    raw = socket.create_connection((SLAVE_ADDRESS, PORT))
    until(lambda: bool(serving() - before), "the SLAVE serves it")
    threading.Event().wait(0.3)
    forget_peer(paired.slave.paths)
    secured, _ = connect_tls(raw, callee.address, PORT, callee.identity)
    channel = Channel(secured, callee.address, paired.master.clock, 20, proven=True)
    channel.send(opening(callee.ours, "control", paired.master.clock), "test")
    with pytest.raises(NotPaired):
        channel.answer(Welcome, "test")
    hang_up(channel)


def test_nor_does_its_connection_wait_for_that_once_the_daemon_has_looked(paired: Pair) -> None:
    before = serving()
    with socket.create_connection((SLAVE_ADDRESS, PORT), timeout=8) as raw:
        until(lambda: bool(serving() - before), "the SLAVE serves it")
        forget_peer(paired.slave.paths)
        assert raw.recv(1) == b""


def test_the_paired_server_is_believed_as_ever(paired: Pair) -> None:
    channel = dial(paired.callee(paired.slave.around.identity.fingerprint), paired.master.clock, 5)
    assert channel.proven
    channel.send(opening(paired.master.here.ours, "bulk", paired.master.clock, 7), "test")
    with pytest.raises(PeerRefused, match="was not begun"):
        channel.receive_message("test")
    hang_up(channel)
