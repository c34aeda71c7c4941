"""One control connection of the paired peer: what may be asked, in which order, and the answers."""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from hotsync.agent.handover import answer_hand_over
from hotsync.agent.here import Applied, Here, Readiness, Surroundings
from hotsync.agent.refusals import check_role, role_word, taken, trouble_here
from hotsync.agent.rejoining import check_may_return, note_returned, terms_of
from hotsync.agent.slot import Slot
from hotsync.agent.store import OpenStore
from hotsync.errors import (
    Busy,
    ConnectionEnded,
    HotSyncError,
    PeerBusy,
    PeerRefused,
    ProtocolError,
    ReplicaError,
)
from hotsync.manifest.store import Manifest
from hotsync.model.changeset import EMPTY_DIGEST, render_change
from hotsync.model.entry import Change, Verb
from hotsync.model.generation import Generation
from hotsync.model.hold import HeardBy
from hotsync.model.identity import Role
from hotsync.model.sums import render_sum
from hotsync.replica.ledger import Ledger
from hotsync.state import store as roles
from hotsync.state.loss import save_loss
from hotsync.state.runbook import digest_of, load_runbook
from hotsync.system import lock
from hotsync.system.paths import Paths
from hotsync.system.room import LEAST_FREE, Floor
from hotsync.transport.addresses import link_local, scoped
from hotsync.transport.bulk import read_rsync_version
from hotsync.transport.client import HEARTBEAT_SECONDS
from hotsync.transport.dial import check_clock
from hotsync.transport.handover_messages import AskHandOver
from hotsync.transport.messages import (
    MOST_LINES,
    Alive,
    Begin,
    Commit,
    Committed,
    Confirm,
    Confirmed,
    GetManifest,
    GetRunbook,
    GetSums,
    GetTerms,
    Loss,
    Message,
    Open,
    Ready,
    Rejoined,
    RunbookPage,
    Sums,
    Welcome,
    Working,
    name_of,
)
from hotsync.transport.rsync import RsyncVersion
from hotsync.transport.values import plain
from hotsync.transport.wire import MAX_BYTES, Channel

_log = logging.getLogger("hotsync.agent")

WORKING_SECONDS = 2.0
"""Who waits is told so well before the least `StallSeconds` is over: a long commit must not look dead."""
MAX_CHANGESET = 1 << 36
MAX_EPOCH_STEP = 1000
_QUIET = "the line was quiet"


@dataclass(frozen=True, slots=True)
class Duties:
    """What the sessions of one daemon share."""

    around: Surroundings
    open_store: OpenStore
    slot: Slot
    readiness: Readiness
    applied: Applied


def forget_uploads(paths: Paths) -> None:
    """Remove what sessions of a daemon that was killed have left behind."""
    with suppress(OSError):
        for left in paths.incoming.iterdir():
            with suppress(OSError):
                left.unlink()


class Session:
    """Serves one control connection until it ends."""

    def __init__(self, channel: Channel, first: Open, duties: Duties) -> None:
        self._channel = channel
        self._first = first
        self._duties = duties
        self._around = duties.around
        self._book = duties.around.book
        self._store = duties.open_store()

    def serve(self) -> None:
        """Greet and answer until the peer hangs up; raise HotSyncError where it must be refused."""
        here = self._around.here()
        self._see(here)
        check_role(here, self._first)
        check_clock(self._first.clock, self._around.clock, here.settings.clock_skew_seconds)
        if here.role is Role.SLAVE and self._first.epoch > here.record.highest_epoch:
            here = self._adopt(self._first.epoch)
        own, interface = link_local(self._channel.socket)
        self._around.found_at(scoped(self._first.link_local, interface))
        self._channel.send(self._welcome(here, own), "it was greeted")
        self._book.served(self._channel.address)
        idle = here.settings.stall_seconds + 2 * HEARTBEAT_SECONDS
        try:
            while True:
                try:
                    message = self._channel.receive_message(_QUIET, within=idle)
                except ConnectionEnded:
                    return
                self._answer(message)
        finally:
            self._duties.slot.release(self._channel.socket)

    def _see(self, here: Here) -> None:
        first = self._first
        self._book.seen(
            connected=True,
            address=self._channel.address,
            host=first.host,
            version=first.version,
            role=first.role,
            epoch=first.epoch,
            clock_difference=round(first.clock - self._around.clock.now(), 3),
            interval_minutes=first.interval_minutes,
        )
        self._around.heard(first.epoch, HeardBy.CALLED, first.released)

    def _adopt(self, epoch: int) -> Here:
        """Take over the MASTER's higher epoch, so that a promotion of this SLAVE claims a higher one still."""
        record = self._around.here().record
        if epoch > record.highest_epoch + MAX_EPOCH_STEP:
            raise ProtocolError(reason=f"its epoch {epoch} is far beyond this server's {record.highest_epoch}")
        try:
            with lock.held(self._around.paths.sync_lock, "run of HotSync"):
                record = roles.load_role(self._around.paths)
                if record.role is Role.SLAVE and record.claim is None and epoch > record.epoch:
                    roles.save_role(self._around.paths, replace(record, epoch=epoch, released=0))
        except Busy as error:
            raise PeerBusy(reason="a run on that server must end before it takes over the epoch") from error
        return self._around.here()

    def _welcome(self, here: Here, own: str) -> Welcome:
        welcome = Welcome(
            epoch=here.record.highest_epoch,
            role=role_word(here),
            host=here.ours.host,
            version=here.ours.version,
            clock=self._around.clock.now(),
            link_local=own,
            digest=EMPTY_DIGEST,
        )
        if here.role is not Role.SLAVE:
            return welcome
        with taken():
            state = self._store.state()
        rsync: RsyncVersion | None = None
        with suppress(HotSyncError):
            rsync = read_rsync_version()
        return welcome.model_copy(
            update={
                "generation": state.generation,
                "digest": state.digest,
                "free_bytes": state.free_bytes,
                "staging": state.staging,
                "rsync": rsync,
            }
        )

    def _answer(self, message: Message) -> None:
        here = self._around.here()
        check_role(here, self._first)
        self._book.seen(epoch=message.epoch)
        self._around.heard(message.epoch, HeardBy.CALLED)
        if isinstance(message, Alive):
            self._channel.send(self._alive(here, self._applied(here) if message.asks else {}), _QUIET)
            return
        if isinstance(message, AskHandOver) and here.role is Role.MASTER:
            self._channel.send(answer_hand_over(self._around, here, message), "it was asked to hand over")
            return
        if isinstance(message, GetTerms):
            self._reply(lambda _: terms_of(self._around, here, message))
            return
        if isinstance(message, Rejoined):
            with self._working("it was told of its SLAVE", 0):
                note_returned(self._around, here, message)
            self._channel.send(self._alive(here, {}), _QUIET)
            return
        if isinstance(message, GetManifest) and here.role is Role.MASTER:
            check_may_return(self._around.paths, here)
            self._send_manifest()
            return
        if here.role is not Role.SLAVE:
            raise PeerRefused(reason="it is a MASTER itself", hint="`hotsync status` on both shows the roles.")
        if isinstance(message, Begin):
            self._begin(message)
        elif isinstance(message, Commit):
            self._commit(message)
        elif isinstance(message, Confirm):
            self._confirm(message)
        elif isinstance(message, GetManifest):
            self._send_manifest()
        elif isinstance(message, GetSums):
            self._send_sums()
        elif isinstance(message, Loss):
            self._note_loss(message, here)
        elif isinstance(message, GetRunbook):
            self._send_runbook()
        else:
            raise ProtocolError(reason=f"{name_of(type(message))} came where nothing like it was due")

    def _applied(self, here: Here) -> Mapping[str, str]:
        """Return what the replicas here have applied; asking them may take a moment."""
        if here.role is not Role.SLAVE:
            return {}
        with self._working(_QUIET, 0):
            return self._duties.applied()

    def _alive(self, here: Here, applied: Mapping[str, str]) -> Alive:
        verdict, sentence = self._duties.readiness() if here.role is Role.SLAVE else ("", "")
        known: Literal["", "green", "amber", "red"] = ""
        if verdict in ("green", "amber", "red"):
            known = verdict  # type: ignore[assignment]
        return Alive(
            epoch=here.record.highest_epoch,
            role=role_word(here),
            clock=self._around.clock.now(),
            verdict=known,
            sentence=plain(sentence),
            applied=dict(applied),
            runbook=digest_of(load_runbook(self._around.paths)) if here.role is Role.SLAVE else "",
        )

    def _begin(self, message: Begin) -> None:
        flight = self._duties.slot.take(message.generation, message.terms, self._channel.socket)
        with (
            self._upload("planned", "the planned changeset came") as planned,
            self._working("staging was prepared", message.expected_bytes),
        ):
            answer = self._store.begin(message.generation, message.base_digest, planned, message.expected_bytes)
        flight.ready = True
        self._reply(lambda epoch: Ready(epoch=epoch, generation=message.generation, present=answer.present))

    def _commit(self, message: Commit) -> None:
        self._duties.slot.check(message.generation, self._channel.socket)
        with self._upload("changes", "the final changeset came") as changes:
            made = self._make(message, changes)
        _log.info("Generation %d of %s is committed.", made.number, self._first.host)
        self._reply(
            lambda epoch: Committed(
                epoch=epoch, generation=made.number, digest=made.digest, committed_at=made.committed_at
            )
        )

    def _make(self, message: Commit, changes: Path) -> Generation:
        now = self._around.clock.now()
        record = Generation(
            number=message.generation,
            digest=message.digest,
            epoch=message.epoch,
            collected_at=message.collected_at,
            committed_at=now,
            confirmed_at=now,
            datasets=tuple(dataset.point() for dataset in message.datasets),
        )
        with self._duties.slot.commit(message.generation, self._channel.socket):
            check_role(self._around.here(), self._first)  # a promotion may have begun while the lines came in
            with self._working("the generation was committed", 0):
                return self._store.commit(message.generation, changes, record)

    def _confirm(self, message: Confirm) -> None:
        with self._working("the generation was confirmed", 0):
            held = self._store.state().generation
            if held != message.generation:
                raise ReplicaError(reason=f"generation {message.generation} is not the last one; that is {held}")
            points = tuple(dataset.point() for dataset in message.datasets)
            made = self._store.confirm(self._around.clock.now(), points)
        self._reply(lambda epoch: Confirmed(epoch=epoch, generation=made.number, confirmed_at=made.confirmed_at))

    def _note_loss(self, message: Loss, here: Here) -> None:
        """Keep what the MASTER says would be lost; a disk that takes no more must not end the heartbeat."""
        try:
            save_loss(self._around.paths.loss_told, message.stated.statement())
        except OSError as error:
            _log.warning("What a promotion would lose cannot be written down: %s", error.strerror or error)
        self._channel.send(self._alive(here, {}), _QUIET)

    def _send_runbook(self) -> None:
        lines = [plain(line) for line in load_runbook(self._around.paths).splitlines()]
        self._reply(lambda epoch: RunbookPage(epoch=epoch, lines=lines[:MOST_LINES]))

    def _send_manifest(self) -> None:
        with Manifest(self._around.paths.manifest) as manifest:
            lines = (render_change(Change(Verb.CONTENT, entry.path, entry)) for entry in manifest.entries())
            self._send_lines(lines, "the manifest was fetched")

    def _send_sums(self) -> None:
        phase = "the sums were fetched"
        with self._working(phase, 0):
            self._store.take_sums()
        self._reply(lambda epoch: Sums(epoch=epoch))
        with Manifest(self._around.paths.manifest) as manifest, closing(Ledger(manifest)) as ledger:
            self._send_lines((render_sum(path, known) for path, known in ledger.sums()), phase)

    def _send_lines(self, lines: Iterable[bytes], phase: str) -> None:
        frame = bytearray()
        for line in lines:
            frame += line
            if len(frame) > MAX_BYTES // 2:
                self._channel.send_bytes(bytes(frame), phase)
                frame.clear()
        if frame:
            self._channel.send_bytes(bytes(frame), phase)
        self._channel.send_bytes(b"", phase)

    def _reply(self, message: Callable[[int], Message]) -> None:
        self._channel.send(message(self._around.here().record.highest_epoch), "it was answered")

    @contextmanager
    def _upload(self, name: str, phase: str) -> Iterator[Path]:
        """Give the stream that follows as a file, whatever its size, for the block; raise NoSpace on a full disk."""
        folder = self._around.paths.incoming
        # of its own: a session that was cut off may still read its file, and removes it when it has ended
        path = folder / f"{name}.{secrets.token_hex(8)}"
        try:
            try:
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                with path.open("xb") as file:
                    self._channel.receive_file(file, phase, MAX_CHANGESET, Floor(folder))
            except OSError as error:
                raise trouble_here(error, self._around.paths, LEAST_FREE) from error
            yield path
        finally:
            with suppress(OSError):
                path.unlink()

    @contextmanager
    def _working(self, phase: str, needed: int) -> Iterator[None]:
        """Tell the peer now and then that its answer is being worked on."""
        done = threading.Event()
        epoch = self._around.here().record.highest_epoch

        def tell() -> None:
            with suppress(HotSyncError):
                while not done.wait(WORKING_SECONDS):
                    self._channel.send(Working(epoch=epoch), phase)

        teller = threading.Thread(target=tell, name="working", daemon=True)
        teller.start()
        try:
            with taken():
                yield
        except OSError as error:
            raise trouble_here(error, self._around.paths, needed) from error
        finally:
            done.set()
            teller.join()
