"""What the administrator was told by mail: remembered also where the disk is full, since that is when it matters.

Each change is written to /run first, which is there until the next boot, then to /var/lib, which survives it. Where
neither takes it, this process remembers.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import cast

from pydantic import TypeAdapter, ValidationError

from hotsync.model.alerts import Alert
from hotsync.system import files, lock
from hotsync.system.paths import Paths

SCHEMA = 1
_ALERTS = TypeAdapter(dict[str, Alert])
_log = logging.getLogger("hotsync.alerts")


class AlertBook:
    """What is open, by matter. Failing to keep it is logged, and never raised: it must not keep a mail back."""

    def __init__(self, paths: Paths) -> None:
        self._places = (paths.run / "alerts.json", paths.state / "alerts.json")
        self._lock = paths.run / "alerts.lock"
        self._only_here: dict[str, Alert | None] = {}

    def get(self, name: str) -> Alert | None:
        """Return what the administrator was told of a matter, or None if nothing is known."""
        return self._only_here[name] if name in self._only_here else self._load().get(name)

    def is_open(self, name: str) -> bool:
        """Return whether the administrator was told of a matter, and not yet that it is over."""
        known = self.get(name)
        return known is not None and known.open

    def set(self, name: str, alert: Alert | None) -> None:
        """Remember what the administrator was told of a matter (None: forget it)."""
        with self._alone():
            alerts = self._load()
            alerts.pop(name, None)
            if alert is not None:
                alerts[name] = alert
            fields = cast("dict[str, object]", _ALERTS.dump_python(alerts, mode="json"))
            document = json.dumps({"schema": SCHEMA, "alerts": fields}).encode()
            kept = [_keep(place, document) for place in self._places]
            if not kept[0]:  # it would be believed before the other
                with suppress(OSError):
                    self._places[0].unlink(missing_ok=True)
        if any(kept):
            self._only_here.pop(name, None)
        else:
            self._only_here[name] = alert

    def _load(self) -> dict[str, Alert]:
        # what lies in /run was written first, so it is never the older one
        for place in self._places:
            with suppress(OSError, ValueError, KeyError, TypeError, ValidationError):
                document = json.loads(place.read_bytes())
                if document["schema"] == SCHEMA:
                    return _ALERTS.validate_python(document["alerts"])
        return {}

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Hold the lock, where there is room for one: hotsyncd and a command may write at once."""
        with ExitStack() as stack:
            with suppress(OSError):
                stack.enter_context(lock.held(self._lock, "note of a mail", wait=True))
            yield


def _keep(place: Path, document: bytes) -> bool:
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        files.write_atomic(place, document, mode=0o600)
    except OSError as error:
        _log.warning("what was mailed cannot be noted in %s: %s", place, error)
        return False
    return True
