"""What `hotsync coverage` found last, so that status can tell without looking again."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import cast

from pydantic import TypeAdapter, ValidationError

from hotsync.model.coverage.findings import Coverage
from hotsync.system import files
from hotsync.system.paths import Paths

SCHEMA = 1
_COVERAGE = TypeAdapter(Coverage)


def load_coverage(paths: Paths) -> Coverage | None:
    """Return what was found last; None if nobody looked yet, or if the document is of no use."""
    try:
        document: object = json.loads(paths.coverage.read_bytes())
        fields = dict(cast("dict[str, object]", document)) if isinstance(document, dict) else {}
        return _COVERAGE.validate_python(fields) if fields.pop("schema", None) == SCHEMA else None
    except (FileNotFoundError, ValueError, ValidationError):
        return None


def save_coverage(paths: Paths, found: Coverage) -> None:
    """Make this what was found last."""
    text = json.dumps({"schema": SCHEMA, **asdict(found)}, indent=1) + "\n"
    files.write_atomic(paths.coverage, text.encode("ascii"), mode=0o600)
