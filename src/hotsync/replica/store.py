"""The replica as others see it: one object, one lock, and a journal that is rolled forward before anything else."""

from __future__ import annotations

import json
import logging
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from hotsync.errors import Busy, NoSpace, ReplicaClosed, ReplicaError
from hotsync.manifest.store import Manifest
from hotsync.model.changeset import checked_path
from hotsync.model.generation import DatasetPoint, Generation, Retention
from hotsync.model.report import Notice
from hotsync.replica.arrival import make_ready, mark_durable
from hotsync.replica.back import Back, count_back, stage_back
from hotsync.replica.commit import Applying
from hotsync.replica.effects import Effects
from hotsync.replica.handles import Folders
from hotsync.replica.history import Difference, History
from hotsync.replica.journal import Commit, read_journal, write_journal
from hotsync.replica.keeping import Keeping
from hotsync.replica.layout import Layout
from hotsync.replica.ledger import Ledger
from hotsync.replica.prepare import Prepared, Sources, prepare
from hotsync.replica.proving import take_sums
from hotsync.replica.rebuild import is_lost, rebuild, render_note, take_tree
from hotsync.replica.reopen import LIVE, STATE, reopen
from hotsync.replica.restore import RestoreReport, Restoring, Told
from hotsync.replica.retention import Forgetting
from hotsync.replica.room import forget_refusal
from hotsync.replica.space import ballast_for, free_bytes, is_full, with_room, write_ballast
from hotsync.replica.state import ReplicaState, read_state
from hotsync.replica.verify import Verifying, VerifyReport
from hotsync.replica.work import Work
from hotsync.system.clock import Clock
from hotsync.system.files import sync_directory, sync_filesystem, write_atomic
from hotsync.system.lock import held

PATIENCE = 15.0
_STEP = 0.2

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Ready:
    """The answer to `begin`: planned paths that lie in staging already, their bytes, what was forgotten for room."""

    number: int
    present: int
    present_bytes: int
    free_bytes: int
    forgotten: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Opened:
    """The replica while its lock is held: rolled forward, its manifest open."""

    layout: Layout
    manifest: Manifest
    ledger: Ledger


class Replica:
    """The SLAVE's store of one MASTER. Every method takes the lock and rolls a journal forward first."""

    def __init__(
        self,
        root: Path,
        manifest: Path,
        clock: Clock,
        retention: Retention,
        lock: Path,
        effects: Effects | None = None,
    ) -> None:
        self.layout = Layout(root)
        self._manifest = manifest
        self._clock = clock
        self._lock = lock
        self._effects = effects or Effects()
        self._keeping = Keeping(self.layout, clock, retention, self._effects)
        self._opened: Opened | None = None

    @contextmanager
    def hold(self, patience: float = PATIENCE) -> Iterator[Opened]:
        """Hold the replica for several calls in a row; raise Busy if another process does for `patience` seconds."""
        if self._opened is not None:
            yield self._opened
            return
        with self._locked(patience), self._named():
            self.layout.make()
            with with_room(self.layout, partial(Manifest, self._manifest)) as manifest:
                ledger = with_room(self.layout, partial(Ledger, manifest))
                try:
                    self._opened = Opened(self.layout, manifest, ledger)
                    self._roll_forward(self._opened)
                    yield self._opened
                finally:
                    self._opened = None
                    ledger.close()

    @contextmanager
    def _locked(self, patience: float) -> Iterator[None]:
        with ExitStack() as stack:
            while True:
                try:
                    stack.enter_context(held(self._lock, "use of the replica"))
                    break
                except Busy:
                    if patience <= 0:
                        raise
                    patience -= _STEP
                    self._clock.sleep(_STEP)
            yield

    def recover(self) -> None:
        """Finish what a crash interrupted; raise NoSpace if there is no room to finish it."""
        with self.hold():
            pass

    def state(self) -> ReplicaState:
        """Return what is held; while another process works on the replica, what was committed last."""
        try:
            with self.hold(patience=0) as opened:
                return read_state(self.layout, opened.manifest, opened.ledger, self.closed)
        except Busy:
            with Manifest(self._manifest) as manifest:
                ledger = Ledger(manifest)
                try:
                    return read_state(self.layout, manifest, ledger, self.closed)
                finally:
                    ledger.close()

    def begin(self, number: int, base_digest: str, planned: Path, expected_bytes: int) -> Ready:
        """Given the planned changeset, make staging ready for it and make sure of the room it needs.

        Raise NoSpace before anything is sent, ReplicaClosed after a promotion, ReplicaError if the base is another.
        """
        with self.hold() as opened:
            self._open_for(opened.manifest, number, base_digest)
            present = make_ready(self.layout, number, planned, self._effects)
            # the peer's word counts only as far as its own plan bears it out
            coming = max(0, min(expected_bytes, present.planned_bytes) - present.bytes)
            forgotten = self._keeping.make_room(opened.ledger, number, coming, present.planned)
            write_ballast(self.layout, 0, self._effects)
            with_room(self.layout, partial(mark_durable, self.layout, number, self._clock.now_ns(), self._effects))
            return Ready(number, present.files, present.bytes, free_bytes(self.layout.root), tuple(forgotten))

    def staging_path(self, number: int) -> Path:
        """Return the folder that the files of a generation arrive in (0700)."""
        return self.layout.staging(number)

    def checkpoint(self, number: int) -> None:
        """Make what has arrived so far durable: after a power cut a resumed run need not send it again."""
        if self.layout.work(number).is_dir():
            mark_durable(self.layout, number, self._clock.now_ns(), self._effects)

    def commit(self, number: int, changes: Path, generation: Generation) -> Generation:
        """Given the final changeset of what lies in staging, make it the next generation; repeating it does no harm.

        Raise ProtocolError or ReplicaError, and leave the generation before, unless all of it is right.
        """
        with self.hold() as opened:
            if opened.manifest.generation == number and opened.manifest.digest == generation.digest:
                return self._last(opened.ledger)
            self._open_for(opened.manifest, number, opened.manifest.digest)
            entry = self._prepare(opened, number, changes, generation)
            write_journal(self.layout, entry, self._effects)
            self._apply(opened, entry)
            self._keeping.tidy(opened.manifest.generation, opened.ledger)
            return entry.generation

    def confirm(self, now: float, datasets: Sequence[DatasetPoint] = ()) -> Generation:
        """Note that a run found nothing changed since the last generation, and (if told) its datasets; return it."""
        with self.hold() as opened:
            last = self._last(opened.ledger)
            last = replace(last, confirmed_at=now, datasets=tuple(datasets) or last.datasets)
            with_room(self.layout, partial(opened.ledger.confirm, last))
            forget_refusal(self.layout)
            return last

    def generations(self) -> list[Generation]:
        """Return the generations that are held, oldest first."""
        with self.hold() as opened:
            return opened.ledger.generations()

    def diff(self, old: int, new: int) -> Iterator[Difference]:
        """Given two generations, return the paths that differ between them, in order; the lock is held meanwhile."""
        with self.hold() as opened:
            yield from History(self.layout, opened.manifest, opened.ledger).diff(old, new)

    def changed_in(self, path: str) -> list[int]:
        """Given a path, return the generations that are held in which it changed."""
        with self.hold() as opened:
            return History(self.layout, opened.manifest, opened.ledger).changed_in(checked_path(path))

    def restore(self, path: str, to: Path, at: int, told: Told | None = None) -> RestoreReport:
        """Given a path, write it below the folder `to` as it was in generation `at`, with all its metadata.

        Raise Refused if it exists there already (unless `to` is the root), ReplicaError if it did not exist then.
        """
        with self.hold() as opened:
            history = History(self.layout, opened.manifest, opened.ledger)
            history.held(at)
            return Restoring(self.layout, history, at, self.closed, told).run(checked_path(path), to)

    def count_back(self, to: int) -> Back:
        """Given a generation, return what going back to it would amount to; raise ReplicaError if it is not held."""
        with self.hold() as opened:
            return count_back(self.layout, History(self.layout, opened.manifest, opened.ledger), to)

    def go_back(self, to: int) -> tuple[Generation, list[Notice]]:
        """Make a generation that is what an older one was; return it, and what of that one the replica has lost.

        The newest so far stays in the history. Raise NoSpace, ReplicaClosed, or ReplicaError if it is not held.
        """
        with self.hold() as opened:
            manifest = opened.manifest
            history = History(self.layout, manifest, opened.ledger)
            wanted, number = history.held(to), manifest.generation + 1
            self._open_for(manifest, number, manifest.digest)
            back = stage_back(self.layout, history, to, (manifest.generation, manifest.digest), self._effects)
            changes = self.layout.work(number) / "back"
            return self.commit(number, changes, replace(wanted, digest=back.digest)), back.notices

    def verify(self, sample: int | None = None, seed: int | None = None) -> VerifyReport:
        """Compare the tree with the manifest, and content with its sums (of `sample` files only); change nothing."""
        self.recover()
        if reason := self.closed:
            raise ReplicaClosed(reason=reason)
        with self._named():
            return Verifying(self.layout, self._manifest, self.hold, seed).run(sample)

    def take_sums(self) -> None:
        """Make sure that the content of every file in the tree has a sum; raise ReplicaClosed after a promotion.

        Files that arrived have one; those of a tree whose manifest was made anew are read now, without the lock.
        """
        self.recover()
        with self._named():
            take_sums(self.layout, self._manifest, self._hold_open)

    @contextmanager
    def _hold_open(self) -> Iterator[Opened]:
        with self.hold() as opened:
            if reason := self.closed:
                raise ReplicaClosed(reason=reason)
            yield opened

    def close(self, reason: str) -> None:
        """Take no generation any more: a promotion has claimed, the tree is live."""
        with self.hold(), self._effects("close"):
            document = {"reason": reason, "closed_at": self._clock.now()}
            write_atomic(self.layout.closed, json.dumps(document).encode(), mode=0o600)

    def open_with_tree(self, generation: Generation) -> None:
        """Make what lies in the tree this generation, and take further ones from now on."""
        with self.hold() as opened:
            take_tree(self.layout, opened.manifest, opened.ledger, generation)
            with self._effects("sync"):
                sync_filesystem(self.layout.root)
            self.layout.closed.unlink(missing_ok=True)
            sync_directory(self.layout.root)

    @property
    def closed(self) -> str:
        """Return why the replica is closed, "" while it is open."""
        try:
            return str(json.loads(self.layout.closed.read_bytes())["reason"])
        except FileNotFoundError:
            return ""
        except (ValueError, KeyError, TypeError):
            return "its mark is damaged"  # closed all the same: what is live must not be written to

    def reopen(self, since: float, epoch: int) -> Generation | None:
        """Take generations again after a promotion that was undone: its tree is back, and was in production `since`.

        What was touched there becomes a generation of its own, which is returned; None if nothing was. Doing it again
        is fine. Raise ReplicaError or OSError.
        """
        with self.hold() as opened:
            made = None
            if opened.manifest.meta(STATE) == LIVE:
                now = self._clock.now()
                made = reopen(self.layout, opened.manifest, opened.ledger, self._effects, since, epoch, now)
            with self._effects("open"):
                self.layout.closed.unlink(missing_ok=True)
                sync_directory(self.layout.root)
            return made

    def _roll_forward(self, opened: Opened) -> None:
        entry = read_journal(self.layout)
        forgetting = Forgetting(self.layout, opened.ledger, self._effects)
        if isinstance(entry, Commit):
            log.warning("rolling generation %d forward", entry.number)
            self._apply(opened, entry)
        elif entry is not None:
            with_room(self.layout, partial(forgetting.finish, entry))
        if is_lost(self.layout, opened.manifest) and not self.closed:
            with_room(self.layout, partial(rebuild, self.layout, opened.manifest, opened.ledger))
        for path in self.layout.root.glob(".*.*"):  # what a crash left of files that were being written
            path.unlink()
        forgetting.clean()
        self._keeping.drop_stale(opened.manifest.generation)

    def _apply(self, opened: Opened, entry: Commit) -> None:
        Applying(self.layout, opened.manifest, opened.ledger, self._effects, entry).run()
        forget_refusal(self.layout)

    def _open_for(self, manifest: Manifest, number: int, base_digest: str) -> None:
        if reason := self.closed:
            raise ReplicaClosed(reason=reason)
        if number != manifest.generation + 1 or base_digest != manifest.digest:
            raise ReplicaError(
                reason=f"it is at generation {manifest.generation} and cannot take generation {number} on this base",
                hint="The MASTER fetches this server's manifest and goes on from there; run hotsync again.",
            )

    def _prepare(self, opened: Opened, number: int, changes: Path, generation: Generation) -> Commit:
        """Do all that can fail; nothing of it is seen by anybody."""
        work = Work(self.layout.work(number))
        for folder in (work.folder, self.layout.staging(number), self.layout.history(number)):
            folder.mkdir(mode=0o700, exist_ok=True)
        with Folders(self.layout.tree) as tree, Folders(self.layout.staging(number)) as staging:
            sources = Sources(tree, staging, opened.manifest, opened.ledger, self._effects)
            prepared = prepare(sources, changes, work, opened.manifest.digest)
        if prepared.digest != generation.digest:
            raise ReplicaError(
                reason=f"the changeset of generation {number} does not have the digest that was announced",
                hint="The last generation is untouched; the next run sends it anew.",
            )
        for warning in prepared.warnings:
            log.warning("generation %d: %s", number, warning)
        completed = self._completed(generation, number, prepared)
        work.path("generation").write_bytes(render_note(completed))
        write_ballast(self.layout, prepared.changed + prepared.deleted, self._effects)
        with self._effects("sync"):
            sync_filesystem(self.layout.root)
        return Commit(number, opened.manifest.digest, completed)

    def _completed(self, generation: Generation, number: int, prepared: Prepared) -> Generation:
        now = self._clock.now()
        return replace(
            generation,
            number=number,
            committed_at=now,
            confirmed_at=now,
            changed=prepared.changed,
            deleted=prepared.deleted,
            bytes=prepared.bytes,
            unsettled=prepared.unsettled,
        )

    def _last(self, ledger: Ledger) -> Generation:
        held_generations = ledger.generations()
        if not held_generations:
            raise ReplicaError(reason="it holds no generation yet", hint="Run `hotsync` on the MASTER.")
        return held_generations[-1]

    @contextmanager
    def _named(self) -> Iterator[None]:
        """Give the errors of disk and database a sentence and a hint."""
        try:
            yield
        except OSError as error:
            if is_full(error, self.layout.root):
                raise NoSpace(needed=ballast_for(0), free=free_bytes(self.layout.root)) from error
            raise ReplicaError(reason=f"{error.filename or self.layout.root}: {error.strerror}") from error
        except sqlite3.Error as error:
            raise ReplicaError(reason=f"{self._manifest}: {error}") from error
        except ReplicaError as error:
            if not isinstance(error, NoSpace) and is_full(error, self.layout.root):
                raise NoSpace(needed=ballast_for(0), free=free_bytes(self.layout.root)) from error
            raise
