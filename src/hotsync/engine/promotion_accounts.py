"""The MASTER's numbers, should hotsync-slave not have given them yet: the Accounts port of a promotion."""

from __future__ import annotations

from hotsync.backends.accounts import LocalAccounts
from hotsync.engine.foreign import read_foreign
from hotsync.engine.replica_tree import read_text
from hotsync.model.accounts import NumberPlan, parse_groups, parse_users, plan_numbers
from hotsync.system.paths import Paths


class PromotionAccounts:
    """The accounts of this host, compared with those in the replica's tree."""

    def __init__(self, paths: Paths) -> None:
        self._paths = paths
        self._tree = paths.replica / "tree"
        self._accounts = LocalAccounts(paths)

    def take_numbers(self) -> None:
        """Finish a move that was cut, then move what is still in the way of the MASTER's numbers."""
        self._accounts.finish()
        self._accounts.apply(self._plan())

    @property
    def differ(self) -> bool:
        """Return whether an account of this host has to move (new ones come with the prepared /etc)."""
        plan = self._plan()
        return bool(plan.user_moves or plan.group_moves) or self._accounts.unfinished

    def _plan(self) -> NumberPlan:
        users = parse_users(read_text(self._tree, "etc/passwd"))
        groups = parse_groups(read_text(self._tree, "etc/group"))
        foreign = read_foreign(self._paths, users, groups, look=False)
        return plan_numbers(users, groups, self._accounts.users(), self._accounts.groups(), foreign)
