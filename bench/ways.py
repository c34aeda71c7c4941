"""The two ways that `bench.sync` compares: HotSync as it is, and what the original did, each between two ends."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from bench.stand import MASTER_ADDRESS, SLAVE_ADDRESS, BenchError, End, Stand, listens, two_ends, wait_for
from hotsync.model.identity import Role, RoleRecord
from hotsync.state.configdb import configuration, ensure_records
from hotsync.state.store import save_role
from hotsync.system.paths import Paths

PASSWORD = "correct horse battery"
CARRIED = "home"
"""The folder of the MASTER that is measured."""
_TUNNEL, _RSYNCD, _SLAVE_PORT = 2730, 8730, 10273
_BIN = Path(sys.executable).parent


class Way(Protocol):
    """One way to bring the MASTER's tree to the SLAVE."""

    @property
    def name(self) -> str:
        """Return its name as the table shows it."""
        ...

    @property
    def stand(self) -> Stand:
        """Return its two ends."""
        ...

    @property
    def copy(self) -> Path:
        """Return where the SLAVE's copy of `CARRIED` lies."""
        ...

    def run(self) -> None:
        """Bring it up to date; raise BenchError if that fails."""
        ...


def _finish(process: subprocess.Popen[bytes], what: str) -> bytes:
    output, _ = process.communicate()
    if process.returncode:
        raise BenchError(f"{what} failed ({process.returncode}): {output.decode(errors='replace')[-3000:]}")
    return output


# --- the original ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Original:
    """rsync through stunnel into an rsync daemon, with the original's own options."""

    stand: Stand
    source: Path
    copy: Path
    listed: Path
    name: str = "original"

    def run(self) -> None:
        """Run the original's rsync once."""
        options = ["-z", "-r", "-a", "-H", "-A", "--delete"]
        target = f"rsync://hotsyncuser@127.0.0.1:{_RSYNCD}/hotsync/"
        argv = ["rsync", *options, f"--files-from={self.listed}", f"{self.source}/", target]
        process = self.stand.master.start(argv, {"RSYNC_PASSWORD": PASSWORD}, subprocess.PIPE)
        _finish(process, "the original's rsync")


@contextmanager
def original(source: Path, work: Path) -> Iterator[Original]:
    """Set up stunnel at both ends and an rsync daemon behind it, as the original had them."""
    target = work / "copy"
    target.mkdir(parents=True)
    (work / "list").write_text(f"/{CARRIED}\n")
    (work / "secrets").write_text(f"hotsyncuser:{PASSWORD}\n")
    (work / "secrets").chmod(0o600)
    (work / "rsyncd.conf").write_text(
        f"uid = root\ngid = root\nuse chroot = yes\nlog file = {work}/rsyncd.log\npid file = {work}/rsyncd.pid\n"
        f"[hotsync]\npath = {target}\nread only = no\nauth users = hotsyncuser\nsecrets file = {work}/secrets\n"
        "hosts allow = 127.0.0.1\n"
    )
    key = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=bench", "-keyout"]
    subprocess.run(
        [*key, work / "key.pem", "-out", work / "cert.pem"], check=True, capture_output=True, stdin=subprocess.DEVNULL
    )
    common = "foreground = yes\npid =\ndebug = 3\n"
    (work / "client.conf").write_text(
        f"{common}[rsync]\nclient = yes\naccept = 127.0.0.1:{_RSYNCD}\nconnect = {SLAVE_ADDRESS}:{_TUNNEL}\n"
    )
    (work / "server.conf").write_text(
        f"{common}cert = {work}/cert.pem\nkey = {work}/key.pem\n"
        f"[rsync]\nclient = no\naccept = {SLAVE_ADDRESS}:{_TUNNEL}\nconnect = 127.0.0.1:{_RSYNCD}\n"
    )
    with two_ends("original") as stand:
        running = [
            stand.slave.start(["rsync", "--daemon", "--no-detach", f"--config={work}/rsyncd.conf",
                               f"--port={_RSYNCD}", "--address=127.0.0.1"]),
            stand.slave.start(["stunnel4", work / "server.conf"]),
            stand.master.start(["stunnel4", work / "client.conf"]),
        ]  # fmt: skip
        try:
            for end, port in ((stand.slave, _RSYNCD), (stand.slave, _TUNNEL), (stand.master, _RSYNCD)):
                wait_for(f"port {port} of {end.name} is served", partial(listens, end, port))
            yield Original(stand, source, target / CARRIED, work / "list")
        finally:
            _end(running)


# --- HotSync --------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class HotSync:
    """The command `hotsync` and the agents of both ends."""

    stand: Stand
    master: Paths
    copy: Path
    name: str = "HotSync"
    last: dict[str, Any] | None = None

    def run(self) -> None:
        """Run `hotsync` once."""
        argv = [_BIN / "hotsync", "--json", "--accept-changes"]
        process = self.stand.master.start(argv, {"HOTSYNC_ROOT": str(self.master.root)}, subprocess.PIPE)
        self.last = json.loads(_finish(process, "hotsync"))


def _configure(root: Path, role: Role) -> Paths:
    places = Paths(root)
    for folder in (places.run, places.databases):
        folder.mkdir(parents=True, exist_ok=True)
    places.state.chmod(0o700)
    (root / "etc").mkdir(exist_ok=True)
    for name in ("passwd", "group"):
        (root / "etc" / name).write_bytes(Path("/etc", name).read_bytes())
    ensure_records(places)
    records = configuration(places)
    records.set_props("rsyncd", {"password": PASSWORD})
    hosts = {"SlaveHost": SLAVE_ADDRESS, "MasterHost": MASTER_ADDRESS}
    records.set_props("hotsync", {"role": role.value, "SlavePort": str(_SLAVE_PORT), "databases": "disabled", **hosts})
    save_role(places, RoleRecord(role))
    return places


def _agent(end: End, places: Paths) -> subprocess.Popen[bytes]:
    """Start hotsyncd and wait until it says that it is ready."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
        address = str(places.run / "ready.sock")
        told.bind(address)
        told.settimeout(30)
        env = {"HOTSYNC_ROOT": str(places.root), "NOTIFY_SOCKET": address}
        process = end.start([_BIN / "hotsyncd"], env)
        assert told.recv(100) == b"READY=1"
        return process


@contextmanager
def hotsync(source: Path, work: Path) -> Iterator[HotSync]:
    """Set up both agents and the socket of the receiver; `source` is the MASTER's root."""
    master, slave = _configure(source, Role.MASTER), _configure(work / "slave", Role.SLAVE)
    with two_ends("hotsync") as stand:
        running: list[subprocess.Popen[bytes]] = []
        try:
            running.append(
                stand.slave.start(["systemd-socket-activate", "--accept", "--inetd", "-l", slave.receive_socket,
                                   "-E", f"HOTSYNC_ROOT={slave.root}", _BIN / "hotsync-receive"])
            )  # fmt: skip
            wait_for("the receiver's socket is there", slave.receive_socket.exists)
            running.append(_agent(stand.slave, slave))
            running.append(_agent(stand.master, master))
            yield HotSync(stand, master, slave.replica / "tree" / CARRIED)
        finally:
            _end(running)


def _end(running: list[subprocess.Popen[bytes]]) -> None:
    for process in reversed(running):
        process.terminate()
    for process in running:
        process.wait()
