"""`hotsync-promote --undo`: facts -> plan -> execute -> report; a promotion is given up, or undone after use."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import takewhile
from pathlib import Path

from hotsync.engine.execute import execute
from hotsync.engine.promotion import host as promotion_host
from hotsync.engine.promotion.clear_way import end_slave_run
from hotsync.engine.promotion.ground import Ground
from hotsync.engine.undo.databases import servers
from hotsync.engine.undo.files import UndoFiles
from hotsync.engine.undo.host import UndoHost
from hotsync.engine.undo.keep import Keeping
from hotsync.engine.watch import mail_folders
from hotsync.errors import ExitCode, HotSyncError, NoSpace, NotReady, Refused, SourceError, WrongRole
from hotsync.manifest.store import Manifest
from hotsync.model.identity import Role, RoleRecord
from hotsync.model.plan import Plan, Progress
from hotsync.model.promotion import Promotion
from hotsync.model.report import RunReport
from hotsync.model.undo import Undo, UndoFacts, Written, served_since
from hotsync.planning.undo import plan_undo
from hotsync.replica.reopen import LIVE, STATE
from hotsync.replica.space import free_bytes
from hotsync.state import leaving, store
from hotsync.state import promotion as document
from hotsync.state.configdb import configuration
from hotsync.state.hold import held
from hotsync.state.runs import Runs
from hotsync.state.undo import add_undo_note, add_undo_record, kept_folder, load_undo, unfinished_undo
from hotsync.steps.undo import NotePlaces
from hotsync.system import lock
from hotsync.system.clock import Clock
from hotsync.system.paths import Paths

COMMAND = "hotsync-promote --undo"
Say = Callable[[str], None]
SPARE = 256 * 1024 * 1024
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True)
class UndoProspect:
    """What an undo would do now, or what is left of one."""

    facts: UndoFacts
    plan: Plan
    written: Written

    @property
    def promotion(self) -> Promotion:
        """Return the promotion that is undone."""
        return self.facts.promotion


@dataclass(frozen=True, slots=True)
class UndoOutcome:
    """How an undo ended: its document, and the one sentence."""

    undo: Undo
    exit_code: ExitCode
    sentence: str


def prospect(paths: Paths, clock: Clock) -> UndoProspect:
    """Return what an undo would do; nothing is changed. Raise WrongRole, Refused, NotReady or NoSpace where it must
    not be done; one that has begun is never refused."""
    facts = read_facts(paths, clock)
    if facts.begun:
        return UndoProspect(facts, plan_undo(facts), facts.undo.written)
    since = facts.undo.served or clock.now()
    written = Written()
    if facts.tree_live:
        ground = Ground(paths)
        undo_files = UndoFiles(paths, facts.promotion)
        new = [*undo_files.new(ground.mounts), *(undo_files.queues(ground.mounts) if facts.undo.served else ())]
        written = Keeping(paths, facts.promotion, since, mail_folders(ground.profiles)).count(new)
    written = replace(written, servers=_servers(paths, clock) if facts.dumps else ())
    _check_room(paths, facts, written)
    return UndoProspect(facts, plan_undo(facts), written)


def read_facts(paths: Paths, clock: Clock) -> UndoFacts:
    """Return the facts of this host; raise WrongRole, Refused or NotReady where nothing could be undone."""
    role, boot = store.load_role(paths), _BOOT_ID.read_text().strip()
    begun = unfinished_undo(paths)
    if begun is not None:
        promotion = _promotion_of(paths, begun)
        return UndoFacts(role, promotion, begun, True, boot, tree_live=True, dumps=bool(begun.served))
    claimed = document.claimed_promotion(paths, role)
    if claimed is None:
        raise _nothing_to_undo(role)
    promotion = claimed
    if held(paths) is not None:
        raise Refused(
            reason="this server holds itself, since the other server has a higher epoch",
            hint="Leave it so; `hotsync status` shows why.",
        )
    _refuse_if_the_other_moves(paths, promotion)
    tree_live = _tree_is_of(paths, promotion)
    served = served_since(promotion)
    host = configuration(paths).props(["hotsync"]).get("hotsync", {}).get("MasterHost", "")
    peer = store.load_peer(paths)
    undo = Undo(
        epoch=promotion.epoch,
        generation=promotion.generation,
        began_at=clock.now(),
        was_master=role.role is Role.MASTER,
        served=served,
        master_host=host or (peer.address if peer is not None else ""),
    )
    return UndoFacts(role, promotion, undo, False, boot, tree_live=tree_live, dumps=bool(served))


def _promotion_of(paths: Paths, undo: Undo) -> Promotion:
    """Return the promotion that an undo is about, also where its document was put away already."""
    promotion = document.load_promotion(paths)
    if promotion is None or promotion.epoch != undo.epoch:
        promotion = document.load_promotion(paths, kept_folder(paths, undo.epoch) / "promotion.json")
    if promotion is None:
        raise NotReady(
            reason="the document of the promotion that is being undone is not there",
            hint=f"Put {document.document_path(paths)} back from a backup of this server.",
        )
    return promotion


def _nothing_to_undo(role: RoleRecord) -> HotSyncError:
    if role.role is Role.MASTER:
        return Refused(
            reason="this MASTER was not promoted by hotsync-promote, or that was too long ago",
            hint="A switchover makes the other server the MASTER.",
        )
    wanted = "a server that was promoted, or is being promoted"
    return WrongRole(role=role.role.in_words, command=COMMAND, wanted=wanted)


def _tree_is_of(paths: Paths, promotion: Promotion) -> bool:
    """Return whether the tree is in production; raise Refused if a generation came or went since."""
    props = configuration(paths).props(["hotsync"]).get("hotsync", {})
    with Manifest(paths.manifest) as manifest:
        same = (manifest.generation, manifest.digest) == (promotion.generation, promotion.digest)
        if not same or (promotion.finished_at and props.get("SlaveHost")):
            raise Refused(
                reason="a SLAVE has joined this server since its promotion, and has its generations",
                hint="To give production back, make a switchover to that server; then this one is its SLAVE.",
            )
        return manifest.meta(STATE) == LIVE


def _refuse_if_the_other_moves(paths: Paths, promotion: Promotion) -> None:
    """Raise Refused if the old MASTER has begun to move its data into a replica: nobody would be the MASTER then."""
    told = leaving.load_leaving(paths)
    if told is not None and promotion.finished_at and told.epoch in (0, promotion.epoch):
        raise Refused(
            reason="the old MASTER has begun to become the SLAVE of this server (hotsync rejoin): its data moves into "
            "a replica, so it could not serve again, and nobody would be the MASTER",
            hint="Let `hotsync rejoin` end there, and the first run here; then `hotsync-promote --planned` on that "
            "server gives production back to it.",
        )


def _servers(paths: Paths, clock: Clock) -> tuple[str, ...]:
    try:
        return tuple(dataset.name for _, dataset in servers(paths, clock))
    except (SourceError, OSError):
        return ()


def _check_room(paths: Paths, facts: UndoFacts, written: Written) -> None:
    """Raise NoSpace if what is kept aside would not fit."""
    dumps = sum(dump.size for dump in Ground(paths).master.dumps) if facts.dumps else 0
    needed = written.bytes + dumps * 2 + SPARE
    free = free_bytes(paths.state)
    if needed > free:
        raise NoSpace(needed=needed, free=free)


def run(paths: Paths, clock: Clock, force: bool, progress: Progress, say: Say) -> UndoOutcome:
    """Undo a promotion, or go on with it, to the end; raise Refused, Busy or StepFailed. What the unit runs."""
    notes = end_slave_run(paths, say, clock)
    with lock.held(paths.sync_lock, "run of HotSync"), leaving.locked(paths, wait=True):
        started = clock.now()
        while plan := plan_undo(facts := _facts_or_last(paths, clock)):
            undo_host = UndoHost(paths, clock, facts.promotion, facts.undo, force)
            host = replace(promotion_host.build(paths, clock).host, undo=undo_host)
            execute(_part(plan, facts), host, clock, lambda record: add_undo_record(paths, record), progress)
        for note in notes:
            add_undo_note(paths, note)
        undo = load_undo(paths)
        assert undo is not None
        outcome = outcome_of(paths, undo)
        Runs(paths.runs).add(_run_report(outcome, started, clock.now()))
        return outcome


def _facts_or_last(paths: Paths, clock: Clock) -> UndoFacts:
    """Return the facts; of an undo that has just ended, those of which no step is left."""
    last = load_undo(paths)
    if last is not None and last.finished_at and document.load_promotion(paths) is None:
        promotion = _promotion_of(paths, last)
        return UndoFacts(store.load_role(paths), promotion, last, True, "")
    return read_facts(paths, clock)


def _part(plan: Plan, facts: UndoFacts) -> Plan:
    """What goes back is known when everything stands still: up to there, then it is planned anew."""
    if facts.undo.noted or not any(isinstance(step, NotePlaces) for step in plan):
        return plan
    before = tuple(takewhile(lambda step: not isinstance(step, NotePlaces), plan))
    return (*before, NotePlaces())


def outcome_of(paths: Paths, undo: Undo) -> UndoOutcome:
    """Given an undo that is finished, return how it ended."""
    kept = kept_folder(paths, undo.epoch)
    sentence = f"This server is a SLAVE again, and epoch {undo.epoch} is released."
    if _has_written(undo.written):
        sentence += f" What was written meanwhile is in {kept}."
    if undo.notes:
        return UndoOutcome(undo, ExitCode.WARNINGS, f"{sentence} Look at {len(undo.notes)} notes.")
    return UndoOutcome(undo, ExitCode.DONE, sentence)


def _has_written(written: Written) -> bool:
    return written != Written()


def _run_report(outcome: UndoOutcome, started: float, ended: float) -> RunReport:
    return RunReport(
        COMMAND,
        started,
        ended,
        int(outcome.exit_code),
        outcome.sentence,
        generation=outcome.undo.generation,
        figures={"seconds": ended - started, "kept_files": float(outcome.undo.written.files)},
    )
