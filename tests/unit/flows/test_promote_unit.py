"""Following a promotion that runs as a unit: from the first event, to the end, or to where it was cut."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hotsync.errors import Busy, ExitCode, NotHandedOver, Refused, StepFailed
from hotsync.flows import promote, promote_unit, undo
from hotsync.flows.promote_answers import Answers
from hotsync.flows.unit_events import Ended
from hotsync.model.promotion import NetworkChoice
from hotsync.model.undo import Undo
from hotsync.system import command
from hotsync.system.paths import Paths

STEP = {"at": 1.0, "step": "a", "title": "do a", "phase": "data", "position": 1, "total": 1}
ENDED = {"at": 2.0, "ended": 1, "sentence": "done, with warnings"}


class Scene:
    """A unit that writes an event each time somebody waits."""

    def __init__(self, paths: Paths, later: list[str]) -> None:
        self.paths = paths
        self.later = later
        paths.run.mkdir(parents=True)
        promote_unit.events_path(paths).write_bytes(b"")

    def running(self) -> bool:
        return bool(self.later)

    def now(self) -> float:
        return 0.0

    def now_ns(self) -> int:
        return 0

    def monotonic(self) -> float:
        return 0.0

    def sleep(self, seconds: float) -> None:
        with promote_unit.events_path(self.paths).open("a") as file:
            file.write(self.later.pop(0))


def follow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, later: list[str]) -> tuple[list[dict[str, Any]], Ended]:
    scene = Scene(Paths(tmp_path), later)
    monkeypatch.setattr(promote_unit, "is_running", scene.running)
    shown: list[dict[str, Any]] = []
    return shown, promote_unit.follow(scene.paths, shown.append, scene)


def test_every_step_is_shown_and_the_end_is_the_units_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [json.dumps(STEP) + "\n", json.dumps(ENDED) + "\n"]
    shown, ended = follow(tmp_path, monkeypatch, lines)
    assert [event["title"] for event in shown] == ["do a"]
    assert (ended.exit_code, ended.sentence, ended.error) == (1, "done, with warnings", None)


def test_a_second_start_leaves_request_and_events_of_the_first_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = Paths(tmp_path)
    started: list[list[str]] = []
    monkeypatch.setattr(promote_unit, "is_running", lambda: ["systemctl", "start", promote_unit.UNIT] in started)
    monkeypatch.setattr(command, "run", lambda argv, **_: started.append(argv))
    promote_unit.start(paths, Answers(NetworkChoice.MASTERS))
    promote_unit.events_path(paths).write_text(json.dumps(STEP) + "\n")  # what the unit does
    promote_unit.start(paths, Answers(NetworkChoice.KEEP))
    assert promote_unit.events_path(paths).read_text() == json.dumps(STEP) + "\n"
    assert json.loads(promote_unit.request_path(paths).read_text())["network"] == 1
    assert sum(argv[1] == "start" for argv in started) == 1


@pytest.mark.parametrize("undo", [True, False])
def test_who_answers_while_the_opposite_was_begun_by_somebody_else_does_not_follow_that(
    undo: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody at the question of --undo was shown a promotion, and left with 0 and "This server is MASTER now"."""
    paths = Paths(tmp_path)
    started: list[list[str]] = []
    monkeypatch.setattr(promote_unit, "is_running", lambda: ["systemctl", "start", promote_unit.UNIT] in started)
    monkeypatch.setattr(command, "run", lambda argv, **_: started.append(argv))
    promote_unit.start(paths, Answers(undo=not undo))
    with pytest.raises(Refused, match="is going on" if undo else "is being undone"):
        promote_unit.start(paths, Answers(undo=undo))
    assert promote_unit.asked_for(paths).undo is not undo


def test_what_was_said_to_be_left_out_reaches_the_unit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(promote_unit, "is_running", lambda: False)
    monkeypatch.setattr(command, "run", lambda argv, **_: None)
    answers = Answers(NetworkChoice.MASTERS, without=("mariadb/default/shop", "openldap/slapd"))
    promote_unit.start(Paths(tmp_path), answers)
    assert promote_unit.asked_for(Paths(tmp_path)) == answers


def test_the_unit_begins_its_events_anew_and_ends_them_with_its_own_word(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = Paths(tmp_path)
    paths.run.mkdir(parents=True)
    promote_unit.events_path(paths).write_text(json.dumps(ENDED) + "\n")  # of an earlier one

    def refused(*given: object) -> None:
        say = given[-1]
        assert callable(say)
        say("waiting for dpkg")
        raise Busy(what="run of HotSync", pid=7, age="3 s")

    monkeypatch.setattr(promote, "run", refused)
    scene_clock = Scene(Paths(tmp_path / "other"), [])
    assert promote_unit.run_in_unit(paths, scene_clock) == ExitCode.BUSY
    events = [json.loads(line) for line in promote_unit.events_path(paths).read_text().splitlines()]
    assert [event.get("said") or event["ended"] for event in events] == ["waiting for dpkg", 4]


@pytest.mark.parametrize("cause", [NotHandedOver(reason="it served again"), Busy(what="x", pid=7, age="3 s")])
def test_a_switchover_that_the_master_does_not_confirm_is_given_up_and_no_other_step_that_fails(
    cause: NotHandedOver | Busy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    undone: list[bool] = []

    def fail(*_: object) -> None:
        raise StepFailed(step="fence", reason=cause.sentence, done=1) from cause

    monkeypatch.setattr(promote, "run", fail)
    monkeypatch.setattr(undo, "run", lambda *words: undone.append(words[2]))
    monkeypatch.setattr(promote_unit, "tell_by_mail", lambda *_: True)
    paths = Paths(tmp_path)
    code = promote_unit.run_in_unit(paths, Scene(Paths(tmp_path / "other"), []))
    *_, ended = [json.loads(line) for line in promote_unit.events_path(paths).read_text().splitlines()]
    if isinstance(cause, NotHandedOver):
        assert (code, undone) == (ExitCode.REFUSED, [False])
        assert "the claim was given up, and nothing was changed here" in ended["sentence"]
    else:
        assert (code, undone) == (ExitCode.STEP, [])


def test_the_end_of_an_undo_is_no_promotion_that_works_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = Paths(tmp_path)
    ended = undo.UndoOutcome(Undo(4, 7, 1.0, was_master=True), ExitCode.DONE, "This server is a SLAVE again.")
    mailed: list[str] = []
    monkeypatch.setattr(promote_unit, "asked_for", lambda _: Answers(undo=True))
    monkeypatch.setattr(undo, "run", lambda *_: ended)
    monkeypatch.setattr(promote_unit, "mail_promoted", lambda *_: mailed.append("promoted"))
    monkeypatch.setattr(promote_unit, "mail_undone", lambda *words: mailed.append(words[3]))
    assert promote_unit.run_in_unit(paths, Scene(Paths(tmp_path / "other"), [])) == ExitCode.DONE
    assert mailed == ["This server is a SLAVE again."]

    def fail(*_: object) -> None:
        raise StepFailed(step="stop", reason="it hangs")

    monkeypatch.setattr(undo, "run", fail)
    monkeypatch.setattr(promote_unit, "tell_by_mail", lambda *words: mailed.append(words[2].about))
    assert promote_unit.run_in_unit(paths, Scene(Paths(tmp_path / "third"), [])) == ExitCode.STEP
    assert mailed[1:] == ["undo of the promotion of this server"]


def test_a_line_that_is_half_written_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = json.dumps(STEP) + "\n"
    shown, ended = follow(tmp_path, monkeypatch, [text[:9], text[9:], json.dumps(ENDED) + "\n"])
    assert len(shown) == 1
    assert ended.exit_code == 1


def test_a_unit_that_ends_without_a_word_was_cut_and_can_be_continued(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown, ended = follow(tmp_path, monkeypatch, [json.dumps(STEP) + "\n"])
    assert len(shown) == 1
    assert ended.exit_code == 9
    assert "hotsync-promote" in ended.sentence


def test_the_error_of_the_unit_comes_through_with_its_hint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    error = {"code": "step", "sentence": "no", "hint": "do it", "facts": {}}
    _, ended = follow(tmp_path, monkeypatch, [json.dumps({**ENDED, "ended": 9, "error": error}) + "\n"])
    assert ended.exit_code == 9
    assert ended.error == error
