"""`hotsync-promote`: facts -> plan -> execute -> report; the part that looks, and the part that the unit runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from hotsync.backends import production_units
from hotsync.engine.execute import execute
from hotsync.engine.network import own_database
from hotsync.engine.network.coming_back import go_back
from hotsync.engine.one_master import switchover
from hotsync.engine.one_master.hold import refuse_if_held
from hotsync.engine.one_master.still_served import refuse_if_outrun
from hotsync.engine.open_replica import open_replica
from hotsync.engine.promotion import host as promotion_host
from hotsync.engine.promotion.clear_way import end_slave_run
from hotsync.engine.promotion.facts import read_facts
from hotsync.engine.promotion.host import PromotionParts
from hotsync.engine.promotion.loads import names_of
from hotsync.engine.promotion.master_facts import check_spool, spool_of_tree
from hotsync.engine.status import holdings
from hotsync.errors import ExitCode, NotPromotable, Refused, UsageError
from hotsync.flows import promote_look as look
from hotsync.flows.promote_answers import Answers
from hotsync.flows.promote_network import plan_for
from hotsync.flows.promote_past import Past, drop_views, gone_back
from hotsync.flows.promote_preflight import read_preflight
from hotsync.flows.undoing import refuse_if_undoing, undo_sentence
from hotsync.model.data_age import ages_of_dumps
from hotsync.model.fence import FenceResult, Tier
from hotsync.model.generation import Generation, data_moment
from hotsync.model.identity import Role, RoleRecord
from hotsync.model.loss import LossStatement
from hotsync.model.mute import mutable
from hotsync.model.network.trial import Why
from hotsync.model.plan import Plan, Progress
from hotsync.model.promotion import NetworkPlan, Promotion, PromotionFacts
from hotsync.model.readable import readable
from hotsync.model.report import Check, RunReport, Verdict, worst
from hotsync.model.switchover import with_handed
from hotsync.planning.estimate import estimate
from hotsync.planning.exchange import Layout, Surroundings, exchange_layout
from hotsync.planning.preflight import SILENT, PreflightFacts, check_all, refuse
from hotsync.planning.promote import plan_promote
from hotsync.state import promotion as document
from hotsync.state import store
from hotsync.state.boot_hold import load_boot_hold, sentence_of
from hotsync.state.runs import Runs
from hotsync.system import lock
from hotsync.system.clock import Clock, SystemClock
from hotsync.system.paths import Paths
from hotsync.transport.presence import load_presence

COMMAND = "hotsync-promote"
_TYPED = FenceResult(Tier.PERSON, True, "typed before the promotion")
Say = Callable[[str], None]
_FORCED = "The MASTER did not confirm that it had stood still; this went on by a person's word."


@dataclass(frozen=True)
class Prospect:
    """What a promotion would do now, or what is left of one: facts, plan, and the checks that speak for or against.

    `stopping`: of a switchover, the units that the MASTER stops. `undone`: what going back to an older generation would
    undo, while that is not the newest yet, and `becomes` the number that it gets.
    """

    facts: PromotionFacts
    plan: Plan
    checks: tuple[Check, ...]
    resumed: bool
    layout: Layout = field(default_factory=lambda: Layout((), ()))
    stopping: tuple[str, ...] = ()
    undone: LossStatement | None = None
    becomes: int = 0

    @property
    def promotion(self) -> Promotion:
        """Return the promotion that is claimed or would be."""
        return self.facts.promotion

    @property
    def seconds(self) -> float:
        """Return about how long it takes."""
        return estimate(self.plan, self.facts)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a promotion ended: its document, and the one sentence."""

    promotion: Promotion
    exit_code: ExitCode
    sentence: str


def slave_run_stamp(paths: Paths) -> Path:
    """Return the file that hotsync-slave writes at the end of each run."""
    return paths.state / "slave-run.json"


def prospect(paths: Paths, answers: Answers, clock: Clock | None = None, past: Past | None = None) -> Prospect:
    """Given the answers, return what a promotion would do; nothing is changed. `past`: with this older generation, and
    paths as they are viewed with it.

    Raise WrongRole, NotPromotable or PeerStillAlive where it must not be done. One that is claimed is refused only
    where the other server was made the MASTER again since, or this boot found production's addresses with somebody who
    answers still; raise RestoreFailed if its databases can be read no more.
    """
    clock = clock or SystemClock()
    refuse_if_undoing(paths)
    role = store.load_role(paths)
    parts = promotion_host.build(paths, clock)
    if claimed := document.unfinished_promotion(paths, role):
        if role.role is Role.MASTER:
            refuse_if_held(paths)  # what is left of it would start production
        else:
            check_spool(paths)  # what cannot be read would be no databases, and no rules
            refuse_if_outrun(paths, clock, claimed.epoch)
        if answers.planned and not claimed.planned:
            raise Refused(
                reason="a promotion has begun already that is no switchover",
                hint="Run hotsync-promote without --planned to go on with it.",
            )
        if answers.force:
            claimed = replace(claimed, planned=False)  # a person's word instead of the MASTER's
        claimed = _with_answer(parts, claimed, answers)
        claimed = replace(claimed, without=_left_out(parts, answers, claimed.without))
        facts = read_facts(paths, claimed, parts.ground, parts.etc)
        return Prospect(facts, plan_promote(facts), _asked_again(parts, claimed, role, answers), resumed=True)
    refuse(PreflightFacts(role, generation=1, slave_ran=True), force=True)  # the wrong role, before anything is read
    generation = holdings(paths, Role.SLAVE)
    slave_ran = slave_run_stamp(paths).exists()
    refuse(PreflightFacts(role, generation.number if generation else 0, slave_ran), force=True)
    assert generation is not None
    if past is not None:
        seen = _fresh(parts, past.generation, replace(answers, back=past.back), clock)
        return replace(seen, undone=past.undone, becomes=past.becomes)
    if answers.generation not in (0, generation.number):
        raise NotPromotable(
            reason=f"generation {generation.number} has arrived since generation {answers.generation} was made",
            hint="The MASTER still sends. Switch it off, then run hotsync-promote again.",
        )
    return _fresh(parts, generation, answers, clock)


def _asked_again(parts: PromotionParts, claimed: Promotion, role: RoleRecord, answers: Answers) -> tuple[Check, ...]:
    """Where this boot did not take production's addresses, return whether the MASTER is silent, asked as before any
    promotion; raise PeerStillAlive if it is not, and nothing is forced."""
    takes_addresses = role.role is Role.SLAVE and claimed.network.choice.takes_addresses
    if not takes_addresses or load_boot_hold(parts.paths, claimed.epoch) is None:
        return ()
    signs = look.life_of_master(parts.paths, parts.ground, claimed.network)()
    asked = PreflightFacts(role, generation=1, slave_ran=True, signs_of_life=signs)
    refuse(asked, force=answers.force)
    return tuple(check for check in check_all(asked) if check.name == SILENT)


def _with_answer(parts: PromotionParts, claimed: Promotion, answers: Answers) -> Promotion:
    """Return a claimed promotion with another answer about the network, where one is given; raise NotPromotable if /etc
    has been exchanged with this server's own network in it."""
    choice, pairs = answers.network, answers.pairs
    if choice is None or (choice is claimed.network.choice and pairs in ((), claimed.network.pairs)):
        return claimed
    if not choice.takes_addresses:
        return replace(claimed, network=NetworkPlan(choice, not_taken=claimed.network.of_production))
    if parts.etc.is_exchanged(claimed):
        raise NotPromotable(
            reason="the network that was chosen before is part of /etc already",
            hint="Run hotsync-promote without --network; then give this server the MASTER's addresses by hand.",
        )
    return replace(claimed, network=plan_for(parts, choice, pairs, asked=True).plan)


def _left_out(parts: PromotionParts, answers: Answers, before: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Return all that is to be left out, with what was said before; raise UsageError if no dump has that name."""
    known = set(names_of(spool_of_tree(parts.paths), parts.ground.master.dumps)) if answers.without else set[str]()
    if unknown := [name for name in answers.without if name not in known]:
        listed = f"There are: {readable(', '.join(sorted(known)))}." if known else "There are none."
        raise UsageError(reason=f"--without: no database is called {readable(', '.join(unknown))}", hint=listed)
    return tuple(dict.fromkeys((*before, *answers.without)))


def _keep_answer(paths: Paths, seen: Prospect) -> None:
    """Write down the answers that a continued promotion goes on with."""
    document.leave_out(paths, seen.promotion.without)
    before = document.load_promotion(paths)
    if before is not None and before.planned and not seen.promotion.planned:
        document.set_unplanned(paths)
        document.add_note(paths, _FORCED)
    network = seen.promotion.network
    if before is None or before.network == network:
        return
    document.set_network(paths, network)
    if not network.choice.takes_addresses and seen.facts.etc_exchanged:
        document.add_note(
            paths,
            go_back(paths, Why.CHOSEN).said
            or "The network files in /etc are the MASTER's: they were in place when this server's network was chosen. "
            "Look at them before the next boot; its own are with what was set aside.",
        )


def readiness(paths: Paths, clock: Clock) -> Prospect:
    """Return what a promotion would do and every check, also red ones; whether the MASTER lives is not asked.

    Raise NotPromotable if there is no generation to promote.
    """
    generation = holdings(paths, Role.SLAVE)
    if generation is None:
        raise NotPromotable(reason="it holds no generation yet")
    return _fresh(promotion_host.build(paths, clock), generation, None, clock)


def _fresh(parts: PromotionParts, generation: Generation, wanted: Answers | None, clock: Clock) -> Prospect:
    """Read, check and plan; without answers nothing is refused, and the MASTER is not asked for signs of life."""
    paths, ground = parts.paths, parts.ground
    answers = wanted or Answers()
    asked = wanted is not None and not answers.undecided
    network = plan_for(parts, answers.network, answers.pairs, asked=asked)
    alive = look.life_of_master(paths, ground, network.plan) if wanted and not answers.planned else None
    difference = load_presence(paths).clock_difference
    tree, live_root = ground.listings
    kept = ground.kept | own_database.kept(paths, network.plan.choice)
    around = Surroundings(ground.selection, kept, ground.mounts, ground.device, ground.is_sqlite)
    layout = exchange_layout(tree, live_root, around)
    promotion = Promotion(
        epoch=store.load_role(paths).next_epoch,
        generation=generation.number,
        digest=generation.digest,
        started_at=clock.now(),
        collected_at=generation.collected_at,
        confirmed_at=data_moment(generation, difference),
        network=network.plan,
        units=layout.units,
        folders=layout.folders,
        running=tuple(sorted(production_units.active_units())),
        servers=ages_of_dumps(generation, difference),
        fences=(_TYPED,) if wanted and wanted.typed else (),
        planned=answers.planned,
        back=answers.back,
        notes=answers.notes,
        without=_left_out(parts, answers),
    )
    if answers.handed is not None:
        promotion = with_handed(promotion, answers.handed)
    preflight = read_preflight(parts, promotion, layout, network.found, asked=wanted is not None)
    promotion = replace(promotion, notes=(*promotion.notes, *ground.own_disks.notes(preflight.disks)))
    preflight = replace(preflight, network=network.heard())
    if alive is not None:
        preflight = replace(preflight, signs_of_life=alive())  # silence took its time while all else was read
    if answers.planned and answers.handed is None:
        preflight = replace(preflight, handover_fault=switchover.fault(paths, clock))
    if wanted:
        refuse(preflight, force=wanted.force)
    facts = read_facts(paths, promotion, ground, parts.etc)
    databases = {dump.unit for dump in facts.databases}
    stopping = tuple(
        unit for unit in ground.production if mutable((unit,), ground.master.handmade) and unit not in databases
    )
    return Prospect(facts, plan_promote(facts), check_all(preflight), False, layout, stopping)


def run(paths: Paths, answers: Answers, progress: Progress, clock: Clock, say: Say) -> Outcome:
    """Promote, or go on with it, to the end; raise Refused, Busy or StepFailed. What the unit runs."""
    answers = replace(answers, notes=(*answers.notes, *end_slave_run(paths, say, clock)))
    with lock.held(paths.sync_lock, "run of HotSync"):
        started = clock.now()
        if paths.replica.is_dir():
            open_replica(paths, clock).recover()
            drop_views(paths)
        if answers.back is not None and not _has_begun(paths):
            with gone_back(paths, clock, answers.back, say) as (number, notes):
                answers = replace(answers, generation=number, notes=(*answers.notes, *notes))
                _carry_out(paths, prospect(paths, answers, clock), progress, clock, say)
            return _ended(paths, started, clock)
        seen = prospect(paths, answers, clock)
        if answers.planned and not seen.resumed:
            with switchover.handed_over(paths, clock, say) as handed:
                answers = replace(answers, generation=handed.generation, handed=handed)
                _carry_out(paths, prospect(paths, answers, clock), progress, clock, say, handed.claim_until)
        else:
            if seen.resumed:
                _keep_answer(paths, seen)
                if answers.typed:
                    document.add_fence(paths, _TYPED)
                for note in answers.notes:
                    document.add_note(paths, note)
            _carry_out(paths, seen, progress, clock, say)
        return _ended(paths, started, clock)


def _has_begun(paths: Paths) -> bool:
    """Return whether a promotion has claimed; raise WrongRole where there can be none."""
    role = store.load_role(paths)
    if document.unfinished_promotion(paths, role) is not None:
        return True
    refuse_if_undoing(paths)
    refuse(PreflightFacts(role, generation=1, slave_ran=True), force=True)
    return False


def _ended(paths: Paths, started: float, clock: Clock) -> Outcome:
    outcome = outcome_of(paths)
    Runs(paths.runs).add(_run_report(outcome, started, clock.now()))
    return outcome


def _carry_out(
    paths: Paths, seen: Prospect, progress: Progress, clock: Clock, say: Say, claim_until: float | None = None
) -> None:
    parts = promotion_host.build(paths, clock, claim_until, say)
    epoch = seen.promotion.epoch
    execute(seen.plan, parts.host, clock, lambda record: document.add_record(paths, record, epoch), progress)


def outcome_of(paths: Paths) -> Outcome:
    """Return how this server's last promotion, which is finished, has ended; raise Refused if there is none."""
    promotion = document.load_promotion(paths)
    if promotion is None:
        raise Refused(reason="the promotion of this server has no document any more")
    verdict = worst(promotion.checks)
    took = sum(record.ended_at - record.started_at for record in promotion.records)
    sentence = f"This server is MASTER now, with the data of generation {promotion.data_of}; it took {took:.0f} s."
    if promotion.planned:
        sentence += f" Production stood still for {promotion.still_seconds:.0f} s, and {promotion.lost_by_plan}."
    if verdict is Verdict.GREEN and not promotion.notes:
        return Outcome(promotion, ExitCode.DONE, sentence)
    bad = sum(1 for check in promotion.checks if check.verdict is not Verdict.GREEN)
    found = [
        f"{count} {what}{'s' if count > 1 else ''}"
        for count, what in ((bad, "check"), (len(promotion.notes), "note"))
        if count
    ]
    return Outcome(promotion, ExitCode.WARNINGS, f"{sentence} Look at {' and '.join(found)}.")


def _run_report(outcome: Outcome, started: float, ended: float) -> RunReport:
    return RunReport(
        COMMAND,
        started,
        ended,
        int(outcome.exit_code),
        outcome.sentence,
        generation=outcome.promotion.generation,
        figures={"seconds": ended - started, "data_age_seconds": started - outcome.promotion.confirmed_at},
    )


def unfinished_sentence(paths: Paths) -> str:
    """Return what is to be said of a promotion that is not finished, or being undone, "" if there is none."""
    if said := undo_sentence(paths):
        return said
    role = store.load_role(paths)
    promotion = document.unfinished_promotion(paths, role)
    if promotion is None:
        return ""
    if role.role is Role.MASTER:
        return "This server is MASTER; a little of its promotion is left to do. Run hotsync-promote to finish it."
    unfinished = f"A promotion of this server to epoch {promotion.epoch} is UNFINISHED: it serves nothing yet."
    if hold := load_boot_hold(paths, promotion.epoch):
        return f"{unfinished} {sentence_of(hold)}"
    return f"{unfinished} Run hotsync-promote: it goes on where it stopped."
