"""The drill as a unit of its own: started, followed and joined by whoever calls `hotsync drill`, and by the timer.

The unit writes one JSON line for each thing that it says and, last, how it ended; the command only reads.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from hotsync.errors import Busy, DrillFailed, HotSyncError
from hotsync.flows import unit_events
from hotsync.flows.drill import exit_code_of, run_drill
from hotsync.flows.unit_events import Ended
from hotsync.model.drill import DrillReport
from hotsync.system import command, files
from hotsync.system.clock import Clock
from hotsync.system.paths import Paths

UNIT = "hotsync-drill.service"
PATIENCE = 3600.0
"""So long a drill waits for another run of HotSync to end."""

_LOOK_SECONDS = 0.2
_WORKING = ("active", "activating", "reloading")
_ENDING = "deactivating"


def events_path(paths: Paths) -> Path:
    """Return where the unit writes what it does, a JSON object a line."""
    return paths.run / "drill-events"


def _state() -> tuple[str, bool]:
    """Return the state of the unit, and whether it is about to be started or stopped."""
    asked = ["systemctl", "show", "--property=ActiveState,Job", UNIT]
    lines = command.run(asked, ok=range(256)).text.splitlines()
    state = next((line.removeprefix("ActiveState=") for line in lines if line.startswith("ActiveState=")), "")
    return state, any(line.startswith("Job=") and line not in ("Job=", "Job=0") for line in lines)


def is_running() -> bool:
    """Return whether a drill runs on this host now, or is about to begin, or what one has left is taken away."""
    state, waits = _state()
    return state in (*_WORKING, _ENDING) or waits


def start(paths: Paths) -> None:
    """Start the unit, unless it runs; raise CommandFailed if it cannot be started."""
    paths.run.mkdir(parents=True, exist_ok=True)
    if _state()[0] in _WORKING:
        return
    events_path(paths).unlink(missing_ok=True)  # of an earlier one
    command.run(["systemctl", "reset-failed", UNIT], ok=range(256))
    command.run(["systemctl", "start", "--no-block", UNIT])


def run_in_unit(paths: Paths, clock: Clock) -> int:
    """Rehearse, writing what happens; return the exit code. Another run of HotSync is waited for."""
    paths.run.mkdir(parents=True, exist_ok=True)
    files.write_atomic(events_path(paths), b"", mode=0o600)
    with open(events_path(paths), "a", encoding="utf-8") as file:

        def tell(event: dict[str, object]) -> None:
            file.write(json.dumps(event) + "\n")
            file.flush()

        try:
            report = _when_free(paths, clock, lambda text: tell({"said": text}))
        except HotSyncError as error:
            tell({"ended": int(error.exit_code), "sentence": error.sentence, "error": error.to_json()})
            return int(error.exit_code)
        code = int(exit_code_of(report))
        tell({"ended": code, "sentence": report.summary})
        return code


def _when_free(paths: Paths, clock: Clock, say: Callable[[str], None]) -> DrillReport:
    limit, told = clock.monotonic() + PATIENCE, False
    while True:
        try:
            return run_drill(paths, clock, say)
        except Busy as busy:
            if clock.monotonic() > limit:
                raise
            if not told:
                say(f"Waiting: {busy.sentence}")
            told = True
            clock.sleep(_LOOK_SECONDS)


def follow(paths: Paths, show: Callable[[str], None], clock: Clock) -> Ended:
    """Show what the running unit says, from its first word on; return how it ended. Raise DrillFailed if it was cut."""
    for event in unit_events.follow(events_path(paths), is_running, clock, _LOOK_SECONDS):
        if "ended" in event:
            return unit_events.ended(event)
        show(str(event["said"]))
    raise DrillFailed(reason="it was ended in the middle")
