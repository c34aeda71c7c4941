"""What `hotsync-promote` accepts, without a server behind it."""

from __future__ import annotations

import json
import socket
from contextlib import nullcontext
from dataclasses import asdict, replace
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from hotsync.cli.promote import promote
from hotsync.cli.promote_ask import why_asked
from hotsync.cli.promote_render import aligned, outcome_document, plan_document, show_outcome, show_plan
from hotsync.cli.render import local, utc
from hotsync.engine.network.rollback import before_path, confirmed_path
from hotsync.errors import ExitCode, NotReady, Refused, UsageError
from hotsync.flows import promote_unit as unit
from hotsync.flows.promote import Prospect
from hotsync.flows.promote_answers import Answers
from hotsync.flows.promote_past import Past
from hotsync.flows.undo import UndoProspect
from hotsync.flows.unit_events import Ended
from hotsync.model.fence import FenceResult, Tier
from hotsync.model.generation import Generation
from hotsync.model.handover import Handed
from hotsync.model.identity import Role, RoleRecord
from hotsync.model.loss import Fate, LossStatement, Lost
from hotsync.model.plan import Outcome, Phase, StepRecord
from hotsync.model.promotion import Back, NetworkPlan, Promotion, PromotionFacts
from hotsync.model.report import Check, Verdict
from hotsync.model.switchover import with_handed
from hotsync.model.undo import Undo, UndoFacts, Written
from hotsync.planning.undo import plan_undo
from hotsync.report.promoted import promoted_letter
from hotsync.state.loss import save_loss
from hotsync.state.promotion import save_promotion
from hotsync.state.store import save_role
from hotsync.state.undo import save_undo
from hotsync.system.paths import Paths


@pytest.fixture(autouse=True)
def _nowhere(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOTSYNC_ROOT", str(tmp_path))
    monkeypatch.setattr("hotsync.system.log.set_up", lambda *_: None)


def run(*words: str) -> BaseException | None:
    return CliRunner().invoke(promote, list(words), standalone_mode=False).exception


def test_the_help_says_what_the_numbers_of_the_menu_mean() -> None:
    shown = " ".join(CliRunner().invoke(promote, ["--help"]).output.split())
    assert "1<=x<=4" in shown
    assert "3 keeps this server's own network" in shown


def test_json_without_a_word_of_agreement_is_refused_since_it_shows_no_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unit, "is_running", lambda: False)
    error = run("--json", "--network", "1")
    assert isinstance(error, UsageError)
    assert error.exit_code == 2
    assert "--dry-run" in error.hint


def test_fixing_the_network_first_stops_before_anything() -> None:
    error = run("--network", "2", "--yes")
    assert isinstance(error, Refused)
    assert error.exit_code is ExitCode.REFUSED


def test_a_host_that_is_not_configured_is_refused_in_one_sentence() -> None:
    error = run("--dry-run", "--network", "1")
    assert isinstance(error, Refused)
    assert "not configured" in error.sentence


PAST = Past(
    Generation(41, "", 2, 1e9, 1e9, 1e9),
    Generation(45, "", 2, 1e9 + 900, 1e9 + 900, 1e9 + 900),
    becomes=46,
    changes=12,
    bytes=2048,
    lost=0,
    undone=LossStatement(41, "", 1e9 + 900, files=12),
)


@pytest.fixture
def older(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Answers]:
    """A SLAVE on which an older generation can be promoted; return what the unit is started with."""
    started: list[Answers] = []
    monkeypatch.setattr(unit, "is_running", lambda: False)
    monkeypatch.setattr(unit, "start", lambda _, answers: started.append(answers))
    monkeypatch.setattr("hotsync.cli.promote.flow.prospect", lambda *_: OLDER)
    monkeypatch.setattr("hotsync.cli.promote.look_back", lambda *_: PAST)
    monkeypatch.setattr("hotsync.cli.promote.viewed", lambda *_: nullcontext(Paths(tmp_path)))
    monkeypatch.setattr("hotsync.cli.promote._follow", lambda *_: 0)
    return started


def test_what_going_back_means_is_shown_and_without_agreement_nothing_is_changed(older: list[Answers]) -> None:
    result = CliRunner().invoke(promote, ["--at", "41", "--network", "1"], input="n\n", standalone_mode=False)
    assert isinstance(result.exception, Refused)
    assert result.exception.hint == "Nothing was changed."
    said = " ".join(result.output.split())
    assert f"Generation 41 is of {local(1e9)}; the MASTER's newest one, 45, is of {local(1e9 + 900)}." in said
    assert "12 paths differ; 2.0 KiB of old files are copied." in said
    assert "becomes generation 46 right before the claim; generation 45 is still held" in said
    shown = CliRunner().invoke(promote, ["--at", "41", "--dry-run", "--json", "--network", "1"], standalone_mode=False)
    document = json.loads(shown.stdout)
    assert document["back"] == {
        "generation": 41, "collected_at": utc(1e9), "newest": 45, "becomes": 46, "paths": 12, "bytes": 2048, "lost": 0,
    }  # fmt: skip
    assert (document["generation"], document["loss"]["back"]["undone"]["files"]) == (41, 12)
    assert older == []


@pytest.mark.parametrize("answers", ["y\nsome other\n", "y\n\n", "y\n", "\n", ""])
def test_every_question_about_an_older_generation_is_asked_before_anything_is_changed(
    older: list[Answers], answers: str
) -> None:
    result = CliRunner().invoke(promote, ["--at", "41", "--network", "1"], input=answers, standalone_mode=False)
    assert isinstance(result.exception, Refused | click.Abort)
    assert older == []


def test_the_plan_and_the_loss_of_an_older_generation_are_its_own_and_the_unit_goes_back(older: list[Answers]) -> None:
    words = f"y\n{socket.gethostname()}\n"
    result = CliRunner().invoke(promote, ["--at", "41", "--network", "1"], input=words, standalone_mode=False)
    assert result.exception is None
    assert "Before the first step generation 41 becomes the newest here, as 46." in result.output
    assert "The plan: from generation 41 to MASTER at epoch 3" in result.output
    assert f"all that was done on the MASTER after {local(1e9)}" in result.output
    assert [answers.back for answers in older] == [PAST.back]


def test_the_second_choice_of_the_menu_says_the_whole_command(older: list[Answers]) -> None:
    error = run("--at", "2026-11-22 16:30", "--network", "2")
    assert isinstance(error, Refused)
    assert "hotsync-promote --at '2026-11-22 16:30' again" in error.hint
    assert error.hint.startswith("Nothing was changed.")


def test_the_same_command_again_shows_the_promotion_that_runs_or_goes_on_with_one_that_was_claimed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = Paths(tmp_path)
    paths.run.mkdir(parents=True)
    unit.request_path(paths).write_text(json.dumps({"back": asdict(PAST.back)}))
    running = [True]
    monkeypatch.setattr(unit, "is_running", lambda: running[0])
    monkeypatch.setattr("hotsync.cli.promote._follow", lambda *_: 0)
    shown = CliRunner().invoke(promote, ["--at", "41"], standalone_mode=False)
    assert shown.exception is None
    assert "A promotion of this server is going on." in shown.output
    assert isinstance(run("--at", "42"), Refused)
    running[0] = False
    paths.state.mkdir(parents=True)
    save_promotion(paths, replace(PROMOTION, back=PAST.back))
    save_role(paths, RoleRecord(Role.SLAVE, 2, claim=3))
    monkeypatch.setattr("hotsync.cli.promote.flow.prospect", lambda *_: replace(PROSPECT, resumed=True))
    shown = CliRunner().invoke(promote, ["--at", "41", "--dry-run", "--network", "1"], standalone_mode=False)
    assert shown.exception is None
    assert "is not finished" in shown.output
    assert isinstance(run("--at", "42", "--dry-run"), Refused)


def test_who_leaves_before_the_last_answer_is_told_that_nothing_was_changed(older: list[Answers]) -> None:
    left = CliRunner().invoke(promote, ["--network", "1", "--at", "41"], input="y\n", standalone_mode=False)
    assert isinstance(left.exception, click.Abort)
    assert left.output.rstrip().endswith("Nothing was changed.")
    assert "With the last answer the promotion begins: this server takes the MASTER's place." in left.output
    assert older == []


def test_who_stops_looking_is_told_that_the_promotion_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> Ended:
        raise KeyboardInterrupt

    monkeypatch.setattr(unit, "is_running", lambda: True)
    monkeypatch.setattr(unit, "follow", interrupted)
    left = CliRunner().invoke(promote, [], standalone_mode=False)
    assert isinstance(left.exception, click.Abort | KeyboardInterrupt)
    assert "the promotion goes on. hotsync-promote shows it again" in left.output


def test_who_stops_looking_at_an_undo_is_told_that_it_goes_on_in_its_unit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> Ended:
        raise KeyboardInterrupt

    paths = Paths(tmp_path)
    paths.run.mkdir(parents=True)
    running = [True]
    monkeypatch.setattr(unit, "is_running", lambda: running[0])
    monkeypatch.setattr(unit, "follow", interrupted)
    monkeypatch.setattr(unit, "start", lambda *_: None)
    monkeypatch.setattr("hotsync.cli.undo.flow.prospect", lambda *_: None)
    monkeypatch.setattr("hotsync.cli.undo._show", lambda *_: None)
    unit.request_path(paths).write_text('{"undo": true}')
    for words, said in ((["--undo"], "is going on"), (["--undo", "--yes"], "It runs in a unit of its own")):
        left = CliRunner().invoke(promote, words, standalone_mode=False)
        assert isinstance(left.exception, click.Abort | KeyboardInterrupt)
        assert said in left.stderr
        assert "the undo goes on. hotsync-promote --undo shows it again" in left.stderr
        running[0] = False


def test_an_older_generation_cannot_be_asked_for_while_a_promotion_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unit, "is_running", lambda: True)
    error = run("--at", "41", "--yes")
    assert isinstance(error, Refused)
    assert "without --at" in error.hint


def test_data_that_an_earlier_call_made_the_newest_is_never_promoted_unseen(
    older: list[Answers], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Generation(46, "", 2, 1e9, 2e9, 2e9)
    monkeypatch.setattr("hotsync.cli.promote_ask.holdings", lambda *_: made)
    monkeypatch.setattr("hotsync.cli.promote_ask.cut_before", lambda *_: PAST.back)
    error = run("--yes", "--network", "1")
    assert isinstance(error, Refused)
    assert f"was made of an older one, of {local(1e9)}" in error.sentence
    assert error.hint == "hotsync-promote --at 46 promotes the older data, hotsync-promote --at 45 the newest."
    asked = CliRunner().invoke(promote, ["--network", "1"], input="n\n", standalone_mode=False)
    assert isinstance(asked.exception, Refused)
    assert "A promotion with an older generation ended before it began" in asked.output
    assert older == []


@pytest.mark.parametrize("other", [("--force",), ("--at", "41"), ("--without", "mariadb/default/shop")])
def test_a_switchover_takes_what_the_master_has_now_and_needs_no_force(other: tuple[str, ...]) -> None:
    error = run("--planned", "--yes", *other)
    assert isinstance(error, UsageError)
    assert other[0] in error.sentence


def test_a_mapping_that_is_none_or_goes_with_another_choice_is_a_fault_of_the_command_line() -> None:
    for words in (["--map", "eth0"], ["--map", "=eth0"], ["--map", "eth0=eth1", "--network", "1"]):
        error = run("--dry-run", *words)
        assert isinstance(error, UsageError)


def test_a_word_about_the_network_is_taken_only_while_a_promotion_waits_for_it(tmp_path: Path) -> None:
    assert isinstance(run("--confirm-network"), Refused)
    paths = Paths(tmp_path)
    paths.run.mkdir(parents=True)
    before_path(paths).write_text('{"addresses": [], "masters": [], "routes": []}')
    assert run("--confirm-network") is None
    assert confirmed_path(paths).exists()


@pytest.mark.parametrize(("outcome", "asked"), [(Outcome.FAILED, "Nobody answered"), (Outcome.DONE, "")])
def test_a_promotion_whose_network_was_put_back_asks_about_it_again(
    tmp_path: Path, outcome: Outcome, asked: str
) -> None:
    taken = StepRecord("network.take", "take", Phase.NETWORK.value, BEGAN, BEGAN + 1, outcome)
    facts = PromotionFacts(RoleRecord(Role.SLAVE, 2), replace(PROMOTION, records=(taken,)))
    why = why_asked(Paths(tmp_path), Prospect(facts, (), (), resumed=True))
    assert why.startswith(asked)
    assert bool(why) is bool(asked)


def test_where_no_terminal_is_the_plan_is_in_columns() -> None:
    rows = [("1", "claim", "claim epoch 3"), ("12", "data", "exchange /home")]
    assert aligned(rows) == ["1   claim  claim epoch 3", "12  data   exchange /home"]
    assert aligned([]) == []


def test_an_unknown_number_of_the_menu_is_a_fault_of_the_command_line() -> None:
    result = CliRunner().invoke(promote, ["--network", "7"])
    assert result.exit_code == 2


# --- what is lost -----------------------------------------------------------------------------------------------------

BEGAN = 1e9
DIGEST = "ab" * 32
PROMOTION = Promotion(3, 41, DIGEST, BEGAN, BEGAN - 200, BEGAN - 180, NetworkPlan(), ())
PROSPECT = Prospect(PromotionFacts(RoleRecord(Role.SLAVE, 2), PROMOTION), (), (), resumed=False)
MAIL = Lost("var/vmail/ada/new/1", Fate.NEW, 100)
TOLD = LossStatement(41, DIGEST, BEGAN - 20, files=30, bytes=3000, mails=1, paths=(MAIL,) * 30)


@pytest.fixture
def places(tmp_path: Path) -> Paths:
    """A SLAVE that was told what would be lost, by a MASTER whose clock is ahead."""
    paths = Paths(tmp_path)
    paths.state.mkdir(parents=True)
    save_loss(paths.loss_told, TOLD)
    seen = {"schema": 1, "last_seen": BEGAN, "clock_difference": 5.0}
    (paths.state / "last-seen.json").write_text(json.dumps(seen))
    save_role(paths, RoleRecord(Role.SLAVE, 2, claim=PROMOTION.epoch))
    return paths


def test_who_is_asked_to_agree_sees_what_is_lost_and_after_when_nothing_is_known(
    places: Paths, capsys: pytest.CaptureFixture[str]
) -> None:
    show_plan(places, PROSPECT, ())
    out = capsys.readouterr().out
    assert (
        "Lost if it is promoted now: 30 files (2.9 KiB, 1 mail); "
        f"nothing is known after {local(BEGAN - 25)}.\n  new        100 bytes  /var/vmail/ada/new/1\n" in out
    )
    assert out.count("/var/vmail") == 20
    assert "and 10 more: with --json" in out


def test_the_plan_says_which_card_takes_whose_place(places: Paths, capsys: pytest.CaptureFixture[str]) -> None:
    pairs = (("eth0", "enp3s0"), ("eth1", ""))
    promotion = replace(PROMOTION, network=replace(NetworkPlan(), pairs=pairs))
    seen = replace(PROSPECT, facts=replace(PROSPECT.facts, promotion=promotion))
    show_plan(places, seen, ())
    assert "Network cards: eth0 -> enp3s0, eth1 -> none." in capsys.readouterr().out
    assert plan_document(places, seen, ())["cards"] == dict(pairs)


def test_a_planned_promotion_shows_both_servers_part_and_says_that_nothing_is_lost(
    places: Paths, capsys: pytest.CaptureFixture[str]
) -> None:
    facts = replace(PROSPECT.facts, promotion=replace(PROMOTION, planned=True))
    seen = replace(PROSPECT, facts=facts, stopping=("dovecot.service",))
    show_plan(places, seen, ())
    out = " ".join(capsys.readouterr().out.split())
    assert "First, on the MASTER:" in out
    assert "stop production, also timers and jobs: dovecot.service" in out
    assert "Nothing is lost" in out
    assert "is lost unless" not in out
    document = plan_document(places, seen, ())
    assert (document["planned"], document["loss"], len(document["master"])) == (True, None, 6)  # type: ignore[arg-type]


def test_the_report_of_a_switchover_says_how_long_production_stood_still(
    places: Paths, capsys: pytest.CaptureFixture[str]
) -> None:
    started = StepRecord("services.start:2", "start", Phase.SERVICES.value, BEGAN + 30, BEGAN + 42.5, Outcome.DONE)
    handed = Handed(41, DIGEST, 0.0, BEGAN + 1, 2.0, 3.5)
    promotion = with_handed(replace(PROMOTION, planned=True), handed)
    save_promotion(places, replace(promotion, records=(*promotion.records, started), finished_at=BEGAN + 50))
    show_outcome(places, Ended(0, "This server is MASTER now.", None))
    out = capsys.readouterr().out
    assert "Production stood still for 41.5 s." in out
    assert "stop production on the MASTER" in out
    document = outcome_document(places, Ended(0, "done", None))
    assert (document["still_seconds"], document["loss"]) == (41.5, None)
    assert " ".join(out.split()).count("and nothing was lost.") == 1
    left = replace(promotion, without=("mariadb/default/shop",))
    assert left.lost_by_plan == "nothing was lost but mariadb/default/shop, which was left out"
    assert left.lost_by_plan in promoted_letter("slave", left)
    with pytest.raises(NotReady, match="generation 41, the MASTER handed over 42"):
        with_handed(PROMOTION, replace(handed, generation=42))


def test_programs_see_every_path_before_and_after(places: Paths) -> None:
    before = plan_document(places, PROSPECT, ())["loss"]
    save_promotion(places, PROMOTION)
    after = outcome_document(places, Ended(0, "done", None))["loss"]
    assert isinstance(before, dict)
    assert before == after
    assert (len(before["paths"]), before["known_until"]) == (30, utc(BEGAN - 25))
    assert "databases" not in before  # they are told beside it, with how far each standby is


def test_the_report_says_what_was_lost(places: Paths, capsys: pytest.CaptureFixture[str]) -> None:
    done = StepRecord("claim", "claim epoch 3", Phase.CLAIM.value, BEGAN, BEGAN + 1, Outcome.DONE)
    save_promotion(places, replace(PROMOTION, records=(done,), finished_at=BEGAN + 9))
    show_outcome(places, Ended(0, "This server is MASTER now.", None))
    assert "Lost: 30 files (2.9 KiB, 1 mail); nothing is known after" in capsys.readouterr().out


def test_the_report_is_shown_again_whenever_it_is_asked_for(places: Paths) -> None:
    never = CliRunner().invoke(promote, ["--report"], standalone_mode=False)
    assert isinstance(never.exception, Refused), never.output
    done = StepRecord("claim", "claim epoch 3", Phase.CLAIM.value, BEGAN, BEGAN + 1, Outcome.DONE)
    save_promotion(places, replace(PROMOTION, records=(done,), finished_at=BEGAN + 9))
    shown = CliRunner().invoke(promote, ["--report"], standalone_mode=False)
    assert shown.exception is None, shown.exception
    assert "claim epoch 3" in shown.output
    assert "Lost: 30 files" in shown.output
    assert "Only a person can check:" in shown.output
    document = json.loads(CliRunner().invoke(promote, ["--report", "--json"], standalone_mode=False).output)
    assert [step["key"] for step in document["steps"]] == ["claim"]


@pytest.mark.parametrize("record", [RoleRecord(Role.SLAVE, 5), RoleRecord(Role.SLAVE, 5, claim=6)])
def test_one_that_ends_before_its_claim_shows_nothing_of_an_earlier_promotion(
    places: Paths, record: RoleRecord, capsys: pytest.CaptureFixture[str]
) -> None:
    """After a round trip: what was done and checked then said MASTER and green above the error."""
    done = StepRecord("role.master", "become MASTER at epoch 3", Phase.ROLE.value, BEGAN, BEGAN + 1, Outcome.DONE)
    green = Check("imap", "people reach their mail", Verdict.GREEN)
    save_promotion(places, replace(PROMOTION, records=(done,), checks=(green,), finished_at=BEGAN + 9))
    save_role(places, record)
    refused = Refused(reason="the MASTER did not hand over")
    ended = Ended(3, refused.sentence, refused.to_json())
    show_outcome(places, ended)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "the MASTER did not hand over" in shown.err
    assert set(outcome_document(places, ended)) == {"schema", "exit_code", "sentence", "error"}
    # asked for it is still there
    assert "become MASTER at epoch 3" in CliRunner().invoke(promote, ["--report"], standalone_mode=False).output


NEWEST = "cd" * 32
GOES_BACK = replace(
    PROMOTION, generation=46, digest="ef" * 32, collected_at=BEGAN - 90_000,
    back=Back(41, BEGAN - 90_000, 45, NEWEST, BEGAN - 200),
)  # fmt: skip
OLDER = replace(
    PROSPECT,
    facts=replace(
        PROSPECT.facts,
        promotion=replace(PROMOTION, collected_at=1e9, confirmed_at=1e9, back=PAST.back),
    ),
    undone=PAST.undone,
    becomes=46,
)
UNDONE = LossStatement(41, NEWEST, BEGAN - 200, files=25, bytes=5000, mails=25, deleted=1, paths=(MAIL,) * 25)


def test_with_an_older_generation_all_after_it_is_lost_and_not_perhaps_what_the_master_told_a_minute_ago(
    places: Paths, capsys: pytest.CaptureFixture[str]
) -> None:
    save_loss(places.loss_told, replace(TOLD, generation=45, digest=NEWEST))
    save_loss(places.loss_undone, UNDONE)
    seen = replace(PROSPECT, facts=replace(PROSPECT.facts, promotion=GOES_BACK))
    show_plan(places, seen, ())
    out = capsys.readouterr().out
    assert f"Lost if it is promoted now: all that was done on the MASTER after {local(BEGAN - 90_005)}." in out
    assert f"- up to generation 45, of {local(BEGAN - 205)}: 25 files (4.9 KiB, 25 mails), 1 deletion." in out
    assert "and 6 more: with --json, or by hotsync diff 41 45" in out
    assert f"- after generation 45: 30 files (2.9 KiB, 1 mail); nothing is known after {local(BEGAN - 25)}." in out
    assert "perhaps" not in out
    before = plan_document(places, seen, ())["loss"]
    save_promotion(places, GOES_BACK)
    after = outcome_document(places, Ended(0, "done", None))["loss"]
    assert before == after
    assert isinstance(before, dict)
    assert (before["known_until"], before["generation"], before["files"]) == (utc(BEGAN - 90_005), 41, 0)
    back = before["back"]
    assert (back["newest"], back["undone"]["files"], back["after"]["files"]) == (45, 25, 30)
    assert back["after"]["known_until"] == utc(BEGAN - 25)


def test_of_another_going_back_nothing_is_told(places: Paths, capsys: pytest.CaptureFixture[str]) -> None:
    save_loss(places.loss_undone, replace(UNDONE, digest="other"))
    seen = replace(PROSPECT, facts=replace(PROSPECT.facts, promotion=GOES_BACK))
    show_plan(places, seen, ())
    assert "up to generation 45" in (out := capsys.readouterr().out)
    assert "not known any more" in out


def test_without_a_word_of_the_master_nothing_is_known_since_the_generation_was_collected(
    places: Paths, capsys: pytest.CaptureFixture[str]
) -> None:
    places.loss_told.unlink()
    show_plan(places, PROSPECT, ())
    assert f"no change is known; nothing is known after {local(BEGAN - 205)}." in capsys.readouterr().out


def forced(monkeypatch: pytest.MonkeyPatch, detail: str, typed: str) -> tuple[BaseException | None, list[Answers]]:
    """Return how `hotsync-promote --force` ended, and with what the unit was started."""
    promotion = Promotion(3, 7, "d", BEGAN, BEGAN, BEGAN, NetworkPlan(), ())
    verdict = Verdict.RED if detail else Verdict.GREEN
    checks = (Check("master.silent", "the MASTER is silent", verdict, detail),)
    seen = Prospect(PromotionFacts(RoleRecord(Role.SLAVE), promotion), (), checks, resumed=False)
    started: list[Answers] = []
    monkeypatch.setattr(unit, "is_running", lambda: False)
    monkeypatch.setattr(unit, "start", lambda _, answers: started.append(answers))
    monkeypatch.setattr("hotsync.cli.promote_ask._settled_prospect", lambda *_: seen)
    monkeypatch.setattr("hotsync.cli.promote._follow", lambda *_: 0)
    done = CliRunner().invoke(promote, ["--force"], input=f"{socket.gethostname()}\n{typed}\n", standalone_mode=False)
    return done.exception, started


def test_who_forces_beside_a_living_master_types_that_it_cannot_serve(monkeypatch: pytest.MonkeyPatch) -> None:
    error, started = forced(monkeypatch, "192.0.2.10 answers ping", "yes")
    assert isinstance(error, Refused)
    assert started == []
    error, (answers,) = forced(monkeypatch, "192.0.2.10 answers ping", "CANNOT SERVE")
    assert error is None
    assert (answers.force, answers.typed) == (True, True)
    error, (answers,) = forced(monkeypatch, "", "")
    assert error is None
    assert not answers.typed


def test_the_report_says_how_the_old_master_was_fenced(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = Paths(tmp_path)
    paths.state.mkdir(parents=True)
    done = StepRecord("fence", "fence", "keep it from serving", BEGAN, BEGAN + 1, Outcome.DONE)
    fences = (FenceResult(Tier.AGENT, False, "nobody is there"), FenceResult(Tier.COMMAND, True, "0"))
    made = Promotion(3, 7, "d", BEGAN, BEGAN, BEGAN, NetworkPlan(), (), records=(done,), fences=fences)
    save_promotion(paths, made)
    save_role(paths, RoleRecord(Role.MASTER, 3))
    ended = Ended(0, "done", None)
    assert outcome_document(paths, ended)["fences"] == [
        {"tier": "agent", "reached": False, "detail": "nobody is there"},
        {"tier": "command", "reached": True, "detail": "0"},
    ]
    show_outcome(paths, ended)
    assert "The old MASTER was fenced: the site's command ended it." in capsys.readouterr().out


def test_an_undo_takes_no_answers_about_the_network_and_shows_no_plan_as_json_without_agreement(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(unit, "is_running", lambda: False)
    for words in (("--network", "1"), ("--map", "eth0=eth1"), ("--at", "41")):
        error = run("--undo", *words)
        assert isinstance(error, UsageError)
        assert "--undo takes none" in error.sentence
    error = run("--undo", "--json")
    assert isinstance(error, UsageError)
    assert "--undo --dry-run --json" in error.hint


def test_an_undo_is_refused_while_a_promotion_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unit, "is_running", lambda: True)
    error = run("--undo", "--yes")
    assert isinstance(error, Refused)
    assert "is going on" in error.sentence


UNDO = Undo(4, 7, 1e9, was_master=True, served=1e9, written=Written(3, 2048, 1, 2, 4, 1, ("mariadb/default",)))


def test_what_is_undone_and_what_was_written_is_shown_before_the_last_question(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    promotion = Promotion(4, 7, "d", 1e9, 1e9, 1e9, NetworkPlan(), ())
    facts = UndoFacts(RoleRecord(Role.MASTER, 4), promotion, UNDO, begun=False, boot="b", tree_live=True, dumps=True)
    seen = UndoProspect(facts, plan_undo(facts), UNDO.written)
    monkeypatch.setattr(unit, "is_running", lambda: False)
    monkeypatch.setattr("hotsync.cli.undo.flow.prospect", lambda *_: seen)
    result = CliRunner().invoke(promote, ["--undo"], input="some other\n", standalone_mode=False)
    assert isinstance(result.exception, Refused)
    said = " ".join(result.output.split())
    assert "back to SLAVE, releasing epoch 4" in said
    assert "3 files are new or changed (2.0 KiB), 1 mails among them" in said
    assert "4 paths were deleted, of 2 only owner, mode or time was changed" in said
    assert "all that mariadb/default hold is dumped" in said
    assert f"kept in {tmp_path}/var/lib/hotsync/undone/4" in result.output.replace("\n", " ").replace("  ", " ")
    shown = CliRunner().invoke(promote, ["--undo", "--dry-run", "--json"], standalone_mode=False)
    document = json.loads(shown.output)
    assert (document["epoch"], document["written"]["mails"], document["resumed"]) == (4, 1, False)
    assert document["steps"][0]["key"] == "undo.begin"


def test_the_report_of_an_undo_says_where_what_was_written_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = Paths(tmp_path)
    paths.state.mkdir(parents=True)
    save_undo(paths, replace(UNDO, finished_at=2e9, notes=("something",)))
    monkeypatch.setattr(unit, "is_running", lambda: True)
    monkeypatch.setattr(unit, "follow", lambda *_: Ended(1, "This server is a SLAVE again.", None))
    paths.run.mkdir(parents=True)
    unit.request_path(paths).write_text('{"undo": true}')
    shown = CliRunner().invoke(promote, ["--undo"], standalone_mode=False)
    assert shown.return_value == 1
    assert "written.txt" in shown.output
    assert "something" in shown.output
    document = json.loads(CliRunner().invoke(promote, ["--json"], standalone_mode=False).stdout)
    assert (document["released"], document["written"]["databases"]) == (True, ["mariadb/default"])
