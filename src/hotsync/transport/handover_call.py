"""The SLAVE's side of a hand-over: one connection to its MASTER, made anew where it broke."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Literal

from hotsync.errors import HotSyncError, PeerUnreachable
from hotsync.system.clock import Clock
from hotsync.transport.dial import Callee, check_clock, dial, hang_up, opening
from hotsync.transport.handover_messages import AskHandOver, HandOverState
from hotsync.transport.messages import Welcome
from hotsync.transport.wire import Channel

_PHASE = "the MASTER was asked to hand over"
NOBODY = "nobody is there, at none of its addresses"
Wish = Literal["begin", "look", "cancel"]


class HandOverCall:
    """Asks the MASTER; `find` returns where it may be reached now, best first; `port` is where it would answer."""

    def __init__(
        self, find: Callable[[], Sequence[Callee]], port: int, clock: Clock, stall_seconds: float, skew: float
    ) -> None:
        self._find = find
        self._port = port
        self._clock = clock
        self._stall = stall_seconds
        self._skew = skew
        self._channel: Channel | None = None
        self.address = ""

    def ask(self, wish: Wish, epoch: int) -> HandOverState:
        """Return how far the MASTER is; raise its own error where it refuses, PeerError where it is not reached."""
        channel = self._channel or self._connect()
        try:
            channel.send(AskHandOver(epoch=epoch, wish=wish), _PHASE)
            return channel.answer(HandOverState, _PHASE)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Hang up; the next question connects anew."""
        channel, self._channel = self._channel, None
        if channel is not None:
            with suppress(HotSyncError, OSError):
                hang_up(channel)

    def _connect(self) -> Channel:
        last: HotSyncError = PeerUnreachable(address="The MASTER", port=self._port, reason=NOBODY)
        for callee in self._find():
            try:
                self._channel = self._greeted(callee)
            except HotSyncError as error:
                last = error
            else:
                self.address = callee.address
                return self._channel
        raise last

    def _greeted(self, callee: Callee) -> Channel:
        channel = dial(callee, self._clock, self._stall)
        try:
            channel.send(opening(callee.ours, "control", self._clock), "it was greeted")
            welcome = channel.answer(Welcome, "it was greeted")
            check_clock(welcome.clock, self._clock, self._skew)
        except BaseException:
            hang_up(channel)
            raise
        return channel
