"""Accounts and grants of a MariaDB server, from what SHOW CREATE USER and SHOW GRANTS answer. Pure: text in, text out.

The file has two parts: accounts (loaded before the databases: definers must exist) and grants (loaded after them: what
is granted must exist). Other accounts are replaced as a whole; the account that HotSync itself logs in with is never
dropped, not even for a moment, since a load that dies there would lock everyone out. It gets the MASTER's login and
keeps the one by unix socket beside it: root of this machine can do everything anyway.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

IMPORT_ROLE = "`hotsync_import`"
SERVERS_OWN = frozenset({("mysql", "localhost"), ("mariadb.sys", "localhost")})
"""Accounts that the server's package makes for itself; they stay each server's own."""

_IDENTIFIED = re.compile(
    r" IDENTIFIED (?:BY PASSWORD '(?P<password>(?:[^'\\]|\\.|'')*)'"
    r"|(?:VIA|WITH) (?P<via>\S+(?: USING '(?:[^'\\]|\\.|'')*')?(?: OR \S+(?: USING '(?:[^'\\]|\\.|'')*')?)*))"
)

_ON_PACKAGE = re.compile(r"GRANT [A-Z, ]+ ON PACKAGE ")


@dataclass(frozen=True, slots=True)
class Account:
    """One account or role with the statements that make it: `create` ("" for roles), and one a grant."""

    user: str
    host: str
    is_role: bool
    create: str = ""
    grants: tuple[str, ...] = ()

    @property
    def quoted(self) -> str:
        """Return the name as SQL has it."""
        if self.is_role:
            return "PUBLIC" if self.is_public else quote(self.user)
        return f"{quote(self.user)}@{quote(self.host)}"

    @property
    def is_public(self) -> bool:
        """Return whether this is everybody, who cannot be created."""
        return self.is_role and self.user.upper() == "PUBLIC"


def quote(name: str) -> str:
    """Return a name as an SQL identifier."""
    return "`" + name.replace("`", "``") + "`"


def questions(accounts: Sequence[Account], mark: str) -> str:
    """Given accounts without statements, return the SQL whose answers `parse_answers` reads; `mark` is random."""
    lines = ["SET sql_mode='', sql_quote_show_create=1;"]
    for account in accounts:
        if not account.is_role:
            lines.append(f"SHOW CREATE USER {account.quoted};")
        lines.append(f"SELECT '{mark}';")
        lines.append(f"SHOW GRANTS FOR {account.quoted};")
        lines.append(f"SELECT '{mark}';")
    return "\n".join(lines) + "\n"


def groups_of(rows: Iterable[Sequence[str]], mark: str) -> list[list[str]]:
    """Given rows with a mark after each answer, return the first column of each answer."""
    groups: list[list[str]] = [[]]
    for row in rows:
        if list(row) == [mark]:
            groups.append([])
        else:
            groups[-1].append(row[0])
    return groups[:-1]


def parse_answers(accounts: Sequence[Account], rows: Iterable[Sequence[str]], mark: str) -> list[Account]:
    """Given the accounts and the answers to `questions`, return them with their statements; raise ValueError."""
    groups = groups_of(rows, mark)
    if len(groups) != 2 * len(accounts):
        raise ValueError("the server did not answer for every account")
    complete: list[Account] = []
    for number, account in enumerate(accounts):
        create, grants = groups[2 * number], groups[2 * number + 1]
        # the server lists grants in the order of its memory, some twice; a default role needs its grant first
        ordered = sorted(set(grants), key=lambda line: (line.startswith("SET "), line))
        complete.append(Account(account.user, account.host, account.is_role, "".join(create[:1]), tuple(ordered)))
    return complete


def render(accounts: Sequence[Account], login: tuple[str, str]) -> tuple[bytes, bytes]:
    """Given all accounts and the one that HotSync logs in with, return the two parts of the file."""
    carried = sorted(
        (account for account in accounts if (account.user, account.host) not in SERVERS_OWN),
        key=lambda account: (account.is_role, account.user, account.host),
    )
    kept = {login, ("root", "localhost")}
    first = [
        "SET sql_mode='', sql_notes=0;",
        f"CREATE OR REPLACE ROLE {IMPORT_ROLE};",
        f"SET ROLE {IMPORT_ROLE};",
    ]
    second = ["SET sql_mode='', sql_notes=0;", f"SET ROLE {IMPORT_ROLE};"]
    for account in carried:
        if account.is_public:
            pass
        elif account.is_role:
            first.append(f"CREATE OR REPLACE ROLE {account.quoted} WITH ADMIN {IMPORT_ROLE};")
        elif (account.user, account.host) in kept:
            first.append(f"CREATE USER IF NOT EXISTS {account.quoted};")
        else:
            first.append(account.create.replace("CREATE USER", "CREATE OR REPLACE USER", 1) + ";")
    for account in carried:
        if (account.user, account.host) in kept and not account.is_role:
            second += [_given(_without_login(grant, account.quoted)) for grant in account.grants]
            second.append(with_unix_socket(account.create.replace("CREATE USER", "ALTER USER", 1)) + ";")
        else:
            second += [_given(grant) for grant in account.grants]
    second += ["SET ROLE NONE;", f"DROP ROLE {IMPORT_ROLE};"]
    return _encode(first), _encode(second)


def with_unix_socket(statement: str) -> str:
    """Given CREATE or ALTER USER, return it with the login by unix socket beside the others."""
    match = _IDENTIFIED.search(statement)
    if match is None or re.search(r"\bunix_socket\b", match[0]):
        return statement
    methods = match["via"] or f"mysql_native_password USING '{match['password']}'"
    return f"{statement[: match.start()]} IDENTIFIED VIA {methods} OR unix_socket{statement[match.end() :]}"


def drops(found: Iterable[tuple[str, str, bool]], users: Iterable[str], roles: Iterable[str], login: str) -> bytes:
    """Given the accounts that a server has (user, host, role?), return the SQL that drops those the MASTER lacks."""
    lines: list[str] = []
    kept_users, kept_roles = {*users, login, "`root`@`localhost`"}, set(roles)
    for user, host, is_role in found:
        account = Account(user, host, is_role)
        if account.is_public or (user, host) in SERVERS_OWN:
            continue
        if is_role and account.quoted not in kept_roles:
            lines.append(f"DROP ROLE IF EXISTS {account.quoted};")
        elif not is_role and account.quoted not in kept_users:
            lines.append(f"DROP USER IF EXISTS {account.quoted};")
    return _encode(lines)


def _given(grant: str) -> str:
    """Given a GRANT without its end, return what gives it: one on a package can only be said in Oracle's words."""
    return f"SET sql_mode=ORACLE;\n{grant};\nSET sql_mode='';" if _ON_PACKAGE.match(grant) else f"{grant};"


def _without_login(grant: str, account: str) -> str:
    """Given a GRANT to an account, return it without what it says about the password."""
    before, to, after = grant.rpartition(f" TO {account}")
    return before + to + _IDENTIFIED.sub("", after, count=1)


def _encode(lines: Iterable[str]) -> bytes:
    return "".join(line + "\n" for line in lines).encode("utf-8", "surrogateescape")
