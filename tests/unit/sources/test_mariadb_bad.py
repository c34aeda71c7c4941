"""Which databases may have ended a dump, and which ends are no table's."""

from __future__ import annotations

import pytest

from hotsync.errors import CommandFailed
from hotsync.sources.mariadb.bad import RowsLacking, check_rows, is_servers, suspects
from hotsync.sources.mariadb.client import detail

ORDER = ["isam", "alpha", "inno", "omega"]


@pytest.mark.parametrize(
    ("section", "all_after", "found"),
    [
        ("isam", False, ["isam", "alpha"]),
        ("omega", False, ["omega"]),
        ("", False, ["isam", "alpha"]),
        ("alpha", True, ["alpha", "inno", "omega"]),
    ],
)
def test_who_is_suspected_is_the_one_in_whose_part_a_dump_ended_and_the_next(
    section: str, all_after: bool, found: list[str]
) -> None:
    assert suspects(ORDER, section, all_after=all_after) == found


def failed(stderr: str, returncode: int | None = 2) -> CommandFailed:
    return CommandFailed(
        program="mariadb-dump", status="exit 2", detail="x", line="", returncode=returncode, stderr=stderr
    )


@pytest.mark.parametrize(
    "error",
    [
        failed("mariadb-dump: Error 2013: Lost connection to server during query when dumping table `t` at row: 3"),
        failed('mariadb-dump: Got error: 1040: "Too many connections" when trying to connect'),
        failed("mariadb-dump: Got error: 1698: \"Access denied for user 'root'@'localhost'\" when trying to connect"),
        failed("", -9),
        failed("", None),
    ],
)
def test_a_server_that_is_gone_refuses_or_hangs_is_no_bad_database(error: CommandFailed) -> None:
    assert is_servers(error)


def test_of_what_a_dump_says_the_error_is_told_and_not_the_warning_before_it() -> None:
    error = failed(
        "Warning: Couldn't read keys from table `t`; records are NOT sorted (Index for table './b/t' is corrupt)\n"
        "mariadb-dump: Couldn't execute 'show create table `t`': Index for './b/t' is corrupt; try to repair it (126)"
    )
    assert not is_servers(error)
    assert detail(error).startswith("mariadb-dump: mariadb-dump: Couldn't execute 'show create table `t`'")


def test_rows_that_are_there_and_were_not_dumped_are_named_and_more_than_are_there_are_none_of_ours() -> None:
    counts = {("a", "whole"): 3, ("a", "more"): 1, ("a", "moving"): 9, ("b", "short"): 5, ("b", "gone"): 2}
    dumped = {("a", "whole"): 3, ("a", "more"): 2, ("b", "short"): 4, ("b", "gone"): 0}
    with pytest.raises(RowsLacking) as caught:
        check_rows(counts, lambda database, table: dumped.get((database, table)))
    assert caught.value.reasons == {"b": "database b: table short has 5 rows, of which 4 can be read"}
    check_rows({}, lambda database, table: None)
