"""Two real agents in a network of their own, each below a root of its own, with real TLS and a real rsync."""

from __future__ import annotations

import ctypes
import os
import shutil
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from unittest import mock

from hotsync.agent import receive
from hotsync.agent.daemon import Daemon
from hotsync.agent.here import Applied, Here, Surroundings
from hotsync.agent.store import OpenStore
from hotsync.engine.fence import tiers
from hotsync.errors import HotSyncError, ReplicaError
from hotsync.model.changeset import EMPTY_DIGEST, chain_digest
from hotsync.model.generation import DatasetPoint, Generation
from hotsync.model.identity import Role, RoleRecord
from hotsync.state import store as roles
from hotsync.state.configdb import configuration, ensure_records
from hotsync.system import command
from hotsync.system.clock import SystemClock
from hotsync.system.paths import Paths
from hotsync.transport.client import PeerLink
from hotsync.transport.dial import Callee, Limits
from hotsync.transport.pairing import Caller, pair
from hotsync.transport.presence import load_presence
from hotsync.transport.tls import load_identity

MASTER_ADDRESS = "10.77.0.1"
SLAVE_ADDRESS = "10.77.0.2"
STRANGER_ADDRESS = "10.77.0.3"
PORT = 273
BANDWIDTH = 0
RECEIVER_PATH = ""
_CLONE_NEWNET = 0x40000000


class ShiftedClock(SystemClock):
    """The machine's clock, so many seconds off."""

    def __init__(self) -> None:
        self.shift = 0.0

    def now(self) -> float:
        return super().now() + self.shift


@dataclass
class State:
    generation: int = 0
    digest: str = EMPTY_DIGEST
    staging: int = 0
    free_bytes: int = 10**12


@dataclass
class Present:
    present: int = 0


@dataclass
class FakeStore:
    """A replica that keeps each staging as it arrived and believes the last changeset."""

    paths: Paths
    now: State = field(default_factory=State)
    fail: dict[str, HotSyncError | OSError] = field(default_factory=dict)
    hold: dict[str, threading.Event] = field(default_factory=dict)
    reached: dict[str, threading.Event] = field(default_factory=dict)
    recovered: int = 0
    checkpoints: int = 0
    confirmed: tuple[DatasetPoint, ...] = ()

    def _step(self, name: str) -> None:
        if name in self.reached:
            self.reached[name].set()
        if name in self.hold:
            self.hold[name].wait()
        if name in self.fail:
            raise self.fail[name]

    def recover(self) -> None:
        self._step("recover")
        self.recovered += 1
        (self.paths.replica / "staging").mkdir(parents=True, exist_ok=True, mode=0o700)

    def state(self) -> State:
        self._step("state")
        return self.now

    def staging(self, number: int) -> Path:
        return self.paths.replica / "staging" / str(number)

    def begin(self, number: int, base_digest: str, planned: Path, expected_bytes: int) -> Present:
        self._step("begin")
        if base_digest != self.now.digest:
            raise ReplicaError(reason="another base")
        self.staging(number).mkdir(mode=0o700, exist_ok=True)
        self.now.staging = number
        return Present(len(os.listdir(self.staging(number))))

    def commit(self, number: int, changes: Path, generation: Generation) -> Generation:
        self._step("commit")
        digest = chain_digest(self.now.digest, changes.read_bytes().splitlines(keepends=True))
        if digest != generation.digest:
            raise ReplicaError(reason="the digest does not fit")
        self.now = State(number, digest)
        return generation

    def checkpoint(self, number: int) -> None:
        self.checkpoints += 1

    def take_sums(self) -> None:
        self._step("take_sums")

    def confirm(self, now: float, datasets: Sequence[DatasetPoint] = ()) -> Generation:
        self.confirmed = tuple(datasets)
        return Generation(self.now.generation, self.now.digest, 0, 0.0, 0.0, now, datasets=self.confirmed)


class Host:
    """One server: its root, settings, clock, and (once started) its daemon in a thread."""

    def __init__(self, root: Path, role: Role, address: str) -> None:
        self.paths = Paths(root)
        self.role = role
        self.address = address
        self.clock = ShiftedClock()
        for folder in (self.paths.run, self.paths.databases):
            folder.mkdir(parents=True, exist_ok=True)
        self.paths.state.chmod(0o700)
        ensure_records(self.paths)
        self.set("rsyncd", password="correct horse")
        self.set("hotsync", role=role.value, StallSeconds="5")
        self.set("hotsync", SlaveHost=SLAVE_ADDRESS, MasterHost=MASTER_ADDRESS)
        roles.save_role(self.paths, RoleRecord(role))
        self.store = FakeStore(self.paths)
        self.open_store: OpenStore = lambda: self.store
        self.applied: Applied = dict
        self.daemon: Daemon | None = None
        self._thread: threading.Thread | None = None
        self._receiver: Receiver | None = None

    def set(self, record: str, **props: str) -> None:
        configuration(self.paths).set_props(record, props)

    @property
    def around(self) -> Surroundings:
        return Surroundings(self.paths, self.clock)

    @property
    def here(self) -> Here:
        return self.around.here()

    def start(self) -> None:
        self._receiver = Receiver(self.paths)
        daemon = Daemon(
            self.paths, self.clock, self.open_store, lambda: ("green", "It could."), self.applied, self.address
        )
        ready = threading.Event()
        self._thread = threading.Thread(target=daemon.run, args=(ready.set,), daemon=True)
        self._thread.start()
        assert ready.wait(20)
        self.daemon = daemon

    def stop(self) -> None:
        if self.daemon is not None and self._thread is not None:
            self.daemon.stop()
            self._thread.join(20)
            assert not self._thread.is_alive()
            self.daemon = None
        if self._receiver is not None:
            self._receiver.close()
            self._receiver = None

    def refused_with(self, code: str) -> bool:
        """Return whether this server's last refusal has this code (it is noted after the answer has gone out)."""

        def noted() -> bool:
            refusal = load_presence(self.paths).refusal
            return refusal is not None and refusal.code == code

        until(noted, f"{self.role.name} notes a refusal {code}")
        return True

    def reinstall(self) -> None:
        """Give this server another identity."""
        shutil.rmtree(self.paths.tls)
        load_identity(self.paths)


class Receiver:
    """What hotsync-receive.socket and its service do: one receiver for each connection."""

    def __init__(self, paths: Paths) -> None:
        self._root = paths.root
        paths.receive_socket.unlink(missing_ok=True)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.bind(str(paths.receive_socket))
        self._socket.listen(8)
        self.started = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._socket.accept()
            except OSError:
                return
            self.started += 1
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        with sock:
            argv = [sys.executable, "-m", receive.__name__]
            env = {"HOTSYNC_ROOT": str(self._root), "PYTHONPATH": os.pathsep.join(sys.path)}
            if RECEIVER_PATH:
                # another rsync than this machine's: the receiver takes its PATH from the door to programs
                change = f"command.ENVIRONMENT['PATH'] = {RECEIVER_PATH!r}"
                main = f"from hotsync.system import command; {change}; from hotsync.agent.receive import main; main()"
                argv = [sys.executable, "-c", main]
            with command.spawn(
                argv, stdin=sock.fileno(), stdout=sock.fileno(), stderr=command.DEVNULL, env=env
            ) as process:
                sock.close()
                process.wait()

    def close(self) -> None:
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


@contextmanager
def own_network() -> Iterator[None]:
    """Give this thread, and those that it starts, a network of their own with the addresses of both servers."""
    libc = ctypes.CDLL(None, use_errno=True)
    before = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    try:
        assert libc.unshare(_CLONE_NEWNET) == 0, os.strerror(ctypes.get_errno())
        command.run(["ip", "link", "set", "lo", "up"])
        for address in (MASTER_ADDRESS, SLAVE_ADDRESS, STRANGER_ADDRESS):
            command.run(["ip", "address", "add", f"{address}/32", "dev", "lo"])
        for target, source in ((SLAVE_ADDRESS, MASTER_ADDRESS), (MASTER_ADDRESS, SLAVE_ADDRESS)):
            # else the kernel would call an own address from itself
            command.run(["ip", "route", "change", "local", target, "dev", "lo", "table", "local", "src", source])
        yield
    finally:
        assert libc.setns(before, _CLONE_NEWNET) == 0
        os.close(before)


class Proxy:
    """A line that can be watched, frozen and cut: forwards plain bytes to the SLAVE."""

    def __init__(self, address: str, port: int) -> None:
        self._target = (address, port)
        self._listener = socket.create_server((address, 0))
        self.port = int(self._listener.getsockname()[1])
        self.frozen = threading.Event()
        self.sent = 0
        self.freeze_after = self.cut_at = 1 << 62
        self._closed = threading.Event()
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Proxy:
        return self

    def __exit__(self, *_: object) -> None:
        self._closed.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()
        for thread in self._threads:
            thread.join()
        for sock in self._sockets:
            sock.close()

    def cut(self) -> None:
        """Pull the cable and let both ends notice."""
        for sock in self._sockets:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            far = socket.create_connection(self._target)
            self._sockets += [near, far]
            for ends in ((near, far, True), (far, near, False)):
                thread = threading.Thread(target=self._forward, args=ends, daemon=True)
                self._threads.append(thread)
                thread.start()

    def _forward(self, source: socket.socket, target: socket.socket, outward: bool) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                while self.frozen.is_set() and not self._closed.wait(0.05):
                    pass
                self.sent += len(data) if outward else 0
                if self.sent >= self.freeze_after:
                    self.frozen.set()
                if self.sent >= self.cut_at:
                    self.cut()
                target.sendall(data)
        with suppress(OSError):
            target.shutdown(socket.SHUT_WR)


@dataclass
class Pair:
    master: Host
    slave: Host

    def both_clocks(self, seconds: float) -> None:
        self.master.clock.shift += seconds
        self.slave.clock.shift += seconds

    def callee(self, fingerprint: str = "", port: int = 0) -> Callee:
        here = self.master.here
        return Callee(
            SLAVE_ADDRESS, port or here.settings.slave_port, here.ours, self.master.around.identity, fingerprint
        )

    def pair(self, *, by_hand: bool = False, port: int = 0) -> None:
        around = self.master.around
        password = self.master.here.settings.password
        peer = self.master.here.peer
        caller = Caller(self.callee(peer.fingerprint if peer else "", port), password, around.pin)
        pair(caller, around.guard, self.master.clock, by_hand=by_hand)

    def link(self, *, port: int = 0, stall: float = 5, heartbeat: bool = True) -> PeerLink:
        here, around = self.master.here, self.master.around
        assert here.peer is not None
        return PeerLink.connect(
            self.master.paths,
            SLAVE_ADDRESS,
            port or here.settings.slave_port,
            around.identity,
            here.peer,
            here.ours,
            self.master.clock,
            Limits(stall, 300, BANDWIDTH),
            heartbeat=heartbeat,
        )


@contextmanager
def two_hosts(tmp_path: Path, *, start: bool = True) -> Iterator[Pair]:
    with ExitStack() as stack:
        stack.enter_context(own_network())
        # one kernel has the addresses of both, and would call each of them its own
        stack.enter_context(mock.patch.object(tiers, "is_own", return_value=False))
        master = Host(tmp_path / "master", Role.MASTER, MASTER_ADDRESS)
        slave = Host(tmp_path / "slave", Role.SLAVE, SLAVE_ADDRESS)
        stack.callback(shutil.rmtree, tmp_path / "slave", ignore_errors=True)
        stack.callback(slave.stop)
        stack.callback(master.stop)
        if start:
            slave.start()
        yield Pair(master, slave)


def until(condition: Callable[[], bool], what: str, turns: int = 400) -> None:
    """Wait for something that another thread does."""
    for _ in range(turns):
        if condition():
            return
        threading.Event().wait(0.05)
    raise AssertionError(f"it never came to this: {what}")
