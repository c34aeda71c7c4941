"""How the age of a promotion's data looks."""

from __future__ import annotations

from hotsync.cli.data_age import age_documents, age_rows
from hotsync.cli.render import local, utc
from hotsync.model.data_age import ServerAge
from hotsync.model.promotion import NetworkPlan, Promotion

NOW = 1e9
PROMOTION = Promotion(1, 41, "", NOW, NOW - 200, NOW - 180, NetworkPlan(), ())
STREAMED = ServerAge("mariadb/default", NOW - 180, streamed=True, as_of=NOW - 4, position="0-7-12")


def row(server: ServerAge) -> tuple[str, ...]:
    return age_rows(PROMOTION, [server], NOW)[1]


def test_files_come_first_then_each_server_with_the_way_in_which_it_came() -> None:
    dumped = ServerAge("postgresql/15-main", NOW - 170, said="it was locked")
    assert age_rows(PROMOTION, [STREAMED, dumped], NOW) == [
        ("files", local(NOW - 180), "3 minutes", "generation 41"),
        ("mariadb/default", local(NOW - 4), "4 seconds", "streamed"),
        ("postgresql/15-main", local(NOW - 170), "2 minutes", "dumped; it was locked"),
    ]


def test_what_is_not_known_exactly_is_not_told_as_if_it_were() -> None:
    later = ServerAge("mariadb/default", NOW - 180, streamed=True, as_of=NOW - 60, exact=False)
    assert row(later) == ("mariadb/default", f"{local(NOW - 60)} or later", "at most 60 seconds", "streamed")
    silent = ServerAge("mariadb/default", NOW - 180, streamed=True, said="its standby does not answer")
    how = f"streamed; last dump {local(NOW - 180)}; its standby does not answer"
    assert row(silent) == ("mariadb/default", "not known", "", how)


def test_programs_get_the_same() -> None:
    assert age_documents([STREAMED, ServerAge("redis/x")], NOW) == [
        {
            "name": "mariadb/default", "streamed": True, "as_of": utc(NOW - 4), "exact": True, "age_seconds": 4.0,
            "dumped_at": utc(NOW - 180), "position": "0-7-12", "detail": "",
        },
        {
            "name": "redis/x", "streamed": False, "as_of": None, "exact": True, "age_seconds": None,
            "dumped_at": None, "position": "", "detail": "",
        },
    ]  # fmt: skip
