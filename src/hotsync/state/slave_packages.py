"""Which packages hotsync-slave has brought: all of their units stay muted. Written before they are installed."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import cast

from hotsync.system import files
from hotsync.system.paths import Paths

SCHEMA = 1


def load_brought(paths: Paths) -> frozenset[str]:
    """Return the names of the packages that hotsync-slave brought or was about to bring."""
    try:
        document: object = json.loads((paths.state / "slave-packages.json").read_bytes())
    except (FileNotFoundError, ValueError):
        return frozenset()
    names = cast("dict[str, object]", document).get("packages") if isinstance(document, dict) else None
    return frozenset(str(name) for name in cast("list[object]", names)) if isinstance(names, list) else frozenset()


def add_brought(paths: Paths, names: Iterable[str]) -> None:
    """Remember packages that are about to be installed."""
    known = load_brought(paths)
    wanted = known | frozenset(names)
    if wanted != known:
        text = json.dumps({"schema": SCHEMA, "packages": sorted(wanted)}, indent=1) + "\n"
        files.write_atomic(paths.state / "slave-packages.json", text.encode(), mode=0o600)
