"""Which packages hotsync-slave has brought (all of their units stay muted), and which it holds because the MASTER does.

Brought ones are written before they are installed, holds before they are set.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import cast

from hotsync.system import files
from hotsync.system.paths import Paths

SCHEMA = 1


def load_brought(paths: Paths) -> frozenset[str]:
    """Return the names of the packages that hotsync-slave brought or was about to bring."""
    return _load(paths, "packages")


def load_held(paths: Paths) -> frozenset[str]:
    """Return the names of the packages that are held here for the MASTER; what else is held, this server holds."""
    return _load(paths, "held")


def add_brought(paths: Paths, names: Iterable[str]) -> None:
    """Remember packages that are about to be installed."""
    _save(paths, load_brought(paths) | frozenset(names), load_held(paths))


def set_held(paths: Paths, names: Iterable[str]) -> None:
    """Remember which packages are held for the MASTER from now on."""
    _save(paths, load_brought(paths), frozenset(names))


def _load(paths: Paths, key: str) -> frozenset[str]:
    try:
        document: object = json.loads((paths.state / "slave-packages.json").read_bytes())
    except (FileNotFoundError, ValueError):
        return frozenset()
    names = cast("dict[str, object]", document).get(key) if isinstance(document, dict) else None
    return frozenset(str(name) for name in cast("list[object]", names)) if isinstance(names, list) else frozenset()


def _save(paths: Paths, brought: frozenset[str], held: frozenset[str]) -> None:
    if (brought, held) != (load_brought(paths), load_held(paths)):
        document = {"schema": SCHEMA, "packages": sorted(brought), "held": sorted(held)}
        text = json.dumps(document, indent=1) + "\n"
        files.write_atomic(paths.state / "slave-packages.json", text.encode(), mode=0o600)
