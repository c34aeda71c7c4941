"""The intervals of HotSync's timers, as drop-ins for systemd."""

from __future__ import annotations

from hotsync.backends.units import DRILL_TIMER, MASTER_TIMER, SLAVE_TIMER
from hotsync.config.schema import Settings
from hotsync.system import files
from hotsync.system.paths import Paths

DAY = 24 * 60
# not on the full hour, when everything else starts, too
FIRST = {MASTER_TIMER: 5, SLAVE_TIMER: 12}


def render_calendar(every: int, first: int) -> list[str]:
    """Given an interval and the first minute of the day, return systemd's calendar expressions for it."""
    hours: dict[int, list[int]] = {}
    for minute in range(first % every, DAY, every):
        hours.setdefault(minute // 60, []).append(minute % 60)
    groups: dict[tuple[int, ...], list[int]] = {}
    for hour, minutes in hours.items():
        groups.setdefault(tuple(minutes), []).append(hour)
    return [
        f"*-*-* {'*' if len(group) == 24 else _numbers(group)}:{_numbers(minutes)}:00"
        for minutes, group in groups.items()
    ]


def _numbers(numbers: list[int] | tuple[int, ...]) -> str:
    return ",".join(f"{number:02}" for number in numbers)


def render_interval(every: int, first: int) -> str:
    """Given an interval in minutes, return the drop-in of a timer."""
    return _drop_in(render_calendar(every, first))


def render_time(at: str) -> str:
    """Given a time of day (HH:MM), return the drop-in of a timer that elapses then."""
    return _drop_in([f"*-*-* {at}:00"])


def _drop_in(expressions: list[str]) -> str:
    lines = [f"OnCalendar={expression}\n" for expression in expressions]
    return "# Written by signal-event nethserver-hotsync-save.\n[Timer]\nOnCalendar=\n" + "".join(lines)


def write_intervals(paths: Paths, settings: Settings) -> list[str]:
    """Write the drop-in of each timer whose times differ from what is there; return these timers."""
    changed: list[str] = []
    wanted = {
        MASTER_TIMER: render_interval(settings.interval_minutes, FIRST[MASTER_TIMER]),
        SLAVE_TIMER: render_interval(settings.slave_interval_minutes, FIRST[SLAVE_TIMER]),
        DRILL_TIMER: render_time(settings.drill_at),
    }
    for timer, text in wanted.items():
        path = paths.at(f"/etc/systemd/system/{timer}.d/interval.conf")
        content = text.encode()
        if not path.exists() or path.read_bytes() != content:
            path.parent.mkdir(parents=True, exist_ok=True)
            files.write_atomic(path, content)
            changed.append(timer)
    return changed
