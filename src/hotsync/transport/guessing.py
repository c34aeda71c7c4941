"""Makes guessing the pairing password slow: each failed attempt doubles the wait before the next, across restarts."""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from pydantic import TypeAdapter, ValidationError

from hotsync.errors import Busy, PairingSlowed, PeerBusy
from hotsync.model.secret import Secret
from hotsync.system import files, lock
from hotsync.system.clock import Clock
from hotsync.system.paths import Paths

FIRST_DELAY = 5.0
LONGEST_DELAY = 3600.0
LONGEST_WINDOW = 86400.0
_AFTER_DAMAGE = 5


@dataclass(frozen=True, slots=True)
class Attempts:
    """What is remembered of failed attempts. `password_mark` tells whether the password was set anew since.

    Until `open_until`, those that had failed `before` do not count; afterwards they do again.
    """

    schema: int = 1
    failures: int = 0
    last_at: float = 0.0
    password_mark: str = ""
    before: int = 0
    open_until: float | None = None


_ATTEMPTS = TypeAdapter(Attempts)


def wait_of(attempts: Attempts, now: float) -> float:
    """Given what is remembered, return the seconds until the next attempt is allowed (0: now)."""
    failures = counted(attempts, now)
    if failures <= 0:
        return 0.0
    delay = min(FIRST_DELAY * 2.0 ** min(failures - 1, 30), LONGEST_DELAY)
    # a clock set back must not make the wait longer than it can ever be
    return min(max(0.0, attempts.last_at + delay - now), delay)


def counted(attempts: Attempts, now: float) -> int:
    """Given what is remembered, return how many failed attempts count now."""
    # a clock set back must not make the window longer than it can ever be
    left = 0.0 if attempts.open_until is None else attempts.open_until - now
    return attempts.failures + (0 if 0 < left <= LONGEST_WINDOW else attempts.before)


class Guard:
    """Counts attempts. One counts as failed before its outcome is known, so that a crash is no free guess.

    A new password on this server, which only its administrator can set, starts anew.
    """

    def __init__(self, paths: Paths, clock: Clock) -> None:
        self._file = paths.state / "pairing.json"
        self._lock = paths.run / "pairing.lock"
        self._clock = clock

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep attempts one at a time on this host; raise PeerBusy if another is going on."""
        try:
            with lock.held(self._lock, "pairing"):
                yield
        except Busy as error:
            raise PeerBusy(reason="another pairing is going on") from error

    def check(self, password: Secret, address: str) -> None:
        """Raise PairingSlowed if the next attempt must wait."""
        attempts, now = self._load(password), self._clock.now()
        seconds = wait_of(attempts, now)
        if seconds > 0:
            raise PairingSlowed(address=address, failures=counted(attempts, now), seconds=math.ceil(seconds))

    def count(self, password: Secret) -> None:
        """Count an attempt as failed, durably, before anything is said that could prove a guess."""
        attempts = self._load(password)
        mark = attempts.password_mark or _mark(password, os.urandom(16))
        self._save(replace(attempts, failures=attempts.failures + 1, last_at=self._clock.now(), password_mark=mark))

    def forget(self) -> None:
        """Pairing succeeded: nothing counts any more."""
        self._file.unlink(missing_ok=True)

    def open_window(self, minutes: float) -> None:
        """Let the next attempt come at once, and for so long count those only that fail from now on."""
        attempts, now = self._read(), self._clock.now()
        before = attempts.failures + attempts.before
        self._save(replace(attempts, failures=0, before=before, open_until=now + minutes * 60))

    def _read(self) -> Attempts:
        try:
            return _ATTEMPTS.validate_json(self._file.read_bytes())
        except FileNotFoundError:
            return Attempts()
        except (OSError, ValidationError):
            # damaged: the careful answer is a wait, not a fresh start
            attempts = Attempts(failures=_AFTER_DAMAGE, last_at=self._clock.now())
            self._save(attempts)
            return attempts

    def _load(self, password: Secret) -> Attempts:
        attempts = self._read()
        mark = attempts.password_mark
        if mark and mark != _mark(password, bytes.fromhex(mark[:32])):
            return Attempts()
        return attempts

    def _save(self, attempts: Attempts) -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        files.write_atomic(self._file, _ATTEMPTS.dump_json(attempts), mode=0o600)


def _mark(password: Secret, salt: bytes) -> str:
    secret = password.reveal().encode("utf-8", "surrogateescape")
    return salt.hex() + hashlib.scrypt(secret, salt=salt, n=2**14, r=8, p=1, dklen=16).hex()
