"""The demo's table: what makes it fail, and what does not."""

from __future__ import annotations

import pytest

from demo.story import all_delivered
from demo.table import Table


def test_a_missed_aim_is_told_and_fails_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    table = Table()
    table.aimed("slow", 61.0, 60)
    table.aimed("fast", 59.0, 60)
    table.show()
    shown = capsys.readouterr().out
    assert "slow  61.0 s  (LONGER than the aim: 60 s)" in shown
    assert "fast  59.0 s  (aim: 60 s)" in shown
    assert "every check held" in shown
    assert table.held


def test_one_check_that_did_not_hold_fails_the_whole(capsys: pytest.CaptureFixture[str]) -> None:
    table = Table()
    assert table.check("good", True)
    assert not table.check("bad", False, "why")
    table.show()
    assert "bad   NO  (why)" in capsys.readouterr().out
    assert not table.held


def test_the_story_goes_on_only_when_every_mail_is_in_its_box() -> None:
    def found(carla: int) -> dict[str, dict[str, object]]:
        boxes = {"anna": [], "bruno": ["x"] * 20, "carla": ["x"] * carla}
        return {"mail read (IMAP login)": {"found": boxes}, "web site": {"found": []}}

    assert not all_delivered(found(9))
    assert all_delivered(found(10))
    assert not all_delivered(found(10) | {"web site": {"error": "refused"}})
    assert not all_delivered({"mail read (IMAP login)": {"error": "refused"}})
