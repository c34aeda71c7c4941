"""What a test keeps of a server's databases while they are loaded: in a file, which outlives a death."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from hotsync.sources.documents import CLUSTER, INSTANCE, MariadbInstance, PostgresqlCluster, digests, load
from hotsync.sources.source import Loaded


@dataclass
class Records:
    """The digest of each database that a load made ("": nobody knows what it holds), and what was told of the last."""

    file: Path
    told: list[str] = field(default_factory=list[str])
    known: dict[str, str] = field(default_factory=dict[str, str])

    @property
    def databases(self) -> dict[str, str]:
        found: dict[str, str] = json.loads(self.file.read_text()) if self.file.exists() else {}
        return found

    def loaded(self, folder: Path, more: Callable[[], bool] = lambda: True) -> Loaded:
        """What to load `folder` with."""
        if (folder / INSTANCE).exists():
            self.known = digests(load(folder / INSTANCE, MariadbInstance))
        else:
            self.known = digests(load(folder / CLUSTER, PostgresqlCluster))
        self.told = []
        # by name: a test may have the calls die
        return Loaded(self.databases, lambda name: self.begin(name), lambda name: self.done(name), more)

    def begin(self, name: str) -> None:
        self._keep(name, "")
        self.told.append(f"begin {name}")

    def done(self, name: str) -> None:
        self._keep(name, self.known[name])
        self.told.append(f"done {name}")

    def forget(self, name: str) -> None:
        """Let nobody know what a database holds."""
        self._keep(name, "")

    def _keep(self, name: str, digest: str) -> None:
        self.file.write_text(json.dumps({**self.databases, name: digest}))
