"""Dialling: who calls whom, with which certificate, and how a connection is opened and hung up."""

from __future__ import annotations

import os
import socket
import ssl
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Literal

from hotsync.errors import ClockSkew, HotSyncError, NotPaired, PeerUnreachable, WrongPeer
from hotsync.model.identity import Role
from hotsync.system.clock import Clock
from hotsync.transport.messages import Open, Welcome, trouble
from hotsync.transport.tls import Identity, connect_tls, fingerprint_of, finish, refused_certificate
from hotsync.transport.wire import Channel

CONNECT_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Ours:
    """Who calls: what every message of this side says of it. `epoch` is the highest that it knows of.

    `interval_minutes` is how often it syncs, which only control connections tell. `released` is the epoch of an undone
    promotion of ours (0: none).
    """

    epoch: int
    role: Role
    host: str
    version: str
    interval_minutes: int = 0
    released: int = 0


@dataclass(frozen=True, slots=True)
class Limits:
    """How long a silence may be, how far the clocks may differ, how much may be sent (KiB/s, 0: no limit)."""

    stall_seconds: float
    clock_skew_seconds: float
    bandwidth: int = 0


@dataclass(frozen=True, slots=True)
class Callee:
    """Whom to call: address and port, who we are, and the certificate that must answer ("" while pairing)."""

    address: str
    port: int
    ours: Ours
    identity: Identity
    fingerprint: str


def dial(
    callee: Callee, clock: Clock, stall_seconds: float, *, show_certificate: bool = True, pairing: bool = False
) -> Channel:
    """Given whom to call, return a channel to exactly that server.

    Raise PeerUnreachable if nobody answers, WrongPeer if another certificate answers (which is told to it), PeerSilent
    if the line stalls, NotPaired if it is not said which must. With `pairing`, which proves it otherwise, any
    certificate passes where none is said.
    """
    if not callee.fingerprint and not pairing:
        raise NotPaired(address=callee.address)
    try:
        raw = socket.create_connection((callee.address, callee.port), timeout=CONNECT_SECONDS)
    except OSError as error:
        reason = error.strerror or str(error)
        raise PeerUnreachable(address=callee.address, port=callee.port, reason=reason) from error
    keep_alive(raw, stall_seconds)
    identity = callee.identity if show_certificate else None
    secured, certificate = connect_tls(raw, callee.address, callee.port, identity)
    explain = partial(refused_certificate, address=callee.address, identity=identity)
    channel = Channel(secured, callee.address, clock, stall_seconds, explain, proven=bool(callee.fingerprint))
    seen = fingerprint_of(certificate)
    if callee.fingerprint and seen != callee.fingerprint:
        wrong = WrongPeer(address=callee.address, seen=seen, pinned=callee.fingerprint)
        with suppress(HotSyncError):
            channel.send(trouble(wrong, callee.ours.epoch), "it was refused")
        finish(secured)
        raise wrong
    return channel


def keep_alive(raw: socket.socket, stall_seconds: float) -> None:
    """Let the kernel find out that a peer is gone, later than we would notice and say so, and send messages at once."""
    raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(stall_seconds * 2000))


def watch_line(sock: socket.socket, stall_seconds: float) -> None:
    """Let the kernel end a connection whose other end has gone for so long, also while nobody has anything to say."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, max(1, round(stall_seconds / 3)))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, max(1, round(stall_seconds / 6)))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(stall_seconds * 1000))


def hang_up(channel: Channel) -> None:
    """Close a channel so that what was said arrives."""
    if isinstance(channel.socket, ssl.SSLSocket):
        finish(channel.socket)
    else:
        channel.socket.close()


def cut(sock: socket.socket) -> None:
    """End a connection that another thread is using: that thread sees it end."""
    with suppress(OSError, ValueError), socket.socket(fileno=os.dup(sock.fileno())) as twin:
        twin.shutdown(socket.SHUT_RDWR)


def opening(
    ours: Ours,
    connection: Literal["control", "bulk", "stream", "pairing"],
    clock: Clock,
    generation: int = 0,
    *,
    again: bool = False,
    stream: str = "",
    link_local: str = "",
) -> Open:
    """Return the first message of a connection; `link_local` is our address on it that stays when others go."""
    role: Literal["master", "slave"] = "master" if ours.role is Role.MASTER else "slave"
    return Open(
        epoch=ours.epoch,
        connection=connection,
        role=role,
        host=ours.host,
        version=ours.version,
        clock=clock.now(),
        generation=generation,
        again=again,
        stream=stream,
        interval_minutes=ours.interval_minutes if connection == "control" and ours.role is Role.MASTER else 0,
        released=ours.released,
        link_local=link_local,
    )


def check_clock(theirs: float, clock: Clock, limit: float) -> None:
    """Raise ClockSkew if the peer's clock differs from ours by more than the limit."""
    difference = abs(theirs - clock.now())
    if difference > limit:
        raise ClockSkew(seconds=round(difference))


def hail(callee: Callee, clock: Clock, stall_seconds: float) -> Welcome:
    """Given whom to call, return how it presents itself and hang up: is it alive, in which role, at which epoch?"""
    channel = dial(callee, clock, stall_seconds)
    try:
        channel.send(opening(callee.ours, "control", clock), "it was greeted")
        return channel.answer(Welcome, "it was greeted")
    finally:
        hang_up(channel)
