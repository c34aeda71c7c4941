"""The promotion as a unit of its own: started, followed and joined by whoever calls `hotsync-promote`.

The unit writes one JSON line for each step and, last, how it ended; the command only reads. So a lost terminal or
browser tab changes nothing, and a second call sees the same.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hotsync.errors import ExitCode, HandOverFailed, HotSyncError, NotHandedOver, Refused, StepFailed
from hotsync.flows import promote, undo, unit_events
from hotsync.flows.promote_answers import Answers
from hotsync.flows.promote_notice import (
    announce,
    failed,
    interrupted,
    mail_promoted,
    mail_undone,
    tell_by_mail,
    was_told_of,
)
from hotsync.flows.undoing import undo_sentence
from hotsync.flows.unit_events import Ended
from hotsync.model.plan import Progress, Step
from hotsync.model.promotion import Back, NetworkChoice, Promotion
from hotsync.model.undo import Undo
from hotsync.report.mail import local_time
from hotsync.state.promotion import load_promotion
from hotsync.state.undo import is_undoing, kept_folder, load_undo
from hotsync.system import command, files, lock
from hotsync.system.clock import Clock
from hotsync.system.paths import Paths

UNIT = "hotsync-promote.service"
POLL_SECONDS = 0.1
_AFTER_GIVING_UP = (
    "Look at the MASTER (`hotsync status` there). If it serves, hotsync-promote --planned again; if it is lost, "
    "hotsync-promote."
)


def request_path(paths: Paths) -> Path:
    """Return where the command leaves the answers for the unit."""
    return paths.run / "promote-request.json"


def events_path(paths: Paths) -> Path:
    """Return where the unit writes what it does, a JSON object a line."""
    return paths.run / "promote-events"


def is_running() -> bool:
    """Return whether a promotion runs on this host now."""
    state = command.run(["systemctl", "is-active", UNIT], ok=range(256)).text.strip()
    return state in ("active", "activating", "deactivating", "reloading")


def is_for_undo(paths: Paths) -> bool:
    """Return whether the unit was last asked to undo a promotion."""
    return asked_for(paths).undo or is_undoing(paths)


def refuse_if_for_other(paths: Paths, *, undo: bool) -> None:
    """Raise Refused if what runs is the promotion while an `undo` is wished, or the other way round."""
    undoes = is_for_undo(paths)
    if undoes == undo:
        return
    what, shows = (
        ("a promotion of this server is being undone", "hotsync-promote --undo")
        if undoes
        else ("a promotion of this server is going on", "hotsync-promote")
    )
    raise Refused(
        reason=what, hint=f"`{shows}` shows it. Wait until it ends, or stop it: systemctl stop hotsync-promote"
    )


def start(paths: Paths, answers: Answers) -> None:
    """Start the unit with these answers, unless somebody else did meanwhile; raise Refused if that was for the
    opposite, CommandFailed if it cannot be started."""
    paths.run.mkdir(parents=True, exist_ok=True)
    network = int(answers.network) if answers.network else 0
    document = {
        "network": network,
        "force": answers.force,
        "map": answers.pairs,
        "generation": answers.generation,
        "typed": answers.typed,
        "planned": answers.planned,
        "undo": answers.undo,
        "back": None if answers.back is None else asdict(answers.back),
        "without": answers.without,
    }
    with lock.held(paths.run / "promote-start.lock", "start of the promotion", wait=True):
        if is_running():
            refuse_if_for_other(paths, undo=answers.undo)
            return
        files.write_atomic(request_path(paths), json.dumps(document).encode(), mode=0o600)
        events_path(paths).unlink(missing_ok=True)  # of an earlier one; the unit makes its own
        command.run(["systemctl", "reset-failed", UNIT], ok=range(256))
        command.run(["systemctl", "start", UNIT])


def run_in_unit(paths: Paths, clock: Clock) -> int:
    """Promote with the answers that were left for the unit, writing what happens; return the exit code."""
    paths.run.mkdir(parents=True, exist_ok=True)
    answers = asked_for(paths)
    files.write_atomic(events_path(paths), b"", mode=0o600)
    with open(events_path(paths), "a", encoding="utf-8") as file:

        def tell(event: dict[str, object]) -> None:
            file.write(json.dumps({"at": clock.now(), **event}) + "\n")
            file.flush()

        def progress(step: Step, position: int, total: int) -> None:
            tell({"step": step.key, "title": step.title, "phase": step.phase, "position": position, "total": total})
            if position == 2:
                announce(paths, promote.unfinished_sentence(paths))  # claimed: whoever logs in now is to know

        def say(text: str) -> None:
            tell({"said": text})

        undoes = answers.undo or is_undoing(paths)
        ended: undo.UndoOutcome | promote.Outcome
        try:
            if undoes:
                ended = undo.run(paths, clock, answers.force, progress, say)
            else:
                ended = _promote(paths, answers, progress, clock, say)
        except HotSyncError as error:
            tell({"ended": int(error.exit_code), "sentence": error.sentence, "error": error.to_json()})
            tell_by_mail(paths, clock, failed(error, undoes=undoes))
            return int(error.exit_code)
        except BaseException as error:
            sentence = f"a bug in HotSync: {type(error).__name__}: {error}"
            tell({"ended": int(ExitCode.BUG), "sentence": sentence})
            what = "undo of the promotion" if undoes else "promotion"
            tell_by_mail(paths, clock, interrupted(f"The {what} of this server ended by {sentence}.", undoes=undoes))
            raise
        finally:
            announce(paths, promote.unfinished_sentence(paths))
        tell({"ended": int(ended.exit_code), "sentence": ended.sentence})
        if isinstance(ended, undo.UndoOutcome):
            mail_undone(paths, clock, ended.undo, ended.sentence)
        else:
            mail_promoted(paths, clock, ended.promotion)
        return int(ended.exit_code)


def _promote(paths: Paths, answers: Answers, progress: Progress, clock: Clock, say: promote.Say) -> promote.Outcome:
    """Promote; a switchover whose MASTER does not confirm that it stood still is given up: nothing has moved yet."""
    try:
        return promote.run(paths, answers, progress, clock, say)
    except StepFailed as error:
        cause = error.__cause__
        if not isinstance(cause, NotHandedOver):
            raise
        say(f"{cause.sentence} So the claim is given up.")
        ended = undo.run(paths, clock, False, progress, say)
        if was_told_of(paths):
            mail_undone(paths, clock, ended.undo, ended.sentence)
        reason = f"{cause.facts.get('reason')}; the claim was given up, and nothing was changed here"
        raise HandOverFailed(reason=reason, hint=_AFTER_GIVING_UP) from error


def asked_for(paths: Paths) -> Answers:
    """Return the answers that were left for the unit last."""
    try:
        document = json.loads(request_path(paths).read_bytes())
    except (FileNotFoundError, ValueError):
        return Answers()  # started by itself, at boot: everything was said at the claim
    network = int(document.get("network", 0))
    return Answers(
        NetworkChoice(network) if network else None,
        bool(document.get("force")),
        tuple((str(old), str(new)) for old, new in document.get("map", ())),
        generation=int(document.get("generation", 0)),
        typed=bool(document.get("typed")),
        planned=bool(document.get("planned")),
        undo=bool(document.get("undo")),
        back=Back(**document["back"]) if document.get("back") else None,
        without=tuple(map(str, document.get("without", ()))),
    )


def follow(paths: Paths, show: Callable[[dict[str, Any]], None], clock: Clock) -> Ended:
    """Show each event of the running unit as it comes, from the first; return how it ended."""
    for event in unit_events.follow(events_path(paths), is_running, clock, POLL_SECONDS):
        if "ended" in event:
            return unit_events.ended(event)
        show(event)
    sentence = "The promotion was ended in the middle. Run hotsync-promote: it goes on where it stopped."
    if is_undoing(paths):
        sentence = "The undo was ended in the middle. Run hotsync-promote --undo: it goes on where it stopped."
    return Ended(int(ExitCode.STEP), sentence, None)


@dataclass(frozen=True, slots=True)
class Last:
    """The last promotion of this server: how it ended, its document, and that of its undo, if it was undone."""

    ended: Ended
    promotion: Promotion
    undone: Undo | None = None


def last(paths: Paths) -> Last:
    """Return what became of the last promotion of this server, as its documents tell; raise Refused if there was none,
    or if nobody knows any more."""
    promotion, undone = load_promotion(paths), load_undo(paths)
    if undone is not None and (promotion is None or not undone.finished_at):
        promotion = promotion or load_promotion(paths, kept_folder(paths, undone.epoch) / "promotion.json")
        if promotion is None:
            raise Refused(
                reason=f"the promotion to epoch {undone.epoch} was undone, and its report was removed since",
                hint="Nothing was changed.",
            )
        if not undone.finished_at:
            return Last(Ended(int(ExitCode.STEP), undo_sentence(paths), None), promotion, undone)
        outcome = undo.outcome_of(paths, undone)
        sentence = f"The promotion to epoch {undone.epoch} was undone at {local_time(undone.finished_at)}."
        return Last(Ended(int(outcome.exit_code), f"{sentence} {outcome.sentence}", None), promotion, undone)
    if promotion is None:
        raise Refused(reason="this server was never promoted", hint="Nothing was changed.")
    if not promotion.finished_at:
        said = promote.unfinished_sentence(paths) or "That promotion did not end."
        return Last(Ended(int(ExitCode.STEP), said, None), promotion)
    done = promote.outcome_of(paths)
    return Last(Ended(int(done.exit_code), done.sentence, None), promotion)
