"""The MASTER's numbers, should hotsync-slave not have given them yet: the Accounts port of a promotion."""

from __future__ import annotations

from hotsync.backends.accounts import LocalAccounts
from hotsync.engine.slave.account_plan import plan_accounts, read_master_accounts
from hotsync.model.accounts.moves import NumberPlan
from hotsync.system.paths import Paths


class PromotionAccounts:
    """The accounts of this host, compared with those in the replica's tree."""

    def __init__(self, paths: Paths) -> None:
        self._paths = paths
        self._accounts = LocalAccounts(paths)

    def take_numbers(self) -> None:
        """Finish a move that was cut, then move what is still in the way of the MASTER's numbers."""
        self._accounts.finish()
        self._accounts.apply(self._plan())

    @property
    def differ(self) -> bool:
        """Return whether an account of this host has to move (new ones come with the prepared /etc)."""
        return self._accounts.unfinished or self._plan().moves

    def _plan(self) -> NumberPlan:
        return plan_accounts(read_master_accounts(self._paths, look=False), self._accounts)
