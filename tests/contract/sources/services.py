"""Real database servers in cgroups as systemd makes them for its services, each gone when the test is."""

from __future__ import annotations

import shutil
import socket
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from hotsync.system import command
from hotsync.system.clock import SystemClock
from hotsync.system.mounts import read_mounts
from hotsync.system.processes import PROC, sees_our_root
from tests.contract.sources.containers import is_still

_CLOCK = SystemClock()
_UP_SECONDS = 300.0
# it enters the cgroup while it may, and is the service's user then
_ENTER = (
    'echo $$ >"$0/cgroup.procs" && user="$1" && shift'
    ' && exec setpriv --reuid="$user" --regid="$user" --init-groups "$@"'
)


@dataclass
class Service:
    """The cgroup of a unit, and its user."""

    group: Path
    user: str
    stack: ExitStack

    def start(self, argv: list[str], folder: Path, environment: Mapping[str, str] | None = None) -> None:
        """Start a program in it; what it says lies beside the folder in which it works."""
        argv = ["/bin/sh", "-c", _ENTER, str(self.group), self.user, *argv]
        # nobody else has it open then
        with log_of(folder).open("ab") as log:
            self.stack.enter_context(command.spawn(argv, stdout=log, stderr=log, cwd=str(folder), env=environment))

    def pids(self) -> list[int]:
        """Return what runs in it."""
        return [int(pid) for pid in (self.group / "cgroup.procs").read_text().split()]

    def is_still(self) -> bool:
        """Say whether all in it stands still."""
        return is_still(self.group)

    def end(self) -> None:
        """Kill all in it."""
        (self.group / "cgroup.kill").write_text("1")
        while "populated 1" in (self.group / "cgroup.events").read_text():
            _CLOCK.sleep(0.05)


@contextmanager
def service(unit: str, user: str) -> Iterator[Service]:
    """The cgroup of a unit for the block, in a slice that is nobody else's."""
    top = next(Path(mount.point) for mount in read_mounts() if mount.kind == "cgroup2" and mount.subtree == "/")
    group = Path(tempfile.mkdtemp(prefix="test", suffix=".slice", dir=top)) / unit
    group.mkdir()
    with ExitStack() as stack:
        made = Service(group, user, stack)
        try:
            yield made
        finally:
            made.end()
            group.rmdir()
            group.parent.rmdir()


@contextmanager
def without_containers() -> Iterator[Path]:
    """A /proc without the processes that see another root: of labs, which may stand beside these tests."""
    with tempfile.TemporaryDirectory() as folder:
        for process in PROC.iterdir():
            if process.name.isdigit() and sees_our_root(process):
                Path(folder, process.name).symlink_to(process)
        yield Path(folder)


def log_of(folder: Path) -> Path:
    """Return where a program that works in a folder says what it has to say."""
    return folder.with_name(f"{folder.name}.log")


def free_port() -> int:
    """Return a port of this machine on which nothing listens."""
    with closing(socket.socket()) as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def wait_for_port(port: int, folder: Path) -> None:
    """Wait until a service listens."""
    until = _CLOCK.monotonic() + _UP_SECONDS
    while True:
        with suppress(OSError), closing(socket.create_connection(("127.0.0.1", port), timeout=1.0)):
            return
        assert _CLOCK.monotonic() < until, log_of(folder).read_text()
        _CLOCK.sleep(0.2)


def own_folder(path: Path, user: str) -> Path:
    """Make a folder that belongs to a user."""
    path.mkdir(parents=True)
    shutil.chown(path, user, user)
    return path
