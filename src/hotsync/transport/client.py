"""The dialling side: a control connection to the peer, and the transfers that go with it."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Self

from hotsync.errors import EpochReleased, HotSyncError, PeerUnreachable, StaleEpoch, TransferError
from hotsync.model.generation import DatasetPoint
from hotsync.model.identity import Peer, Role
from hotsync.model.loss import LossStatement
from hotsync.system.clock import Clock
from hotsync.system.paths import Paths
from hotsync.transport.addresses import link_local, round_trip, scoped
from hotsync.transport.bulk import Job, TransferResult, read_rsync_version, send_files
from hotsync.transport.dial import Callee, Limits, Ours, check_clock, cut, dial, hail, hang_up, opening
from hotsync.transport.fetch import fetch
from hotsync.transport.messages import (
    Alive,
    Begin,
    BulkReady,
    Commit,
    Committed,
    Confirm,
    Confirmed,
    GetManifest,
    GetRunbook,
    GetSums,
    Loss,
    M,
    Message,
    Ready,
    RunbookPage,
    Sums,
    Welcome,
    trouble,
)
from hotsync.transport.parts import Dataset, Stated
from hotsync.transport.rsync import RsyncTerms, RsyncVersion, TransferProgress, agree_terms
from hotsync.transport.rsync_words import Circumstances
from hotsync.transport.tls import Identity
from hotsync.transport.wire import Channel

__all__ = [
    "Callee",
    "Limits",
    "Ours",
    "PeerLink",
    "Ready",
    "TransferProgress",
    "TransferResult",
    "Welcome",
    "hail",
]

HEARTBEAT_SECONDS = 10.0
FAR_SECONDS = 0.003


class PeerLink:
    """The MASTER's control connection to its SLAVE. While it is open, a heartbeat keeps it from looking dead.

    `stays_at` is where the SLAVE can be dialled while it has no other address ("": not known).
    Every call raises the SLAVE's own error where it refuses, and PeerError (gone, silent, malformed) otherwise.
    """

    def __init__(self, channel: Channel, callee: Callee, limits: Limits, welcome: Welcome, stays_at: str) -> None:
        self.welcome = welcome
        self.stays_at = stays_at
        self._channel = channel
        self._callee = callee
        self._limits = limits
        self._clock = channel.clock
        self._terms: RsyncTerms | None = None
        self._expected = (0, 0)
        self._versions: tuple[RsyncVersion, RsyncVersion] | None = None
        self._lock = threading.Lock()
        self._broken: HotSyncError | None = None
        self._closing = threading.Event()
        self._heart: threading.Thread | None = None

    @classmethod
    def connect(
        cls,
        paths: Paths,
        address: str,
        port: int,
        identity: Identity,
        peer: Peer,
        ours: Ours,
        clock: Clock,
        limits: Limits,
        *,
        heartbeat: bool = True,
    ) -> Self:
        """Given the paired server, return an open control connection (a context manager).

        Raise PeerUnreachable, WrongPeer, NotTrusted, NotPaired, OtherProtocol, ClockSkew, StaleEpoch,
        EpochReleased or PeerRefused.
        """
        del paths  # nothing of a connection is kept on disk
        callee = Callee(address, port, ours, identity, peer.fingerprint)
        try:
            channel = dial(callee, clock, limits.stall_seconds)
        except PeerUnreachable:
            _ask_whether_superseded(replace(callee, address=peer.link_local), clock, limits)
            raise
        try:
            own, interface = link_local(channel.socket)
            channel.send(opening(ours, "control", clock, link_local=own), "it was greeted")
            welcome = channel.answer(Welcome, "it was greeted")
            check_clock(welcome.clock, clock, limits.clock_skew_seconds)
        except BaseException:
            hang_up(channel)
            raise
        link = cls(channel, callee, limits, welcome, scoped(welcome.link_local, interface))
        if heartbeat:
            link._start_heart()
        return link

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def cut(self) -> None:
        """End the connection under whatever another thread is doing with it: that raises ConnectionEnded."""
        cut(self._channel.socket)

    def close(self) -> None:
        """Hang up."""
        self._closing.set()
        if self._heart is not None:
            self._heart.join()
        hang_up(self._channel)

    def begin(
        self,
        number: int,
        base_digest: str,
        planned: Path,
        expected_bytes: int,
        expected_files: int,
        *,
        holes: int = 0,
    ) -> Ready:
        """Given the planned changeset (a file of canonical lines), have the SLAVE prepare staging for it.

        `holes` of the bytes take no room there. Raise NoSpace, PeerBusy, OtherRsync, or ReplicaError if the base is not
        what the SLAVE holds.
        """
        terms = self._agree()
        message = Begin(
            epoch=self._callee.ours.epoch,
            generation=number,
            base_digest=base_digest,
            expected_bytes=max(0, expected_bytes - holes),
            expected_files=expected_files,
            terms=terms,
        )
        ready = self._ask(message, Ready, "staging was prepared", upload=planned)
        self._terms, self._expected, self._needed = terms, (expected_files, expected_bytes), message.expected_bytes
        return ready

    def send(
        self,
        number: int,
        root: Path,
        files_from: Path,
        progress: Callable[[TransferProgress], None],
        *,
        again: bool = False,
    ) -> TransferResult:
        """Given a list of paths below `root` (NUL after each), send them into staging of generation `number`.

        `again`: they were sent before and changed meanwhile; whatever of them lies there already is not trusted.

        Paths that vanished, could not be read or changed while they were sent are in the result. Raise OtherRsync,
        PeerSilent, ConnectionEnded, TransferError, or ReplicaError (NoSpace) where the receiver had trouble.
        """
        if self._terms is None or self._versions is None:
            raise TransferError(reason="nothing was begun")
        ours, theirs = self._versions
        around = Circumstances(ours.version, theirs.version, needed=self._needed, free=self.welcome.free_bytes)
        terms = self._terms.model_copy(update={"transfer": "again" if again else "files"})
        job = Job(terms, root, files_from, around, *self._expected)
        channel = dial(self._callee, self._clock, self._limits.stall_seconds)
        try:
            channel.send(opening(self._callee.ours, "bulk", self._clock, number, again=again), "a transfer was opened")
            channel.answer(BulkReady, "a transfer was opened")
            assert isinstance(channel.socket, ssl.SSLSocket)
            return send_files(channel.socket, job, self._clock, self._limits.stall_seconds, progress)
        except HotSyncError as error:
            self._give_up(error)
            raise
        finally:
            hang_up(channel)

    def commit(
        self, number: int, digest: str, changes: Path, collected_at: float, datasets: Sequence[DatasetPoint]
    ) -> Committed:
        """Given the final changeset (a file of canonical lines), have the SLAVE make it generation `number`.

        Raise ReplicaError (NoSpace) if it cannot. If the connection is lost on the way, the next welcome tells whether
        it was made.
        """
        message = Commit(
            epoch=self._callee.ours.epoch,
            generation=number,
            digest=digest,
            collected_at=collected_at,
            datasets=tuple(Dataset.of(point) for point in datasets),
        )
        return self._ask(message, Committed, "the generation was committed", upload=changes)

    def confirm(self, number: int, datasets: Sequence[DatasetPoint] = ()) -> Confirmed:
        """Tell the SLAVE that nothing changed since generation `number`: its age counts from now.

        `datasets` are as they were collected now: one that failed is stale since its last good copy.
        """
        message = Confirm(
            epoch=self._callee.ours.epoch,
            generation=number,
            datasets=tuple(Dataset.of(point) for point in datasets),
        )
        return self._ask(message, Confirmed, "the generation was confirmed")

    def fetch_manifest(self, to: Path) -> int:
        """Write the SLAVE's manifest to a file, as canonical content lines in walk order; return its length.

        Raise DiskFull where it would take more than half of what is free here.
        """
        phase = "the manifest was fetched"
        with self._exclusive():
            self._channel.send(GetManifest(epoch=self._callee.ours.epoch), phase)
            return fetch(self._channel, to, phase)

    def fetch_sums(self, to: Path) -> int:
        """Write the sums of what the SLAVE's files hold to a file, a line each in walk order; return its length.

        Raise ReplicaError if it cannot read them, DiskFull where they would take more than half of what is free here.
        """
        phase = "the sums were fetched"
        with self._exclusive():
            self._channel.send(GetSums(epoch=self._callee.ours.epoch), phase)
            self._channel.answer(Sums, phase)
            return fetch(self._channel, to, phase)

    def alive(self, *, asks: bool = False) -> Alive:
        """Exchange a heartbeat and return the SLAVE's, with its readiness; `asks`: and what its replicas applied."""
        message = Alive(
            epoch=self._callee.ours.epoch,
            role="master" if self._callee.ours.role is Role.MASTER else "slave",
            clock=self._clock.now(),
            asks=asks,
        )
        return self._ask(message, Alive, "the line was quiet")

    def tell_loss(self, statement: LossStatement) -> Alive:
        """Tell the SLAVE what is newer here than its last generation; return its heartbeat, which is the answer."""
        return self._ask(
            Loss(epoch=self._callee.ours.epoch, stated=Stated.of(statement)), Alive, "it was told what would be lost"
        )

    def get_runbook(self) -> str:
        """Return the SLAVE's runbook, "" if it has none."""
        page = self._ask(GetRunbook(epoch=self._callee.ours.epoch), RunbookPage, "the runbook was fetched")
        return "".join(f"{line}\n" for line in page.lines)

    def _give_up(self, error: HotSyncError) -> None:
        """Let the SLAVE's log say why the run ends, unless the SLAVE itself told us."""
        with self._lock:
            if self._broken is None and not error.facts.get("told_by_peer"):
                self._broken = error
                with suppress(HotSyncError, ValueError):
                    self._channel.send(trouble(error, self._callee.ours.epoch), "the run was given up")

    def _agree(self) -> RsyncTerms:
        if self._versions is None:
            if self.welcome.rsync is None:
                raise TransferError(reason="there is no rsync on the SLAVE", hint="Install rsync on the SLAVE.")
            self._versions = (read_rsync_version(), self.welcome.rsync)
        ours, theirs = self._versions
        # on a local line compressing costs more than it saves (docs/decisions/0043)
        far = self._limits.bandwidth > 0 or round_trip(self._channel.socket) > FAR_SECONDS
        return agree_terms(
            ours,
            theirs,
            stall_seconds=self._limits.stall_seconds,
            bandwidth=self._limits.bandwidth,
            compress=far,
        )

    def _ask(self, message: Message, kind: type[M], phase: str, upload: Path | None = None) -> M:
        with self._exclusive():
            self._channel.send(message, phase)
            if upload is not None:
                self._channel.send_file(upload, phase)
            return self._channel.answer(kind, phase)

    @contextmanager
    def _exclusive(self) -> Iterator[None]:
        """One exchange at a time; after one that failed there is no next: nobody knows where the other side is."""
        with self._lock:
            if self._broken is not None:
                raise self._broken
            try:
                yield
            except HotSyncError as error:
                self._broken = self._last_words(error)
                raise self._broken from error

    def _last_words(self, error: HotSyncError) -> HotSyncError:
        """Given what broke an exchange, return the peer's own reason if it sent one before it hung up."""
        if error.code != "peer.gone":
            return error
        try:
            self._channel.receive_message("it hung up", within=1.0)
        except HotSyncError as told:
            return told if told.facts.get("told_by_peer") else error
        return error

    def _start_heart(self) -> None:
        self._heart = threading.Thread(target=self._beat, name="heartbeat", daemon=True)
        self._heart.start()

    def _beat(self) -> None:
        while not self._closing.wait(HEARTBEAT_SECONDS):
            # whoever asks something proves being alive by that
            if self._lock.locked():
                continue
            try:
                self.alive()
            except HotSyncError:
                return  # kept in _broken: the next call raises it


def _ask_whether_superseded(callee: Callee, clock: Clock, limits: Limits) -> None:
    """Raise StaleEpoch or EpochReleased if the peer says so at its link-local address; all else is no answer.

    A SLAVE that was promoted has our addresses, and takes nothing that comes from them: only this way is left.
    """
    if not callee.address:
        return
    try:
        hail(callee, clock, limits.stall_seconds)
    except (StaleEpoch, EpochReleased):
        raise
    except HotSyncError:
        return
