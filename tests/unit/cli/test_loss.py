"""How a loss statement looks: to people, as a list of paths, and to programs."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hotsync.cli.loss import loss_document, loss_sentence, show_paths
from hotsync.cli.render import local, utc
from hotsync.model.loss import DatabaseMoment, Fate, LossStatement, Lost

UNTIL = 1e9
NOTHING = LossStatement(7, "", UNTIL)
PATHS = (
    Lost("data", Fate.CHANGED, 0, folder=True),
    Lost("data/a", Fate.NEW, 2048),
    Lost("data/b\u202e", Fate.DELETED),
)
SOME = replace(
    NOTHING, files=2, bytes=2048, folders=1, deleted=1, perhaps=3, mails=1, newest=UNTIL - 9, paths=PATHS,
    databases=(DatabaseMoment("mariadb/default", UNTIL - 99),),
)  # fmt: skip


@pytest.mark.parametrize(
    ("loss", "words"),
    [
        (NOTHING, "no change is known"),
        (
            SOME,
            "2 files (2.0 KiB, 1 mail), 1 deletion, times or rights of 1 folder, perhaps 3 more; "
            f"the newest change is of {local(UNTIL - 9)}",
        ),
        (replace(NOTHING, perhaps=1), "perhaps 1 file"),
        (replace(NOTHING, files=1, bytes=5), "1 file (5 bytes)"),
    ],
)
def test_what_would_be_lost_is_one_sentence_that_ends_with_what_is_not_known(loss: LossStatement, words: str) -> None:
    assert loss_sentence(loss, 0.0) == f"{words}; nothing is known after {local(UNTIL)}"


def test_all_moments_are_by_our_clock() -> None:
    said = loss_sentence(SOME, 100.0)
    assert said.endswith(f"is of {local(UNTIL - 109)}; nothing is known after {local(UNTIL - 100)}")
    document = loss_document(SOME, 100.0)
    assert document is not None
    assert document["known_until"] == utc(UNTIL - 100)
    assert document["newest"] == utc(UNTIL - 109)
    assert document["databases"] == [{"name": "mariadb/default", "taken_at": utc(UNTIL - 199), "streamed": False}]


def test_paths_are_listed_one_a_line_and_none_moves_the_cursor(capsys: pytest.CaptureFixture[str]) -> None:
    show_paths(SOME)
    assert capsys.readouterr().out.splitlines() == [
        "changed            -  /data/",
        "new          2.0 KiB  /data/a",
        "deleted            -  /data/b\\u202e",
        "and 4 more, which are only counted",
    ]


def test_programs_get_every_listed_path_and_how_many_are_not() -> None:
    document = loss_document(SOME, 0.0)
    assert document is not None
    assert document["paths"][1] == {"path": "data/a", "fate": "new", "bytes": 2048, "folder": False}
    assert (document["files"], document["deleted"], document["perhaps"], document["beyond"]) == (2, 1, 3, 4)
    assert loss_document(None, 0.0) is None
