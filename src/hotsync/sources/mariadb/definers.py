"""Lets the definers of views do everything while views are made.

A view that stands on another view or on a function can only be made where the definer of that one exists and may read
it (seen with 10.11: errors 1449, 1356, 1370). But grants come last, since what is granted must exist; and a server that
is loaded beforehand has none of the MASTER's accounts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from hotsync.errors import CommandFailed
from hotsync.sources.documents import MariadbAccounts
from hotsync.sources.mariadb.accounts import Account
from hotsync.sources.mariadb.client import ask, client, login
from hotsync.sources.source import Dataset
from hotsync.sources.stream import feed

_NAME = "`((?:[^`\\\\\n]|``)*)`"
_USER, _ROLE = re.compile(f"{_NAME}@{_NAME}"), re.compile(_NAME)
_OURS = frozenset(("root", "mysql", "mariadb.sys"))


@contextmanager
def may_do_all(dataset: Dataset, accounts: MariadbAccounts, *, are_made: bool) -> Iterator[None]:
    """Given the MASTER's accounts, let them have all privileges in this block; raise CommandFailed.

    They are made already and have no grants yet, or else those that are not here are made, locked, and dropped again.
    """
    ours = frozenset((*_OURS, login(dataset)[0].casefold()))
    users = [user for user in accounts.users if is_account(user, ours)]
    roles = [role for role in accounts.roles if is_role(role)]
    before, after = "", "".join(f"REVOKE ALL PRIVILEGES, GRANT OPTION FROM {name};\n" for name in (*users, *roles))
    if not are_made:
        rows = ask(dataset, "SELECT User, Host, is_role FROM mysql.user;")
        here = {Account(user, host, kind == "Y").quoted for user, host, kind in rows}
        users, roles = [user for user in users if user not in here], [role for role in roles if role not in here]
        before = "".join(f"CREATE USER IF NOT EXISTS {user} ACCOUNT LOCK;\n" for user in users)
        before += "".join(f"CREATE ROLE IF NOT EXISTS {role};\n" for role in roles)
        after = "".join(f"DROP USER IF EXISTS {user};\n" for user in users)
        after += "".join(f"DROP ROLE IF EXISTS {role};\n" for role in roles)
    _feed(dataset, before + "".join(f"GRANT ALL PRIVILEGES ON *.* TO {name};\n" for name in (*users, *roles)))
    try:
        yield
    except BaseException:
        with suppress(CommandFailed):  # the first failure is the one to tell
            _feed(dataset, after)
        raise
    _feed(dataset, after)


def is_account(quoted: str, ours: frozenset[str]) -> bool:
    """Return whether this is plainly an account, and none that this server lives by."""
    match = _USER.fullmatch(quoted)
    # the server compares names of hosts without regard to case and accents
    return match is not None and (match[1].casefold() not in ours or not any(map(str.isalpha, match[2])))


def is_role(quoted: str) -> bool:
    """Return whether this is plainly a role of the MASTER's."""
    match = _ROLE.fullmatch(quoted)
    return match is not None and match[1].casefold() not in (*_OURS, "public", "")


def _feed(dataset: Dataset, sql: str) -> None:
    # as a load: the names are the MASTER's words, and the client obeys no command in them
    if sql:
        feed(client(dataset, loading=True), [b"SET sql_mode='';\n" + sql.encode("utf-8", "surrogateescape")])
