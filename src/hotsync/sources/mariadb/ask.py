"""What is asked of a MariaDB server before it is dumped: may we see all, which views nobody can read, its accounts."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from hotsync.errors import SourceError
from hotsync.sources import documents
from hotsync.sources.documents import ACCOUNTS, MariadbAccounts
from hotsync.sources.mariadb import accounts as mariadb_accounts
from hotsync.sources.mariadb.accounts import Account
from hotsync.sources.mariadb.client import ask, login
from hotsync.sources.mariadb.guard import ACCOUNT
from hotsync.sources.source import Dataset
from hotsync.sources.spool import Digest

EXCLUDED = frozenset({"information_schema", "performance_schema", "sys", "mysql"})
NEEDED = frozenset({"SELECT", "SHOW DATABASES", "SHOW VIEW", "EVENT", "TRIGGER", "LOCK TABLES"})
"""Without one of these a server leaves out what the account may not see, and says nothing."""


_GLOBAL = re.compile(r"GRANT ([A-Z_, ]+) ON \*\.\* TO ")


@dataclass(frozen=True, slots=True)
class Accounts:
    """The accounts of a server: those there are, and the two parts of the file that makes them."""

    all: tuple[Account, ...]
    first: bytes
    second: bytes

    @property
    def text(self) -> bytes:
        """Return the whole file."""
        return self.first + self.second

    def record(self, digest: Digest) -> MariadbAccounts:
        """Return what the document says of them."""
        return MariadbAccounts(
            documents.record(ACCOUNTS, digest),
            len(self.first),
            tuple(account.quoted for account in self.all if not account.is_role),
            tuple(account.quoted for account in self.all if account.is_role),
        )


def check_privileges(dataset: Dataset) -> None:
    """Raise SourceError if the account that we log in with may not see everything."""
    user, host = login(dataset)
    lacking = sorted(NEEDED - privileges_on_all(row[0] for row in ask(dataset, "SHOW GRANTS;")))
    if lacking:
        raise SourceError(
            dataset=dataset.name,
            reason=f"the account {user}@{host} lacks {', '.join(lacking)} on *.*, so that it does not see everything",
            hint=f"GRANT {', '.join(sorted(NEEDED))} ON *.* to it, or let root log in by unix socket.",
        )


def privileges_on_all(grants: Iterable[str]) -> frozenset[str]:
    """Given what SHOW GRANTS answers (of the account and its role), return what is granted on everything."""
    found: set[str] = set()
    for line in grants:
        match = _GLOBAL.match(line)
        found.update(match[1].split(", ") if match else ())
    return NEEDED if "ALL PRIVILEGES" in found else frozenset(found)


def databases_of(dataset: Dataset) -> list[str]:
    """Return the databases to dump; a folder that only looks like one (`lost+found`) is none."""
    names = [row[0] for row in ask(dataset, "SHOW DATABASES;")]
    return sorted(name for name in names if name not in EXCLUDED and not name.startswith("#mysql50#"))


def broken_views(dataset: Dataset, databases: Sequence[str]) -> list[tuple[str, str]]:
    """Return the views that nobody can read (database, view): one of them would end the dump of everything."""
    listed = "SELECT TABLE_SCHEMA, TABLE_NAME FROM information_schema.TABLES WHERE TABLE_TYPE = 'VIEW' ORDER BY 1, 2;"
    views = [(database, view) for database, view in ask(dataset, listed) if database in set(databases)]
    mark = secrets.token_hex(16)
    quote = mariadb_accounts.quote
    asked = "".join(f"SHOW FIELDS FROM {quote(view)} IN {quote(name)};\nSELECT '{mark}';\n" for name, view in views)
    groups = mariadb_accounts.groups_of(ask(dataset, asked, "--force") if views else [], mark)
    if len(groups) != len(views):
        raise ValueError("the server did not answer for every view")
    return [view for view, fields in zip(views, groups, strict=True) if not fields]


def read_accounts(dataset: Dataset) -> Accounts:
    """Return the accounts and grants of a server; raise ValueError or CommandFailed."""
    rows = ask(dataset, "SELECT User, Host, is_role FROM mysql.user ORDER BY is_role, User, Host;")
    # a replica's login is each MASTER's own
    bare = [Account(user, host, is_role == "Y") for user, host, is_role in rows if user != ACCOUNT]
    mark = secrets.token_hex(16)
    answers = ask(dataset, mariadb_accounts.questions(bare, mark))
    accounts = mariadb_accounts.parse_answers(bare, answers, mark)
    return Accounts(tuple(accounts), *mariadb_accounts.render(accounts, login(dataset)))
