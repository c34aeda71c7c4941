"""What a follower says of its standby in the same words, whatever the engine."""

from __future__ import annotations

import os
import pwd
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from hotsync.engine.promotion.loads import data_folder
from hotsync.model.promotion import DatabaseDump
from hotsync.system.paths import Paths


def data_of(paths: Paths, dump: DatabaseDump, owner: str) -> tuple[Path, str]:
    """Given a server's dump, return where its standby's data lies, or would lie, and who owns it: `owner` where there
    is nothing yet, or an account without a name."""
    data = Path(os.path.realpath(paths.at(data_folder(paths.replica / "tree", dump))))
    try:
        return data, pwd.getpwuid(data.stat().st_uid).pw_name
    except (OSError, KeyError):
        return data, owner


class Place(Protocol):
    """Where a standby is, or would be."""

    @property
    def name(self) -> str:
        """Return the dataset's name."""
        ...

    @property
    def server(self) -> str:
        """Return the name of its waiting server."""
        ...

    @property
    def data(self) -> Path:
        """Return its data directory."""
        ...

    @property
    def offered(self) -> bool:
        """Return whether the MASTER offers to stream it, now."""
        ...

    @property
    def is_ours(self) -> bool:
        """Return whether what lies in its place is a copy of the MASTER's that was not promoted."""
        ...


_S = TypeVar("_S", bound=Place)


@dataclass(frozen=True, slots=True)
class OfStandby(Generic[_S]):
    """The part of `standbys.Follower` that only asks the standby."""

    paths: Paths
    standby: _S

    @property
    def name(self) -> str:
        """Return the dataset's name."""
        return self.standby.name

    @property
    def server(self) -> str:
        """Return the name of its waiting server."""
        return self.standby.server

    @property
    def data(self) -> Path:
        """Return its data directory."""
        return self.standby.data

    @property
    def offered(self) -> bool:
        """Return whether the MASTER offers to stream it, now."""
        return self.standby.offered

    @property
    def is_ours(self) -> bool:
        """Return whether what lies in its place is a copy of the MASTER's that was not promoted."""
        return self.standby.is_ours
