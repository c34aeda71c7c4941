"""What of the MASTER's databases this SLAVE has loaded beforehand, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class WarmServer:
    """What one database server of this SLAVE holds already, and in which state its files were left.

    `databases` are the digests of the dumps that each was loaded from ("": nobody knows what it holds); `digest` is
    that of the server's whole dump ("": not all of it is loaded). `fingerprint` is that of `directory`, with the server
    stopped: whoever started it since has changed it, and nothing here holds any more. `settings` are those of the
    MASTER that decide what its files look like; `own` are databases of this SLAVE's own that are in it (None: it was
    never asked). `handed_over` is the epoch of the promotion that took the directory over (0: none): it alone has
    changed it. `short` is how much was free when the last load would have filled the disk (0: it would not).
    """

    directory: str
    fingerprint: str = ""
    settings: tuple[tuple[str, str], ...] = ()
    databases: Mapping[str, str] = field(default_factory=dict[str, str])
    digest: str = ""
    own: tuple[str, ...] | None = None
    handed_over: int = 0
    short: int = 0


@dataclass(frozen=True, slots=True)
class WarmLoad:
    """One server whose dumps are to be loaded beforehand: where its files are, and how large the dumps are that lack.

    `hindrance` says in words why that cannot be done ("": it can).
    """

    engine: str
    instance: str
    directory: Path
    bytes_left: int = 0
    hindrance: str = ""

    @property
    def name(self) -> str:
        """Return engine and instance as people read them."""
        return f"{self.engine}/{self.instance}"


@dataclass(frozen=True, slots=True)
class Budget:
    """How much a run may load beforehand: minutes (0: nothing at all), and the largest server in bytes."""

    minutes: int
    largest: int
