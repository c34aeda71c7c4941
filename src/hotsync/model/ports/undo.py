"""What the steps of an undo may call."""

from __future__ import annotations

from typing import Protocol


class Undoing(Protocol):
    """This host, as far as giving a promotion up goes. Doing any of it again is fine; raise HotSyncError or OSError."""

    def begin(self) -> None:
        """Write down, durably, that the promotion is being undone: from here on no boot starts production."""
        ...

    def stop_production(self) -> None:
        """Let nothing of production run or start any more, but for the database servers."""
        ...

    def give_up_addresses(self) -> None:
        """Take production's addresses away, keeping this server's own."""
        ...

    def dump_databases(self) -> None:
        """Dump what the database servers hold, which nobody reaches any more, into what is kept."""
        ...

    def stop_databases(self) -> None:
        """Let the database servers run no more either."""
        ...

    def note_places(self) -> None:
        """Note what goes back, now that nothing moves any more."""
        ...

    def put_back(self, path: str) -> None:
        """Let production's `path` leave, and this server's own come back."""
        ...

    def set_folders(self) -> None:
        """Give the folders that stayed in place what they had before the promotion."""
        ...

    def own_network(self) -> None:
        """Take this server's own host name and network again, as its files in /etc say."""
        ...

    def reload(self) -> None:
        """Let systemd read this server's own unit files, and kernel and services its settings."""
        ...

    def keep(self) -> None:
        """Copy what production had written aside, with lists of it."""
        ...

    def reopen(self) -> None:
        """Let the replica take generations again; what production touched in it is sent anew."""
        ...

    def become_slave(self) -> None:
        """Release the epoch, and be a SLAVE for good: the commit point."""
        ...

    def finish(self) -> None:
        """Start what ran before the promotion, remove what is left of it, and close the document."""
        ...
