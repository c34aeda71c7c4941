"""Steps on files: the tree moves into production."""

from __future__ import annotations

from dataclasses import dataclass

from hotsync.model.plan import Phase
from hotsync.model.ports import Host
from hotsync.model.promotion import How


@dataclass(frozen=True, slots=True)
class MarkTreeLive:
    """Say in the manifest that the tree is on its way into production."""

    phase: Phase = Phase.DATA
    key: str = "files.live"
    title: str = "close the replica: its tree goes into production"

    def apply(self, host: Host) -> None:
        """Do it."""
        host.files.mark_live()


@dataclass(frozen=True, slots=True)
class Exchange:
    """Move one unit into place."""

    path: str
    how: How = How.EXCHANGE
    phase: Phase = Phase.DATA

    @property
    def key(self) -> str:
        """Return the name in the journal."""
        return f"files.exchange:{self.path}"

    @property
    def title(self) -> str:
        """Return what it does."""
        if self.how is How.ASIDE:
            return f"set this server's own /{self.path} aside"
        if self.how is How.COPY:
            return f"copy /{self.path} into place (it lies on another file system)"
        return f"exchange /{self.path}"

    def apply(self, host: Host) -> None:
        """Do it."""
        host.files.exchange(self.path)


@dataclass(frozen=True, slots=True)
class SetFolders:
    """Give the MASTER's attributes to the folders that stayed in place."""

    count: int
    phase: Phase = Phase.DATA
    key: str = "files.folders"

    @property
    def title(self) -> str:
        """Return what it does."""
        return f"set owner, mode and attributes of {self.count} folders that stay in place"

    def apply(self, host: Host) -> None:
        """Do it."""
        host.files.set_folders()


@dataclass(frozen=True, slots=True)
class PrepareEtc:
    """Build the prepared /etc."""

    phase: Phase = Phase.DATA
    key: str = "files.prepare-etc"
    title: str = "prepare /etc: the MASTER's, with what belongs to this machine"

    def apply(self, host: Host) -> None:
        """Do it."""
        host.files.prepare_etc()


@dataclass(frozen=True, slots=True)
class ExchangeEtc:
    """Exchange the prepared /etc with the live one."""

    phase: Phase = Phase.DATA
    key: str = "files.exchange-etc"
    title: str = "exchange /etc"

    def apply(self, host: Host) -> None:
        """Do it."""
        host.files.exchange_etc()


@dataclass(frozen=True, slots=True)
class SetAttributes:
    """Set the file attributes that the replica cannot hold."""

    count: int
    phase: Phase = Phase.OWNERSHIP
    key: str = "files.attributes"

    @property
    def title(self) -> str:
        """Return what it does."""
        return f"set the file attributes (chattr, projects of quotas) of {self.count} paths"

    def apply(self, host: Host) -> None:
        """Do it."""
        host.files.set_attributes()


@dataclass(frozen=True, slots=True)
class SetQuotas:
    """Set the MASTER's limits of users, groups and projects."""

    count: int
    phase: Phase = Phase.OWNERSHIP
    key: str = "files.quotas"

    @property
    def title(self) -> str:
        """Return what it does."""
        return f"set the quotas of {self.count} users, groups and projects"

    def apply(self, host: Host) -> None:
        """Do it."""
        host.files.set_quotas()


@dataclass(frozen=True, slots=True)
class RestoreLabels:
    """Label what moved into place by this machine's own SELinux policy."""

    phase: Phase = Phase.DATA
    key: str = "files.labels"
    title: str = "label everything that moved into place by this server's SELinux policy"

    def apply(self, host: Host) -> None:
        """Do it."""
        host.files.restore_labels()


@dataclass(frozen=True, slots=True)
class MakeAnew:
    """Make something anew from files that were carried, as a profile asks for it."""

    name: str
    make: str
    paths: tuple[str, ...] = ()
    phase: Phase = Phase.DATA

    @property
    def key(self) -> str:
        """Return the name in the journal."""
        return f"files.rebuild:{self.name}"

    @property
    def title(self) -> str:
        """Return what it does."""
        return f"make anew: {' '.join((self.make, *self.paths))}"

    def apply(self, host: Host) -> None:
        """Do it."""
        host.files.rebuild(self.make, self.paths)
