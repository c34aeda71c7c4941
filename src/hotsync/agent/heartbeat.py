"""On the MASTER: pairs where that is due, then keeps a control connection to the SLAVE open and its heart beating."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from tenacity import RetryCallState, Retrying, retry_if_exception_type, wait_exponential_jitter

from hotsync.agent.here import Here, Surroundings
from hotsync.errors import EpochReleased, HotSyncError, NotPaired, PairingSlowed, PeerRefused, StaleEpoch
from hotsync.model.hold import HeardBy
from hotsync.model.identity import Peer, Role
from hotsync.state.loss import load_loss
from hotsync.state.runbook import digest_of, load_runbook, save_runbook
from hotsync.transport.client import HEARTBEAT_SECONDS, PeerLink
from hotsync.transport.dial import Callee, hail
from hotsync.transport.messages import Alive
from hotsync.transport.pairing import Caller, pair

_log = logging.getLogger("hotsync.agent")

FIRST_RETRY = 1.0
LONGEST_RETRY = 20.0
LONGEST_TOLD_WAIT = 300.0
ENDING_SECONDS = 10.0
LOSS_SECONDS = 1.0


class Heartbeat:
    """A thread that runs while this server is MASTER."""

    def __init__(self, around: Surroundings) -> None:
        self._around = around
        self._stop = threading.Event()
        self._here: Here | None = None
        self._link: PeerLink | None = None
        self._told = ""
        self._alone = False
        self._loss_told: object = None
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End; what hangs on a dead line is left to itself."""
        self._stop.set()
        if self._link is not None:
            self._link.cut()
        self._thread.join(ENDING_SECONDS)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                with self._connected() as link:
                    self._beat(link)
            except HotSyncError as error:
                self._trouble(error)
            except Exception:
                _log.exception("a bug in HotSync, while the heartbeat ran")
                self._stop.wait(LONGEST_RETRY)

    @contextmanager
    def _connected(self) -> Iterator[PeerLink]:
        """Connect, however long it takes; a stopped heartbeat raises what it last met."""
        retrying = Retrying(
            wait=_wait,
            sleep=self._sleep,
            stop=lambda _: self._stop.is_set(),
            retry=retry_if_exception_type(HotSyncError),
            after=self._after,
            reraise=True,
        )
        with retrying(self._connect) as self._link:
            yield self._link

    def _sleep(self, seconds: float) -> None:
        self._stop.wait(seconds)

    def _after(self, state: RetryCallState) -> None:
        if state.outcome is not None and isinstance(error := state.outcome.exception(), HotSyncError):
            self._trouble(error)

    def _connect(self) -> PeerLink:
        here = self._around.here()
        self._alone = here.role is Role.MASTER and here.settings.enabled and is_alone(here)
        if self._alone:
            self._ask_alone(here)
        if here.role is not Role.MASTER or not here.settings.enabled or not here.settings.slave_host:
            raise PeerRefused(reason="this server is no configured MASTER")
        peer = here.peer or self._pair(here, "")
        try:
            return self._call(self._around.here(), peer)
        except NotPaired:
            if not here.settings.password or self._stop.is_set():
                raise
            # it has forgotten us, but is still the server that we pinned: the password can bring it back
            return self._call(self._around.here(), self._pair(here, peer.fingerprint))

    def _ask_alone(self, here: Here) -> None:
        """A promoted MASTER has no SLAVE yet, but there is the one it took the place of: what each hears of the other
        ends the time of the lower epoch. It raises StaleEpoch, or that nobody is there."""
        assert here.peer is not None
        callee = Callee(
            here.peer.link_local, here.settings.slave_port, here.ours, self._around.identity, here.peer.fingerprint
        )
        with self._believed():
            hail(callee, self._around.clock, here.settings.stall_seconds)

    def _call(self, here: Here, peer: Peer) -> PeerLink:
        settings = here.settings
        with self._believed():
            link = PeerLink.connect(
                self._around.paths,
                settings.slave_host,
                settings.slave_port,
                self._around.identity,
                peer,
                here.ours,
                self._around.clock,
                here.limits,
                heartbeat=False,
            )
        try:
            self._greeted(here, link)
        except BaseException:
            link.close()
            raise
        return link

    def _greeted(self, here: Here, link: PeerLink) -> None:
        """Take down what the SLAVE said of itself."""
        settings = here.settings
        self._here = here
        self._loss_told = None  # it may be another SLAVE, or one that was made anew
        welcome = link.welcome
        self._around.found_at(link.stays_at)
        if self._told:
            _log.info("The SLAVE %s at %s answers again.", welcome.host, settings.slave_host)
        self._told = ""
        self._around.book.seen(
            connected=True,
            address=settings.slave_host,
            host=welcome.host,
            version=welcome.version,
            role=welcome.role,
            epoch=welcome.epoch,
            clock_difference=round(welcome.clock - self._around.clock.now(), 3),
            trouble=None,
        )

    def _pair(self, here: Here, fingerprint: str) -> Peer:
        around, settings = self._around, here.settings
        if not settings.password:
            raise NotPaired(address=settings.slave_host)
        callee = Callee(settings.slave_host, settings.slave_port, here.ours, around.identity, fingerprint)
        return pair(Caller(callee, settings.password, around.pin), around.guard, around.clock)

    def _beat(self, link: PeerLink) -> None:
        try:
            with self._believed():
                while not self._stop.is_set() and self._around.here() == self._here:
                    answer = link.alive()
                    self._heard(answer)
                    self._keep_runbook(link, answer.runbook)
                    self._rest(link)
        finally:
            self._around.book.gone()

    @contextmanager
    def _believed(self) -> Iterator[None]:
        """In the block only the server with the pinned certificate can answer: what it refuses with may say that this
        MASTER's time is over, or that its own is. Of nobody else, least of all while pairing, is that believed."""
        try:
            yield
        except StaleEpoch as error:
            if isinstance(theirs := error.facts.get("theirs"), int) and not self._stop.is_set():
                self._around.heard(theirs, HeardBy.CALLING)
            raise
        except EpochReleased as error:
            if isinstance(theirs := error.facts.get("theirs"), int) and not self._stop.is_set():
                self._around.heard(theirs, HeardBy.CALLING, theirs)
            raise

    def _heard(self, answer: Alive) -> None:
        self._around.heard(answer.epoch, HeardBy.CALLING)
        # a call from there that has ended since had it that nobody is connected
        self._around.book.seen(connected=True, epoch=answer.epoch, verdict=answer.verdict, sentence=answer.sentence)

    def _keep_runbook(self, link: PeerLink, digest: str) -> None:
        """Have the SLAVE's runbook here, too; a disk that takes no more must not end the heartbeat."""
        places = self._around.paths
        if digest in ("", digest_of(load_runbook(places))):
            return
        text = link.get_runbook()
        try:
            save_runbook(places, text)
        except OSError as error:
            _log.warning("The runbook cannot be written down: %s", error.strerror or error)

    def _rest(self, link: PeerLink) -> None:
        """Wait until the heart is to beat again; what the watch states meanwhile is told at once."""
        clock = self._around.clock
        until = clock.monotonic() + HEARTBEAT_SECONDS
        while not self._stop.is_set():
            self._tell_loss(link)
            left = until - clock.monotonic()
            if left <= 0:
                return
            self._stop.wait(min(left, LOSS_SECONDS))

    def _tell_loss(self, link: PeerLink) -> None:
        file = self._around.paths.loss_seen
        try:
            status = file.stat()
        except OSError:
            return  # nobody watches
        looks = (status.st_ino, status.st_mtime_ns)
        if looks == self._loss_told:
            return
        statement = load_loss(file)
        if statement is not None:
            self._heard(link.tell_loss(statement))
        self._loss_told = looks

    def _trouble(self, error: HotSyncError) -> None:
        if self._stop.is_set():
            return
        address = self._here.settings.slave_host if self._here else ""
        if self._alone:
            return  # nobody is missed
        self._around.book.troubled(address, error)
        if error.code != self._told:  # once, not with every attempt
            self._told = error.code
            _log.warning("The SLAVE: %s. %s", error.sentence.rstrip("."), error.hint)


def is_alone(here: Here) -> bool:
    """Return whether this server knows of no SLAVE to call, but of the server that was its peer, at its own address."""
    return not here.settings.slave_host and here.peer is not None and bool(here.peer.link_local)


_backoff = wait_exponential_jitter(initial=FIRST_RETRY, max=LONGEST_RETRY)


def _wait(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome is not None else None
    return seconds_to_wait(error, _backoff(state))


def seconds_to_wait(error: BaseException | None, seconds: float) -> float:
    """Given what an attempt ended with, and how long the next one is put off at least, return when to try again."""
    if not isinstance(error, PairingSlowed):
        return seconds
    wanted = error.facts.get("seconds")
    wanted = float(wanted) if isinstance(wanted, int | float) else 0.0
    if "told_by_peer" in error.facts:
        # whoever answers may be anybody; and to ask the SLAVE too early costs nothing
        wanted = min(wanted, LONGEST_TOLD_WAIT)
    return max(seconds, wanted)
