"""What steps may call: one protocol a topic, gathered in `Host`; made real in `engine`, in memory in tests."""

from __future__ import annotations

from dataclasses import dataclass

from hotsync.model.ports.accounts import Accounts
from hotsync.model.ports.checks import Checks
from hotsync.model.ports.databases import Databases
from hotsync.model.ports.files import Files
from hotsync.model.ports.network import Network
from hotsync.model.ports.packages import Packages
from hotsync.model.ports.roles import Roles
from hotsync.model.ports.services import Services
from hotsync.model.ports.undo import Undoing

__all__ = [
    "Accounts",
    "Checks",
    "Databases",
    "Files",
    "Host",
    "Network",
    "Packages",
    "Roles",
    "Services",
    "Undoing",
]


@dataclass(frozen=True, slots=True)
class Host:
    """The machine as steps see it. `undo`: there where a promotion is given up."""

    roles: Roles
    network: Network
    accounts: Accounts
    packages: Packages
    files: Files
    databases: Databases
    services: Services
    checks: Checks
    undo: Undoing | None = None
