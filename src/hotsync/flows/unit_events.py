"""What a unit of ours tells whoever follows it: a JSON object a line, the last one how it ended."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hotsync.system.clock import Clock


@dataclass(frozen=True, slots=True)
class Ended:
    """How a unit ended; `error` as `--json` prints errors, None if it came to its end."""

    exit_code: int
    sentence: str
    error: dict[str, Any] | None


def ended(event: dict[str, Any]) -> Ended:
    """Given the last event of a unit, return it as a value."""
    return Ended(int(event["ended"]), str(event["sentence"]), event.get("error"))


def follow(path: Path, is_running: Callable[[], bool], clock: Clock, look_seconds: float) -> Iterator[dict[str, Any]]:
    """Return the events that a unit writes to this file, from the first, until it has ended and no more come."""
    position, last_round = 0, False
    while True:
        try:
            data = path.read_bytes()[position:]
        except FileNotFoundError:
            data = b""
        whole = data[: data.rfind(b"\n") + 1]
        position += len(whole)
        for line in whole.splitlines():
            event: dict[str, Any] = json.loads(line)
            yield event
            if "ended" in event:
                return
        if last_round:
            return
        last_round = not is_running()
        if not last_round:
            clock.sleep(look_seconds)
