"""The fences as they were tried last, on disk (fences.json)."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import cast

from pydantic import TypeAdapter, ValidationError

from hotsync.model.fence_rehearsal import Rehearsed
from hotsync.system import files
from hotsync.system.paths import Paths

SCHEMA = 1
_RESULTS = TypeAdapter(tuple[Rehearsed, ...])


def save_fences(paths: Paths, results: Iterable[Rehearsed]) -> None:
    """Make these the results that are known; raise OSError."""
    fields = cast("list[object]", _RESULTS.dump_python(tuple(results), mode="json"))
    text = json.dumps({"schema": SCHEMA, "fences": fields}, indent=1) + "\n"
    files.write_atomic(paths.fences, text.encode(), mode=0o600)


def load_fences(paths: Paths) -> tuple[Rehearsed, ...]:
    """Return what is known; nothing if nothing was tried yet, or the document cannot be read."""
    try:
        document: object = json.loads(paths.fences.read_bytes())
        fields = cast("dict[str, object]", document) if isinstance(document, dict) else {}
        return _RESULTS.validate_python(fields.get("fences", ())) if fields.get("schema") == SCHEMA else ()
    except (OSError, ValueError, ValidationError):
        return ()
