"""Steps on databases."""

from __future__ import annotations

from dataclasses import dataclass

from hotsync.model.plan import Phase
from hotsync.model.ports import Host


@dataclass(frozen=True, slots=True)
class LoadDatabases:
    """Load one server's dumps; the digest is part of the key, so that the journal proves *which* dumps are loaded.

    `size` is that of the dumps in bytes: a large load is what takes long in a promotion.
    """

    engine: str
    instance: str
    digest: str
    size: int = 0
    phase: Phase = Phase.DATABASES

    @property
    def key(self) -> str:
        """Return the name in the journal."""
        return f"databases.load:{self.engine}/{self.instance}:{self.digest}"

    @property
    def title(self) -> str:
        """Return what it does."""
        return f"load the databases of {self.engine}/{self.instance}"

    def apply(self, host: Host) -> None:
        """Do it."""
        host.databases.load(self.engine, self.instance, self.digest)


@dataclass(frozen=True, slots=True)
class StartServer:
    """Start a database server, which must be up before its dumps can be loaded."""

    engine: str
    instance: str
    unit: str
    phase: Phase = Phase.DATABASES

    @property
    def key(self) -> str:
        """Return the name in the journal."""
        return f"databases.start:{self.unit}"

    @property
    def title(self) -> str:
        """Return what it does."""
        return f"start {self.unit}"

    def apply(self, host: Host) -> None:
        """Do it."""
        host.databases.start(self.engine, self.instance, self.unit)


@dataclass(frozen=True, slots=True)
class LoadBeforehand:
    """Load what is new of one server's dumps while this SLAVE waits, so that a promotion has little to load."""

    engine: str
    instance: str
    size: int
    phase: Phase = Phase.DATABASES

    @property
    def key(self) -> str:
        """Return the name in the journal."""
        return f"databases.beforehand:{self.engine}/{self.instance}"

    @property
    def title(self) -> str:
        """Return what it does."""
        return f"load the databases of {self.engine}/{self.instance} beforehand ({self.size / 2**20:.0f} MiB of dumps)"

    def apply(self, host: Host) -> None:
        """Do it."""
        host.databases.load_beforehand(self.engine, self.instance)


@dataclass(frozen=True, slots=True)
class TendStandby:
    """Do what a streamed database server needs on this SLAVE; `what` says it in words."""

    engine: str
    instance: str
    what: str
    phase: Phase = Phase.DATABASES

    @property
    def key(self) -> str:
        """Return the name in the journal."""
        return f"databases.standby:{self.engine}/{self.instance}"

    @property
    def title(self) -> str:
        """Return what it does."""
        return self.what

    def apply(self, host: Host) -> None:
        """Do it."""
        host.databases.tend_standby(self.engine, self.instance)
