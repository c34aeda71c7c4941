"""Steps that give a promotion up: one class, since each only calls one method of one port."""

from __future__ import annotations

from dataclasses import dataclass

from hotsync.model.plan import Phase
from hotsync.model.ports import Host
from hotsync.model.ports.undo import Undoing


def _port(host: Host) -> Undoing:
    if host.undo is None:
        raise TypeError("this host undoes nothing")
    return host.undo


@dataclass(frozen=True, slots=True)
class BeginUndo:
    """Write down that the promotion is undone."""

    epoch: int
    phase: Phase = Phase.CLAIM
    key: str = "undo.begin"

    @property
    def title(self) -> str:
        """Return what it does."""
        return f"write down that the promotion to epoch {self.epoch} is undone"

    def apply(self, host: Host) -> None:
        """Do it."""
        _port(host).begin()


@dataclass(frozen=True, slots=True)
class StopProduction:
    """Stop production, but for database servers."""

    boot: str
    phase: Phase = Phase.SERVICES
    title: str = "stop production and hold it; database servers run on"

    @property
    def key(self) -> str:
        """Return the name in the journal: another boot may have started it anew."""
        return f"undo.stop:{self.boot}"

    def apply(self, host: Host) -> None:
        """Do it."""
        _port(host).stop_production()


@dataclass(frozen=True, slots=True)
class GiveUpAddresses:
    """Take production's addresses away."""

    addresses: tuple[str, ...]
    boot: str
    phase: Phase = Phase.NETWORK

    @property
    def key(self) -> str:
        """Return the name in the journal: another boot may have taken them again."""
        return f"undo.addresses:{self.boot}"

    @property
    def title(self) -> str:
        """Return what it does."""
        return f"give the addresses {', '.join(self.addresses)} up"

    def apply(self, host: Host) -> None:
        """Do it."""
        _port(host).give_up_addresses()


@dataclass(frozen=True, slots=True)
class DumpDatabases:
    """Dump what was written into databases."""

    phase: Phase = Phase.DATABASES
    key: str = "undo.dump"
    title: str = "dump the databases into what is kept"

    def apply(self, host: Host) -> None:
        """Do it."""
        _port(host).dump_databases()


@dataclass(frozen=True, slots=True)
class StopDatabases:
    """Stop the database servers, too."""

    boot: str
    phase: Phase = Phase.DATABASES
    title: str = "stop the database servers and hold them"

    @property
    def key(self) -> str:
        """Return the name in the journal: another boot may have started them anew."""
        return f"undo.stop-databases:{self.boot}"

    def apply(self, host: Host) -> None:
        """Do it."""
        _port(host).stop_databases()


@dataclass(frozen=True, slots=True)
class NotePlaces:
    """Note what goes back."""

    phase: Phase = Phase.DATA
    key: str = "undo.note"
    title: str = "note what lies where, now that nothing moves any more"

    def apply(self, host: Host) -> None:
        """Do it."""
        _port(host).note_places()


@dataclass(frozen=True, slots=True)
class PutBack:
    """Let one path go back."""

    path: str
    own: bool
    phase: Phase = Phase.DATA

    @property
    def key(self) -> str:
        """Return the name in the journal."""
        return f"undo.back:{self.path}"

    @property
    def title(self) -> str:
        """Return what it does."""
        return f"put this server's own /{self.path} back" if self.own else f"take production's /{self.path} away"

    def apply(self, host: Host) -> None:
        """Do it."""
        _port(host).put_back(self.path)


@dataclass(frozen=True, slots=True)
class SetOwnFolders:
    """Give folders that stayed in place what they had."""

    phase: Phase = Phase.DATA
    key: str = "undo.folders"
    title: str = "give folders that stayed in place the owner and mode that they had"

    def apply(self, host: Host) -> None:
        """Do it."""
        _port(host).set_folders()


@dataclass(frozen=True, slots=True)
class TakeOwnNetwork:
    """Take this server's own network again."""

    boot: str
    phase: Phase = Phase.NETWORK
    title: str = "take this server's own host name and network again"

    @property
    def key(self) -> str:
        """Return the name in the journal: another boot has read /etc anew, whichever it was."""
        return f"undo.network:{self.boot}"

    def apply(self, host: Host) -> None:
        """Do it."""
        _port(host).own_network()


@dataclass(frozen=True, slots=True)
class ReloadOwn:
    """Let systemd and the kernel read this server's own /etc."""

    boot: str
    phase: Phase = Phase.SERVICES
    title: str = "let systemd and the kernel read this server's own configuration"

    @property
    def key(self) -> str:
        """Return the name in the journal: another boot has read /etc anew, whichever it was."""
        return f"undo.reload:{self.boot}"

    def apply(self, host: Host) -> None:
        """Do it."""
        _port(host).reload()


@dataclass(frozen=True, slots=True)
class KeepAside:
    """Keep what production had written."""

    folder: str
    phase: Phase = Phase.DATA
    key: str = "undo.keep"

    @property
    def title(self) -> str:
        """Return what it does."""
        return f"keep what was written meanwhile in {self.folder}"

    def apply(self, host: Host) -> None:
        """Do it."""
        _port(host).keep()


@dataclass(frozen=True, slots=True)
class ReopenReplica:
    """Let the replica take generations again."""

    phase: Phase = Phase.DATA
    key: str = "undo.reopen"
    title: str = "open the replica: what production has touched in it is sent anew"

    def apply(self, host: Host) -> None:
        """Do it."""
        _port(host).reopen()


@dataclass(frozen=True, slots=True)
class BecomeSlave:
    """Release the epoch and be a SLAVE: the commit point."""

    epoch: int
    phase: Phase = Phase.ROLE
    key: str = "undo.role"

    @property
    def title(self) -> str:
        """Return what it does."""
        return f"become SLAVE again, and release epoch {self.epoch}"

    def apply(self, host: Host) -> None:
        """Do it."""
        _port(host).become_slave()


@dataclass(frozen=True, slots=True)
class FinishUndo:
    """Close the undo."""

    phase: Phase = Phase.ROLE
    key: str = "undo.finish"
    title: str = "start what ran here before, and remove what is left of the promotion"

    def apply(self, host: Host) -> None:
        """Do it."""
        _port(host).finish()
