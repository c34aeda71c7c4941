"""How two servers that know one password come to trust each other's certificate: SPAKE2, bound to both certificates.

Whoever listens in, or sits between, gets nothing to test passwords against; one guess costs one conversation, and
conversations become rarer with every one that failed. The proof of each side covers all that was said.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from spake2 import SPAKE2_A, SPAKE2_B, SPAKEError

from hotsync.errors import AlreadyPaired, NotTrusted, ProtocolError, WrongPassword
from hotsync.model.identity import Peer
from hotsync.model.secret import Secret
from hotsync.system.clock import Clock
from hotsync.transport.addresses import link_local, scoped
from hotsync.transport.dial import Callee, Ours, dial, hang_up, opening
from hotsync.transport.guessing import Guard
from hotsync.transport.messages import M, Open, PairConfirm, PairConfirmed, PairReply, PairStart, expect
from hotsync.transport.tls import Identity, fingerprint_of
from hotsync.transport.wire import Channel

_PROTOCOL = b"hotsync pairing 1"
ANSWER_SECONDS = 20.0
_PHASE = "the servers were paired"


@dataclass(frozen=True, slots=True)
class Spoken:
    """All that both sides said; what either proof covers."""

    master_certificate: str
    slave_certificate: str
    opening: Open
    start: PairStart
    reply: PairReply

    def transcript(self) -> bytes:
        """Return it as bytes that are the same on both sides only if both heard the same."""
        parts = (
            _PROTOCOL,
            fingerprint_of(self.master_certificate).encode(),
            fingerprint_of(self.slave_certificate).encode(),
            _canonical(self.opening.model_dump(mode="json")),
            _canonical(self.start.model_dump(mode="json")),
            _canonical(self.reply.model_dump(mode="json")),
        )
        return b"".join(len(part).to_bytes(4, "big") + part for part in parts)


def _canonical(document: dict[str, object]) -> bytes:
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


def identities(master_fingerprint: str, slave_fingerprint: str) -> tuple[bytes, bytes]:
    """Given both fingerprints, return the names under which SPAKE2 knows the MASTER and the SLAVE."""
    return (
        _PROTOCOL + b" master " + master_fingerprint.encode(),
        _PROTOCOL + b" slave " + slave_fingerprint.encode(),
    )


def proofs(key: bytes, spoken: Spoken) -> tuple[str, str]:
    """Given the shared key and what was said, return the proofs of the MASTER and of the SLAVE (hex)."""
    salt = hashlib.sha256(spoken.transcript()).digest()
    keys = HKDF(hashes.SHA256(), 64, salt, _PROTOCOL + b" proofs").derive(key)
    return (
        hmac.digest(keys[:32], b"master" + salt, "sha256").hex(),
        hmac.digest(keys[32:], b"slave" + salt, "sha256").hex(),
    )


@dataclass(frozen=True, slots=True)
class Caller:
    """The MASTER's part: whom to call, the password, and how a proven peer is pinned.

    With `callee.fingerprint` set, only that server may answer.
    """

    callee: Callee
    password: Secret
    pin: Callable[[Peer], None]


def pair(caller: Caller, guard: Guard, clock: Clock, *, by_hand: bool = False) -> Peer:
    """Given whom to call, pair: prove, be proven to, pin the SLAVE, and return it.

    Raise WrongPassword, PairingSlowed, AlreadyPaired, PeerUnreachable and the other PeerErrors; nothing is pinned then.
    A person at the keyboard (`by_hand`) does not wait for what failed on this side.
    """
    with guard.alone():
        if not by_hand:
            guard.check(caller.password, caller.callee.address)
        try:
            return _call(caller, guard, clock, show_certificate=False)
        except AlreadyPaired as error:
            # perhaps it pinned us and its last word was lost: then it believes our certificate, shown by TLS
            try:
                return _call(caller, guard, clock, show_certificate=True)
            except NotTrusted:
                raise error from None


def _call(caller: Caller, guard: Guard, clock: Clock, *, show_certificate: bool) -> Peer:
    callee = caller.callee
    channel = dial(callee, clock, ANSWER_SECONDS, show_certificate=show_certificate, pairing=True)
    try:
        theirs = _certificate_of(channel)
        names = identities(callee.identity.fingerprint, fingerprint_of(theirs))
        exchange = SPAKE2_A(_bytes_of(caller.password), idA=names[0], idB=names[1])
        own, interface = link_local(channel.socket)
        first = opening(callee.ours, "pairing", clock)
        start = PairStart(
            epoch=callee.ours.epoch,
            certificate=callee.identity.certificate,
            link_local=own,
            secret_part=_start(exchange),
        )
        channel.send(first, _PHASE)
        channel.send(start, _PHASE)
        reply = _heard(channel, PairReply)
        key = _finish(exchange, reply.secret_part)
        mine, wanted = proofs(key, Spoken(callee.identity.certificate, theirs, first, start, reply))
        guard.count(caller.password)  # our proof lets whoever answers test the one password that it put into its part
        channel.send(PairConfirm(epoch=callee.ours.epoch, proof=mine), _PHASE)
        try:
            confirmed = _heard(channel, PairConfirmed)
        except AlreadyPaired as error:
            # said that late, it would have us call again and test a second password for it
            raise ProtocolError(reason="it says that it is paired already, after it began to pair") from error
        if not hmac.compare_digest(confirmed.proof, wanted):
            raise WrongPassword(address=callee.address)
        far = scoped(reply.link_local, interface)
        peer = Peer(reply.host, callee.address, fingerprint_of(theirs), theirs, far, clock.now())
        caller.pin(peer)
        guard.forget()
        return peer
    finally:
        hang_up(channel)


@dataclass(frozen=True, slots=True)
class Answerer:
    """The SLAVE's part: who answers, with which password, which certificate is pinned already, how one is pinned."""

    ours: Ours
    identity: Identity
    password: Secret
    known_fingerprint: str
    pin: Callable[[Peer], None]


def answer(channel: Channel, first: Open, here: Answerer, guard: Guard, clock: Clock) -> Peer:
    """Given a pairing connection whose first message was read, take part in it and return the peer that was pinned.

    Raise WrongPassword if the other side does not know the password, PairingSlowed or PeerBusy if it must wait,
    AlreadyPaired if another certificate is pinned.
    """
    if first.role != "master":
        raise ProtocolError(reason="a SLAVE is paired by its MASTER")
    start = _heard(channel, PairStart)
    try:
        fingerprint = fingerprint_of(start.certificate)
    except ValueError as error:
        raise ProtocolError(reason="the certificate cannot be read") from error
    if here.known_fingerprint and fingerprint != here.known_fingerprint:
        raise AlreadyPaired(address="this server")
    with guard.alone():
        guard.check(here.password, channel.address)
        own, interface = link_local(channel.socket)
        mine = _prove(channel, Heard(first, start, own), here, guard)
        far = scoped(start.link_local, interface)
        peer = Peer(first.host, channel.address, fingerprint, start.certificate, far, clock.now())
        # pinned before the last word: if that is lost, the MASTER asks again and proves itself with this certificate
        here.pin(peer)
        guard.forget()
        channel.send(PairConfirmed(epoch=here.ours.epoch, proof=mine), _PHASE)
        return peer


@dataclass(frozen=True, slots=True)
class Heard:
    """What the MASTER said before the SLAVE spoke, and the SLAVE's own link-local address on that line."""

    first: Open
    start: PairStart
    link_local: str


def _prove(channel: Channel, heard: Heard, here: Answerer, guard: Guard) -> str:
    """Exchange secrets, check the MASTER's proof and return our own; raise WrongPassword."""
    first, start = heard.first, heard.start
    names = identities(fingerprint_of(start.certificate), here.identity.fingerprint)
    exchange = SPAKE2_B(_bytes_of(here.password), idA=names[0], idB=names[1])
    reply = PairReply(
        epoch=here.ours.epoch,
        host=here.ours.host,
        version=here.ours.version,
        link_local=heard.link_local,
        secret_part=_start(exchange),
    )
    key = _finish(exchange, start.secret_part)
    wanted, mine = proofs(key, Spoken(start.certificate, here.identity.certificate, first, start, reply))
    guard.count(here.password)
    channel.send(reply, _PHASE)
    confirm = _heard(channel, PairConfirm)
    if not hmac.compare_digest(confirm.proof, wanted):
        raise WrongPassword(address=channel.address)
    return mine


def _heard(channel: Channel, kind: type[M]) -> M:
    """Return the next message, in time: who has proven nothing does not keep us by saying that it is still working."""
    return expect(channel.receive_message(_PHASE, within=ANSWER_SECONDS), kind)


def _bytes_of(password: Secret) -> bytes:
    return password.reveal().encode("utf-8", "surrogateescape")


def _start(exchange: SPAKE2_A | SPAKE2_B) -> str:
    return cast("bytes", exchange.start()).hex()  # pyright: ignore[reportUnknownMemberType]


def _finish(exchange: SPAKE2_A | SPAKE2_B, part: str) -> bytes:
    try:
        return cast("bytes", exchange.finish(bytes.fromhex(part)))  # pyright: ignore[reportUnknownMemberType]
    except (SPAKEError, ValueError, AssertionError) as error:
        raise ProtocolError(reason="the password exchange is malformed") from error


def _certificate_of(channel: Channel) -> str:
    assert isinstance(channel.socket, ssl.SSLSocket)
    shown = channel.socket.getpeercert(binary_form=True)
    assert shown is not None
    return ssl.DER_cert_to_PEM_cert(shown)
