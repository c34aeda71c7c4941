"""Which of the MASTER's names are lent privileges: plain accounts and roles, none that a server lives by."""

from __future__ import annotations

from hotsync.sources.mariadb.definers import is_account, is_role

OURS = frozenset(("root", "mysql", "keeper"))


def test_plain_accounts_and_roles_are_taken() -> None:
    for name in (
        "`app`@`%`",
        "`o``dd ü`@`10.0.0.%`",
        "``@`localhost`",
        "`root`@`%`",
        "`root`@`127.0.0.1`",
        "`root`@`::1`",
    ):
        assert is_account(name, OURS), name
    assert is_role("`maker`")


def test_what_a_server_lives_by_and_what_is_no_name_is_not_taken() -> None:
    for name in (
        "`root`@`localhost`", "`ROOT`@`lôcalhost`", "`keeper`@`LOCALHOST`", "`mysql`@`localhost`", "root@localhost",
        "`a`@`b`; DROP USER `root`@`localhost`", "`a`@`b`\n", "`a\\`@`b`", "`a`", "",
    ):  # fmt: skip
        assert not is_account(name, OURS), name
    for name in ("PUBLIC", "`public`", "`root`", "``", "`a`, `root`@`localhost`", "`a`@`b`"):
        assert not is_role(name), name
