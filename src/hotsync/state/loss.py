"""The loss statement as it lies on disk: on the MASTER what its watch saw last, on the SLAVE what it was told last."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import cast

from pydantic import TypeAdapter, ValidationError

from hotsync.model.loss import LossStatement
from hotsync.system import files

SCHEMA = 1
_LOSS = TypeAdapter(LossStatement)


def load_loss(path: Path) -> LossStatement | None:
    """Return what was stated last; None if nothing was, or if the document is of no use."""
    try:
        document: object = json.loads(path.read_bytes())
        fields = dict(cast("dict[str, object]", document)) if isinstance(document, dict) else {}
        return _LOSS.validate_python(fields) if fields.pop("schema", None) == SCHEMA else None
    except (OSError, ValueError, ValidationError):
        return None


def save_loss(path: Path, statement: LossStatement) -> None:
    """Make this what was stated last; raise OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    files.write_atomic(path, json.dumps({"schema": SCHEMA, **asdict(statement)}).encode("ascii"), mode=0o600)
