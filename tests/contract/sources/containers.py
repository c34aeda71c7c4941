"""Containers of the real Podman, in which the real database servers run: of this machine's own programs, no image."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from hotsync.sources.frozen.frozen import Frozen, copy_frozen
from hotsync.system import command
from hotsync.system.clock import Clock, SystemClock
from hotsync.system.namespace import PrivateMounts
from hotsync.system.paths import Paths
from hotsync.system.processes import everyone, sees_our_root
from tests.contract.sources import servers

CGROUPS = Path("/sys/fs/cgroup")
_LINKS = ("bin", "lib", "lib64", "sbin")
_UP_SECONDS = 120.0
_STORAGE = "var/lib/containers/storage"
_CARRIED = ("srv/", f"{_STORAGE}/volumes/")
CLOCK = SystemClock()


@dataclass
class Container:
    """A running container, with the folder of this host that is its volume."""

    engine: Engine
    name: str
    volume: Path

    @property
    def pid(self) -> int:
        return int(self.engine.run("inspect", "--format", "{{.State.Pid}}", self.name))

    @property
    def state(self) -> str:
        return self.engine.run("inspect", "--format", "{{.State.Status}}", self.name).strip()

    @property
    def group(self) -> Path:
        """Its cgroup, as the kernel tells it."""
        lines = Path(f"/proc/{self.pid}/cgroup").read_text().splitlines()
        return CGROUPS / next(line for line in lines if line.startswith("0::")).removeprefix("0::/")

    def is_still(self) -> bool:
        return is_still(self.group)


_LIMITS = ("--ulimit", "nofile=4096:4096", "--ulimit", "nproc=4096:4096")
"""What Podman would give by itself is more than some test machines let even root have."""


@dataclass
class Engine:
    """Podman with a storage of its own."""

    folder: Path
    storage: Path

    @property
    def group(self) -> str:
        """The cgroup of all its containers, which is nobody else's."""
        return f"test-{self.folder.name}"

    def run(self, *words: str) -> str:
        return command.run(
            ["podman", "--root", str(self.storage), "--runroot", str(self.folder / "run"),
             "--tmpdir", str(self.folder / "tmp"),
             "--storage-driver", "vfs", "--cgroup-manager", "cgroupfs", "--events-backend", "file", *words]
        ).text  # fmt: skip

    @contextmanager
    def container(
        self, name: str, volume: Path, inside: str, argv: Sequence[str], *more: str, layered: bool = False
    ) -> Iterator[Container]:
        """Start a program in a container, in which `volume` lies at `inside`; `layered`: what it writes elsewhere goes
        to a layer of its own, as with an image."""
        root = self.folder / f"root-{name}"
        for folder in ("etc", "proc", "sys", "dev", "tmp", "run", "usr", inside.strip("/")):
            (root / folder).mkdir(parents=True, exist_ok=True)
        for link in _LINKS:
            (root / link).symlink_to(f"usr/{link}")
        for file in ("passwd", "group"):
            shutil.copy(f"/etc/{file}", root / "etc" / file)
        # privileged: the kernels of some test machines let nobody write the rules for devices
        self.run(
            "run", "--detach", "--name", name, "--cgroup-parent", f"/{self.group}",
            "--network", "none", "--privileged", "--pids-limit", "0",
            *_LIMITS, "--volume", "/usr:/usr:ro", "--volume", f"{volume}:{inside}", *more,
            "--rootfs", f"{root}:O" if layered else str(root), *argv,
        )  # fmt: skip
        try:
            yield Container(self, name, volume)
        finally:
            self.run("rm", "--force", "--time", "0", name)
            shutil.rmtree(root)


@contextmanager
def engine(folder: Path, storage: Path) -> Iterator[Engine]:
    """Podman for the block; where this machine has both kinds of cgroups, with the one kind alone that crun takes."""
    with ExitStack() as stack:
        if not (CGROUPS / "cgroup.controllers").exists():
            stack.enter_context(PrivateMounts())
            command.run(["umount", "--recursive", "--lazy", str(CGROUPS)])
            command.run(["mount", "-t", "cgroup2", "none", str(CGROUPS)])
        podman = Engine(folder, storage)
        yield podman
        # no other engine's: tests of several kinds may run beside each other
        for group in sorted(CGROUPS.glob(f"{podman.group}/**/"), reverse=True):
            os.rmdir(group)


@dataclass
class Master:
    """A MASTER's root, of which /srv and Podman's volumes are carried, and Podman."""

    paths: Paths
    engine: Engine

    def copied(self, seconds: float = 600.0, elsewhere: tuple[str, ...] = (), clock: Clock = CLOCK) -> Frozen:
        """Copy all databases in containers."""
        with self._processes() as proc:
            return copy_frozen(
                self.paths, clock, lambda path: path.startswith(_CARRIED),
                seconds=seconds, elsewhere=elsewhere, proc=proc,
            )  # fmt: skip

    @contextmanager
    def _processes(self) -> Iterator[Path]:
        """A /proc without the containers of anybody else, whose tests may run beside these."""
        numbers = self.engine.run("ps", "--all", "--quiet", "--no-trunc").split()
        with tempfile.TemporaryDirectory() as folder:
            for process, _, cgroup in everyone():
                if any(number in cgroup for number in numbers) or sees_our_root(process):
                    Path(folder, process.name).symlink_to(process)
            yield Path(folder)


@contextmanager
def master() -> Iterator[Master]:
    """A MASTER without containers, for the block."""
    with servers.open_folder() as folder:
        root = folder / "host"
        for path in ("srv", "var/lib/hotsync", _STORAGE):
            (root / path).mkdir(parents=True)
        with engine(folder, root / _STORAGE) as podman:
            yield Master(Paths(root), podman)


def is_still(group: Path) -> bool:
    """Say whether all in a cgroup stands still."""
    return "frozen 1" in (group / "cgroup.events").read_text()


def wait_for(path: Path, container: Container) -> None:
    """Wait until a server has made its socket."""
    until = CLOCK.monotonic() + _UP_SECONDS
    while not path.exists():
        assert CLOCK.monotonic() < until, container.engine.run("logs", container.name)
        CLOCK.sleep(0.1)
