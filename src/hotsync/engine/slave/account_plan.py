"""The MASTER's accounts as the replica has them, and what gives them their numbers on this host."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from hotsync.backends.accounts import LocalAccounts
from hotsync.engine.replica_tree import read_text
from hotsync.engine.slave.foreign import read_foreign
from hotsync.model.accounts.moves import Account, NumberPlan, parse_groups, parse_users, plan_numbers
from hotsync.model.accounts.numbers import NO_FOREIGN, Foreign
from hotsync.model.accounts.sub_ids import SubRange, parse_sub_ids, plan_sub_ids
from hotsync.system.paths import Paths


@dataclass(frozen=True, slots=True)
class MasterAccounts:
    """Users and groups by name, sub-ids, and numbers that mean somebody without an account."""

    users: Mapping[str, Account] = field(default_factory=dict[str, Account])
    groups: Mapping[str, Account] = field(default_factory=dict[str, Account])
    sub_users: tuple[SubRange, ...] = ()
    sub_groups: tuple[SubRange, ...] = ()
    foreign: Foreign = NO_FOREIGN


def read_master_accounts(paths: Paths, *, look: bool) -> MasterAccounts:
    """Return the accounts of the last generation; `look` says whether the manifest may be read for owners."""
    tree = paths.replica / "tree"
    users, groups = parse_users(read_text(tree, "etc/passwd")), parse_groups(read_text(tree, "etc/group"))
    sub_users, sub_groups = (parse_sub_ids(read_text(tree, f"etc/{name}")) for name in ("subuid", "subgid"))
    return MasterAccounts(users, groups, sub_users, sub_groups, read_foreign(paths, users, groups, look=look))


def plan_accounts(master: MasterAccounts, accounts: LocalAccounts) -> NumberPlan:
    """Return what gives the MASTER's accounts their numbers here, as this host's accounts are now."""
    plan = plan_numbers(master.users, master.groups, accounts.users(), accounts.groups(), master.foreign)
    users = plan_sub_ids(master.sub_users, accounts.sub_ids("subuid"), master.foreign.users)
    groups = plan_sub_ids(master.sub_groups, accounts.sub_ids("subgid"), master.foreign.groups)
    refused = tuple(dict.fromkeys((*plan.refused, *users.refused, *groups.refused)))
    return replace(plan, refused=refused, sub_users=users.moves, sub_groups=groups.moves)
