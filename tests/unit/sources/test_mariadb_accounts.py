"""Accounts: replaced as a whole, but for the one that HotSync logs in with."""

from __future__ import annotations

import pytest

from hotsync.sources.mariadb.accounts import Account, drops, parse_answers, questions, render, with_unix_socket
from hotsync.sources.mariadb.ask import NEEDED, privileges_on_all
from hotsync.sources.mariadb.client import parse_rows
from hotsync.sources.mariadb.dump import in_order
from hotsync.sources.mariadb.files import name_of
from hotsync.sources.versions import series

ROOT = Account("root", "localhost", False)
SHOP = Account("shop", "%", False)
READER = Account("reader", "", True)


def test_answers_belong_to_the_account_that_was_asked_for() -> None:
    rows = [
        ["CREATE USER `root`@`localhost` IDENTIFIED VIA unix_socket"],
        ["mark"],
        ["GRANT ALL PRIVILEGES ON *.* TO `root`@`localhost`"],
        ["mark"],
        ["mark"],
        ["GRANT USAGE ON *.* TO `reader`"],
        ["SET DEFAULT ROLE x FOR y"],
        ["GRANT SELECT ON a.* TO `reader`"],
        ["GRANT SELECT ON a.* TO `reader`"],
        ["mark"],
    ]
    asked = [ROOT, READER]
    del rows[4]
    rows.insert(4, ["mark"])
    root, reader = parse_answers(asked, rows, "mark")
    assert root.create == "CREATE USER `root`@`localhost` IDENTIFIED VIA unix_socket"
    assert root.grants == ("GRANT ALL PRIVILEGES ON *.* TO `root`@`localhost`",)
    assert reader.grants == (
        "GRANT SELECT ON a.* TO `reader`",
        "GRANT USAGE ON *.* TO `reader`",
        "SET DEFAULT ROLE x FOR y",
    ), "sorted, once each, a default role after its grant"


def test_an_answer_that_is_missing_is_noticed() -> None:
    with pytest.raises(ValueError, match="every account"):
        parse_answers([ROOT], [["mark"]], "mark")


def test_the_question_quotes_every_name() -> None:
    text = questions([Account("a`; DROP", "h`", False)], "m")
    assert "SHOW CREATE USER `a``; DROP`@`h```;" in text


def test_the_login_is_never_replaced_and_keeps_the_way_by_socket() -> None:
    root = Account(
        "root", "localhost", False, "CREATE USER `root`@`localhost` IDENTIFIED BY PASSWORD '*AB' REQUIRE SSL",
        ("GRANT ALL PRIVILEGES ON *.* TO `root`@`localhost` IDENTIFIED BY PASSWORD '*AB' WITH GRANT OPTION",),
    )  # fmt: skip
    shop = Account("shop", "%", False, "CREATE USER `shop`@`%` IDENTIFIED BY PASSWORD '*CD'", ())
    first, second = render([shop, root], ("root", "localhost"))
    assert b"CREATE USER IF NOT EXISTS `root`@`localhost`;" in first
    assert b"OR REPLACE USER `root`" not in first
    assert b"CREATE OR REPLACE USER `shop`@`%` IDENTIFIED BY PASSWORD '*CD';" in first
    assert b"GRANT ALL PRIVILEGES ON *.* TO `root`@`localhost` WITH GRANT OPTION;" in second
    assert (
        b"ALTER USER `root`@`localhost` IDENTIFIED VIA mysql_native_password USING '*AB' OR unix_socket REQUIRE SSL;"
        in second
    )


def test_the_servers_own_accounts_stay_its_own() -> None:
    first, second = render([Account("mariadb.sys", "localhost", False, "CREATE USER x", ("GRANT y",))], ("root", "x"))
    assert b"mariadb.sys" not in first + second


def test_the_same_accounts_give_the_same_file_in_whatever_order_they_come() -> None:
    accounts = [Account(name, "%", False, f"CREATE USER {name}", (f"GRANT {name}",)) for name in "cab"]
    assert render(accounts, ("root", "localhost")) == render(accounts[::-1], ("root", "localhost"))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("VIA ed25519 USING 'a\\'b'", "VIA ed25519 USING 'a\\'b' OR unix_socket"),
        ("VIA pam ACCOUNT LOCK", "VIA pam OR unix_socket ACCOUNT LOCK"),
        ("VIA mysql_native_password USING 'i' OR unix_socket", None),
        ("VIA unix_socket", None),
    ],
)
def test_the_socket_is_added_to_what_is_there(before: str, after: str | None) -> None:
    assert with_unix_socket(f"ALTER USER x IDENTIFIED {before}") == f"ALTER USER x IDENTIFIED {after or before}"
    assert with_unix_socket("ALTER USER x") == "ALTER USER x"


def test_what_the_master_lacks_is_dropped_but_not_the_login() -> None:
    found = [("root", "localhost", False), ("shop", "%", False), ("old", "%", False), ("r", "", True),
             ("PUBLIC", "", True), ("mysql", "localhost", False), ("admin", "localhost", False)]  # fmt: skip
    sql = drops(found, ["`shop`@`%`"], [], "`admin`@`localhost`")
    assert sql == b"DROP USER IF EXISTS `old`@`%`;\nDROP ROLE IF EXISTS `r`;\n"


def test_rows_of_the_client_are_read_with_their_escapes() -> None:
    assert parse_rows("a\\nb\tc\\td\nx\\\\y\t\\0\n") == [["a\nb", "c\td"], ["x\\y", "\0"]]


@pytest.mark.parametrize(("version", "expected"), [("10.11.19-MariaDB-0+deb12u1", (10, 11)), ("8.0.36", (8, 0))])
def test_the_series_of_a_version(version: str, expected: tuple[int, ...]) -> None:
    assert series(version) == expected


def test_no_database_takes_the_place_of_the_accounts() -> None:
    assert name_of("accounts") != "accounts.sql"
    assert name_of("a") == "a.sql"


def test_databases_with_tables_that_must_be_locked_are_dumped_first() -> None:
    engines = [["a", "t", "InnoDB"], ["b", "v", "NULL"], ["c", "i", "MyISAM"], ["mysql", "x", "Aria"]]
    assert in_order(["a", "b", "c"], engines) == (["c", "a", "b"], [("c", "i")])


def test_only_what_is_granted_on_everything_counts_of_an_account_and_its_role() -> None:
    grants = [
        "GRANT `dump` TO `u`@`localhost`",
        "GRANT USAGE ON *.* TO `u`@`localhost`",
        "GRANT SELECT, LOCK TABLES ON *.* TO `dump`",
        "GRANT EVENT ON `d`.* TO `u`@`localhost`",
        "GRANT TRIGGER ON *.* TO `u`@`localhost` IDENTIFIED BY PASSWORD '*9' WITH GRANT OPTION",
    ]
    assert privileges_on_all(grants) == {"USAGE", "SELECT", "LOCK TABLES", "TRIGGER"}
    assert privileges_on_all(["GRANT ALL PRIVILEGES ON *.* TO `root`@`localhost` WITH GRANT OPTION"]) == NEEDED
