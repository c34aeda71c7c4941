"""What hotsyncd knows of the other server: when it was last seen, what it said, and what was last refused and why.

The full document lives in /run; the moment of the last contact, with what tells how to take it (clocks, interval), also
lies in /var/lib, written rarely, so that a SLAVE that was restarted still knows for how long its MASTER has been quiet.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace

from pydantic import TypeAdapter, ValidationError

from hotsync.errors import HotSyncError
from hotsync.system import files
from hotsync.system.clock import Clock
from hotsync.system.paths import Paths

SCHEMA = 1
RARELY = 300.0


@dataclass(frozen=True, slots=True)
class Refusal:
    """A connection that was turned away, or an attempt of ours that failed: when, with whom, and the error."""

    at: float
    address: str
    code: str
    sentence: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Presence:
    """The peer as this server last knew it; times in seconds since 1970 by this server's clock (0: never).

    `connected`: a control connection with it is open. `epoch`: its epoch, as it last said. `verdict` and `sentence`:
    a SLAVE's readiness. `superseded_by`: the higher epoch that this MASTER heard of. `interval_minutes`: how often a
    MASTER said that it syncs (0: not told).
    """

    schema: int = SCHEMA
    last_seen: float = 0.0
    connected: bool = False
    address: str = ""
    host: str = ""
    version: str = ""
    role: str = ""
    epoch: int = 0
    clock_difference: float = 0.0
    verdict: str = ""
    sentence: str = ""
    superseded_by: int = 0
    interval_minutes: int = 0
    refusal: Refusal | None = None
    trouble: Refusal | None = None


_PRESENCE = TypeAdapter(Presence)


@dataclass(frozen=True, slots=True)
class _LastSeen:
    schema: int = SCHEMA
    last_seen: float = 0.0
    clock_difference: float = 0.0
    interval_minutes: int = 0


_LAST_SEEN = TypeAdapter(_LastSeen)


def load_presence(paths: Paths) -> Presence:
    """Return what is known of the peer; after a restart, when it was last seen. Damage counts as nothing known."""
    durable = _load_last_seen(paths)
    try:
        known = _PRESENCE.validate_json((paths.run / "agent.json").read_bytes())
    except (OSError, ValidationError):
        return Presence(
            last_seen=durable.last_seen,
            clock_difference=durable.clock_difference,
            interval_minutes=durable.interval_minutes,
        )
    return replace(known, last_seen=max(known.last_seen, durable.last_seen))


def _load_last_seen(paths: Paths) -> _LastSeen:
    try:
        return _LAST_SEEN.validate_json((paths.state / "last-seen.json").read_bytes())
    except (OSError, ValidationError):
        return _LastSeen()


class PresenceBook:
    """Keeps the document. Safe to use from several threads; failing to write it never stops the daemon's work."""

    def __init__(self, paths: Paths, clock: Clock, complain: Callable[[str], None]) -> None:
        self._paths = paths
        self._clock = clock
        self._complain = complain
        self._lock = threading.Lock()
        self._now = replace(load_presence(paths), connected=False)
        self._durable_at = 0.0
        self._update()  # a daemon that was killed left "connected" behind

    @property
    def current(self) -> Presence:
        """Return what is known now."""
        return self._now

    def seen(self, **changes: object) -> None:
        """The peer proved to be there: note the moment, and what it said of itself."""
        now = self._clock.now()
        self._update(last_seen=now, **changes)
        if not self._durable_at <= now < self._durable_at + RARELY:
            self.make_durable()

    def served(self, address: str) -> None:
        """The peer is served from this address: what was refused there before is over."""
        if self._now.refusal is not None and self._now.refusal.address == address:
            self._update(refusal=None)

    def gone(self) -> None:
        """The last control connection ended."""
        self._update(connected=False)
        self.make_durable()

    def refused(self, address: str, error: HotSyncError) -> None:
        """Remember what was turned away and why."""
        self._update(refusal=self._refusal(address, error))

    def troubled(self, address: str, error: HotSyncError | None) -> None:
        """Remember why the peer cannot be reached or believed; None: it can again."""
        self._update(trouble=None if error is None else self._refusal(address, error))

    def note(self, **changes: object) -> None:
        """Note what is known without having seen the peer."""
        self._update(**changes)

    def make_durable(self) -> None:
        """Write the moment of the last contact where it survives a restart."""
        with self._lock:
            self._durable_at = self._clock.now()
            known = self._now
            lasting = _LastSeen(SCHEMA, known.last_seen, known.clock_difference, known.interval_minutes)
            try:
                files.write_atomic(self._paths.state / "last-seen.json", _LAST_SEEN.dump_json(lasting), mode=0o600)
            except OSError as error:
                self._complain(f"the moment of the last contact cannot be kept: {error}")

    def _refusal(self, address: str, error: HotSyncError) -> Refusal:
        return Refusal(self._clock.now(), address, error.code, error.sentence, error.hint)

    def _update(self, **changes: object) -> None:
        with self._lock:
            self._now = replace(self._now, **changes)  # type: ignore[arg-type]
            try:
                # a reader sees the old or the new document
                files.write_atomic(self._paths.run / "agent.json", _PRESENCE.dump_json(self._now), mode=0o600)
            except OSError as error:
                self._complain(f"{self._paths.run / 'agent.json'} cannot be written: {error}")
