"""The MASTER as a sync run sees it: collects, selects, detects, guards, and delivers to the SLAVE."""

from __future__ import annotations

import logging
import socket
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Self

from hotsync import __version__
from hotsync.changes import guard
from hotsync.changes.detect import Detection, detect, mount_table
from hotsync.changes.proofs import Proofs
from hotsync.config.schema import Settings
from hotsync.engine.one_master.hold import refuse_if_held
from hotsync.engine.standby.streaming import tend_all
from hotsync.engine.sync.collect import Collected, collect, last_rules
from hotsync.engine.sync.copies import completed, show_copies, show_last_copies
from hotsync.engine.sync.delivery import Delivery, deliver
from hotsync.engine.sync.preview import Preview, rows_of
from hotsync.engine.sync.select import Selected, build_selection
from hotsync.errors import EpochReleased, Held, HotSyncError, NotPaired, PeerBusy, StaleEpoch
from hotsync.manifest.changeset_file import digest_of_file, read_changes
from hotsync.manifest.store import Manifest
from hotsync.model.entry import Entry
from hotsync.model.generation import Generation
from hotsync.model.guard import GuardRule
from hotsync.model.hold import HeardBy
from hotsync.model.identity import Peer, Role, RoleRecord
from hotsync.model.report import Notice
from hotsync.model.selection import Selection
from hotsync.model.stamps import doubt_ns
from hotsync.model.sync_rules import Standing, Start, check_may_sync, where_to_start
from hotsync.sources.followed import Pace, is_followed
from hotsync.sources.shadows.shadows import Shadows
from hotsync.state.hold import note_released, note_superseded
from hotsync.state.sent import load_sent, save_sent
from hotsync.state.settings import load_settings
from hotsync.state.store import load_peer, load_role, save_peer
from hotsync.system.clock import Clock
from hotsync.system.paths import Paths
from hotsync.system.room import Floor
from hotsync.transport.client import Callee, Limits, Ours, PeerLink
from hotsync.transport.fetch import floor_below
from hotsync.transport.guessing import Guard as GuessGuard
from hotsync.transport.rsync import TransferProgress
from hotsync.transport.tls import load_identity

_log = logging.getLogger("hotsync.sync")

Say = Callable[[str, "TransferProgress | None"], None]
"""Called with the phase, and with figures while content travels."""

# what was collected just now must not look as if it were still being written: beyond what the coarse-clock rule asks
_SETTLED_NS = 30_000_000
_ROW = 200  # bytes that an entry takes on the disk besides its path, roughly
_TAKEN = "taken"  # in the manifest: the digest of the generation whose entries are those that the SLAVE told
# longer than an attempt at pairing can take: nobody should have to start a run again because the daemon was pairing
_PAIRING_LOOK_SECONDS, _PAIRING_LOOKS = 0.5, 90


@dataclass(slots=True)
class SyncHost:
    """This MASTER, ready for one run; `last`: production stands still, and nothing may stay behind."""

    paths: Paths
    clock: Clock
    settings: Settings
    role: RoleRecord
    peer: Peer | None
    notices: list[Notice] = field(default_factory=list[Notice])
    last: bool = False

    @classmethod
    def of_this_machine(cls, paths: Paths, clock: Clock) -> Self:
        """Read settings, role and peer; raise ConfigError with all faults."""
        return cls(paths, clock, load_settings(paths), load_role(paths), load_peer(paths))

    def check_may_sync(self, *, pairing: bool, by_hand: bool = False) -> None:
        """Raise the error that says why this host may not sync; with `pairing`, pair first if that is all it lacks.

        A person at the keyboard (`by_hand`) does not wait for what failed before.
        """
        settings = self.settings
        refuse_if_held(self.paths)
        try:
            check_may_sync(self.role, settings.role, settings.enabled, self.peer, settings.slave_host)
        except NotPaired:
            if not pairing or not settings.password:
                raise
            self.peer = self._pair(by_hand)

    @property
    def _ours(self) -> Ours:
        name = "".join(sign for sign in socket.gethostname() if sign.isalnum() or sign in ".-") or "localhost"
        return Ours(self.role.highest_epoch, Role.MASTER, name, __version__, self.settings.interval_minutes)

    def _pair(self, by_hand: bool) -> Peer:
        """Pair now, unless the daemon just did; while it is at it, wait for what comes of it."""
        # loaded once in a pair's life, like the cryptography below
        from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_fixed

        waiting = Retrying(
            retry=retry_if_exception_type(PeerBusy),
            wait=wait_fixed(_PAIRING_LOOK_SECONDS),
            stop=stop_after_attempt(_PAIRING_LOOKS),
            sleep=self.clock.sleep,
            reraise=True,
        )
        return waiting(self._pair_once, by_hand)

    def _pair_once(self, by_hand: bool) -> Peer:
        from hotsync.transport.pairing import Caller, pair

        known = load_peer(self.paths)
        if known is not None:
            return known
        settings = self.settings
        callee = Callee(settings.slave_host, settings.slave_port, self._ours, load_identity(self.paths), "")
        caller = Caller(callee, settings.password, lambda peer: save_peer(self.paths, peer))
        return pair(caller, GuessGuard(self.paths, self.clock), self.clock, by_hand=by_hand)

    @contextmanager
    def connect(self) -> Iterator[PeerLink]:
        """Return the control connection to the SLAVE."""
        assert self.peer is not None
        settings = self.settings
        limits = Limits(settings.stall_seconds, settings.clock_skew_seconds, settings.bandwidth_limit)
        try:
            link = PeerLink.connect(
                self.paths, settings.slave_host, settings.slave_port, load_identity(self.paths), self.peer, self._ours,
                self.clock, limits,
            )  # fmt: skip
        except StaleEpoch as error:
            if isinstance(theirs := error.facts.get("theirs"), int):
                note_superseded(self.paths, self.role, theirs, HeardBy.CALLING, self.clock.now())
            raise
        except EpochReleased as error:
            if isinstance(theirs := error.facts.get("theirs"), int):
                note_released(self.paths, self.role, theirs)
            raise
        with link:
            yield link

    # --- where both sides stand ---------------------------------------------------------------------------------------

    def reconcile(self, link: PeerLink) -> None:
        """Bring our manifest to where the SLAVE stands: it may have committed what we did not hear of."""
        theirs = Standing(link.welcome.generation, link.welcome.digest)
        self.paths.outbox.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self.manifest() as manifest:
            ours = Standing(manifest.generation, manifest.digest)
            outbox = self._outbox(ours)
            match where_to_start(ours, theirs, outbox):
                case Start.SAME:
                    pass
                case Start.OUTBOX:
                    _log.info("The SLAVE had committed generation %d; our manifest follows.", theirs.generation)
                    manifest.apply(read_changes(self._outbox_file(theirs.generation)), theirs.generation, theirs.digest)
                case Start.FETCH:
                    _log.warning(
                        "The manifest differs from the SLAVE's (here %d, there %d): taking the SLAVE's.",
                        ours.generation, theirs.generation,
                    )  # fmt: skip
                    self._fetch(link, manifest, theirs)
            if manifest.meta(_TAKEN) == theirs.digest:
                link.fetch_sums(self._sums)

    def _fetch(self, link: PeerLink, manifest: Manifest, theirs: Standing) -> None:
        file = self.paths.outbox / "fetched"
        link.fetch_manifest(file)
        try:
            with floor_below(self.paths.outbox) as floor:
                manifest.set_meta(_TAKEN, theirs.digest)
                manifest.replace(_entries_in(file, floor), theirs.generation, theirs.digest)
        finally:
            file.unlink()

    @property
    def _sums(self) -> Path:
        """Return where the sums of the SLAVE's files lie while its manifest was taken and nothing was sent since."""
        return self.paths.outbox / "sums"

    def _outbox(self, ours: Standing) -> Standing | None:
        file = self._outbox_file(ours.generation + 1)
        if not file.exists():
            return None
        try:
            return Standing(ours.generation + 1, digest_of_file(file, ours.digest))
        except HotSyncError:
            return None  # it was cut while it was written: then it was never sent

    def _outbox_file(self, number: int) -> Path:
        return self.paths.outbox / f"{number}.changes"

    @contextmanager
    def manifest(self) -> Iterator[Manifest]:
        """Return the manifest, open."""
        self.paths.state.mkdir(mode=0o700, parents=True, exist_ok=True)
        with Manifest(self.paths.manifest) as manifest:
            yield manifest

    # --- what is to be sent -------------------------------------------------------------------------------------------

    def collect(self, link: PeerLink, say: Say) -> Collected:
        """Collect what must not be copied live; what fails keeps its last good copy.

        In the last run every server is dumped, also one that the SLAVE follows: what is loaded if its standby does not
        start is not older. The mail that waits is carried: nothing of it is delivered here any more.
        """
        pace = Pace(self.settings.stream_dump_minutes * 60.0, partial(is_followed, told=partial(_applied_there, link)))
        return collect(
            self.paths, self.clock, databases=self.settings.databases.carried,
            elsewhere=self.settings.dumped_by_plugin,
            mail_queue=self.settings.mail_queue or self.last,
            say=lambda phase: say(phase, None),
            pace=pace if self.settings.streams and not self.last else None,
        )  # fmt: skip

    def tend_streams(self) -> list[Notice]:
        """See to it that no database server keeps too much of its log for the SLAVE, whatever runs beside this."""
        keep = self.settings.stream_keep_mb if self.settings.streams else 0
        return [
            Notice("stream.overrun" if keep else "stream.ended", sentence) for sentence in tend_all(self.paths, keep)
        ]

    def shadows(self, *, make: bool = True) -> Shadows:
        """Return who shows, to this run only and while a block with it lasts, sound copies of SQLite and TDB files."""
        return Shadows(self.paths, self.clock, make=make)

    def detect(self, collected: Collected, shadows: Shadows, say: Say) -> tuple[Detection, Selected, Collected]:
        """Find what differs from the last generation; what was collected is complete then.

        The plan lies beside the outbox, not in it: the SLAVE may still be committing what was sent from there.
        """
        selected, planned = build_selection(self.paths, collected.rules), self.paths.outbox / "planned"
        # what is mounted is read before shadows are: they are nobody's mounts
        table = mount_table(self.paths.root)
        frozen = show_copies(self.paths, self.clock, self.settings, selected, shadows, lambda phase: say(phase, None))
        self.clock.sleep(self._until_settled())
        say("Looking for changes", None)
        with self.manifest() as manifest:
            taken = manifest.meta(_TAKEN) == manifest.digest
            proofs = Proofs(self.paths.root, self._sums) if taken else None
            detection = detect(
                self.paths.root, selected.rules, manifest, planned, self.clock, selected.mounts, manifest.digest,
                table=table, copies=shadows, proofs=proofs,
            )  # fmt: skip
        if proofs is not None:
            _log.info("The SLAVE has %d bytes already: they need not be sent.", proofs.proven_bytes)
        shadows.finish()
        return detection, selected, completed(collected, frozen, shadows)

    def _until_settled(self) -> float:
        """Return for how many seconds what was collected just now looks as if it were still being written."""
        status = self.paths.state.stat()
        return (doubt_ns(status.st_mtime_ns, status.st_ctime_ns) + _SETTLED_NS) / 1e9

    def lacking(self, selected: Selected) -> list[Notice]:
        """Return what an application needs and these settings leave out."""
        sentences = () if self.settings.databases.carried else selected.lacking
        return [Notice("databases.needed", sentence) for sentence in sentences]

    def guard(self, detection: Detection, selected: Selected, *, accepted: bool) -> None:
        """Raise Held if the changes look like an accident, unless they were accepted."""
        with self.manifest() as manifest:
            reasons = self._reasons(manifest, detection, selected.rules)
        if reasons and not accepted:
            raise Held(reason="; ".join(reasons))
        for reason in reasons:
            _log.warning("accepted by the administrator: %s", reason)

    def _reasons(self, manifest: Manifest, detection: Detection, selection: Selection) -> tuple[str, ...]:
        rule = GuardRule(share=self.settings.guard_share, files=self.settings.guard_files)
        return guard.check(manifest, selection, detection, rule)

    def preview(self, say: Say) -> Preview:
        """Return what a run would send, from what was collected last; nothing is left behind, not even a manifest."""
        say("Looking for changes", None)
        site = last_rules(self.paths, mail_queue=self.settings.mail_queue)
        with tempfile.TemporaryDirectory(prefix="hotsync-preview-") as folder:
            known, out = self.paths.manifest, Path(folder) / "changes"
            with (
                Manifest(known if known.exists() else Path(folder) / "manifest.db") as manifest,
                self.shadows(make=False) as shadows,
            ):
                selected, table = build_selection(self.paths, site.rules), mount_table(self.paths.root)
                show_last_copies(self.paths, self.settings, selected, shadows)
                detection = detect(
                    self.paths.root, selected.rules, manifest, out, self.clock, selected.mounts, manifest.digest,
                    table=table, keep_seals=False, copies=shadows,
                )  # fmt: skip
                held = self._reasons(manifest, detection, selected.rules)
            rows = rows_of(out, selected.rules)
        notices = (*site.notices, *self.lacking(selected), *detection.problems)
        return Preview(rows, detection.entries, held, notices, detection.remarks)

    # --- how it gets there --------------------------------------------------------------------------------------------

    def deliver(
        self,
        link: PeerLink,
        detection: Detection,
        selected: Selected,
        collected: Collected,
        shadows: Shadows,
        say: Say,
    ) -> Delivery:
        """Send, settle, commit; return what became the next generation, if anything was left to send."""
        with self.manifest() as manifest:
            delivery = deliver(
                self.paths, self.clock, link, manifest, detection, collected, say,
                required=selected.required, copies=shadows,
            )  # fmt: skip
            if delivery.record is not None:
                save_sent(self.paths, delivery.record)
                self._empty_outbox()
        return delivery

    def confirm(self, link: PeerLink, collected: Collected) -> int:
        """Tell the SLAVE that its last generation holds; return that one's number."""
        with self.manifest() as manifest:
            number = manifest.generation
        now, points = self.clock.now(), collected.points
        link.confirm(number, points)
        known = load_sent(self.paths)
        if known is None or known.number != number:
            known = Generation(number, link.welcome.digest, self.role.epoch, now, now, now)
        save_sent(self.paths, replace(known, confirmed_at=now, datasets=points))
        self._empty_outbox()
        return number

    def _empty_outbox(self) -> None:
        """Remove what was planned and sent: the SLAVE has it, and our manifest too."""
        for old in self.paths.outbox.iterdir():
            old.unlink()

    def remember_places(self, detection: Detection) -> None:
        """Keep what the walk met, for the guard of the next run."""
        with self.manifest() as manifest:
            guard.remember(manifest, detection)


def _applied_there(link: PeerLink) -> Mapping[str, str]:
    """Ask the SLAVE what its replicas have applied; a line that is cut says nothing, and ends the run later."""
    try:
        return link.alive(asks=True).applied
    except HotSyncError as error:
        _log.warning("The SLAVE does not tell what its replicas have applied: %s", error.sentence)
        return {}


def _entries_in(file: Path, floor: Floor) -> Iterator[Entry]:
    for change in read_changes(file):
        if change.entry is not None:
            floor.take(_ROW + len(change.path))
            yield change.entry
