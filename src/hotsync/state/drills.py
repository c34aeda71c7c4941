"""The drills as they lie on disk: the last one whole (drill.json), and a line of each (drills.jsonl), bounded."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import cast

from pydantic import TypeAdapter, ValidationError

from hotsync.model.drill import DrillPoint, DrillReport, point_of
from hotsync.system import files
from hotsync.system.paths import Paths

SCHEMA = 1
MOST = 400
"""So many drills are remembered: a year of nights."""

_REPORT = TypeAdapter(DrillReport)
_POINT = TypeAdapter(DrillPoint)


def save_drill(paths: Paths, report: DrillReport) -> None:
    """Make this the last drill, and add it to the trend; raise OSError."""
    trend = (*load_trend(paths), point_of(report))[-MOST:]
    lines = [json.dumps(_POINT.dump_python(point, mode="json")) for point in trend]
    files.write_atomic(paths.drills, ("\n".join(lines) + "\n").encode(), mode=0o600)
    fields = cast("dict[str, object]", _REPORT.dump_python(report, mode="json"))
    text = json.dumps({"schema": SCHEMA, **fields}, indent=1) + "\n"
    files.write_atomic(paths.drill, text.encode(), mode=0o600)


def load_drill(paths: Paths) -> DrillReport | None:
    """Return the last drill; None if none has ended, or its document cannot be read."""
    try:
        document: object = json.loads(paths.drill.read_bytes())
        fields = dict(cast("dict[str, object]", document)) if isinstance(document, dict) else {}
        return _REPORT.validate_python(fields) if fields.pop("schema", None) == SCHEMA else None
    except (OSError, ValueError, ValidationError):
        return None


def load_trend(paths: Paths) -> tuple[DrillPoint, ...]:
    """Return the drills that are remembered, oldest first; a line that cannot be read is left out."""
    try:
        lines: Sequence[str] = paths.drills.read_text().splitlines()
    except (OSError, ValueError):
        return ()
    found: list[DrillPoint] = []
    for line in lines[-MOST:]:
        try:
            found.append(_POINT.validate_json(line))
        except ValidationError:
            continue
    return tuple(found)
