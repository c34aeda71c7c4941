"""Containers of the real Podman, in which the real database servers run: of this machine's own programs, no image."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from hotsync.system import command
from hotsync.system.clock import SystemClock
from hotsync.system.namespace import PrivateMounts

CGROUPS = Path("/sys/fs/cgroup")
_LINKS = ("bin", "lib", "lib64", "sbin")
_UP_SECONDS = 120.0


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

    def run(self, *words: str) -> str:
        return command.run(
            ["podman", "--root", str(self.storage), "--runroot", str(self.folder / "run"),
             "--tmpdir", str(self.folder / "tmp"),
             "--storage-driver", "vfs", "--cgroup-manager", "cgroupfs", "--events-backend", "file", *words]
        ).text  # fmt: skip

    @contextmanager
    def container(self, name: str, volume: Path, inside: str, argv: Sequence[str], *more: str) -> Iterator[Container]:
        """Start a program in a container, in which `volume` lies at `inside`."""
        root = self.folder / f"root-{name}"
        for folder in ("etc", "proc", "sys", "dev", "tmp", "run", "usr", inside.strip("/")):
            (root / folder).mkdir(parents=True, exist_ok=True)
        for link in _LINKS:
            (root / link).symlink_to(f"usr/{link}")
        for file in ("passwd", "group"):
            shutil.copy(f"/etc/{file}", root / "etc" / file)
        # privileged: the kernels of some test machines let nobody write the rules for devices
        self.run(
            "run", "--detach", "--name", name, "--network", "none", "--privileged", "--pids-limit", "0",
            *_LIMITS, "--volume", "/usr:/usr:ro", "--volume", f"{volume}:{inside}", *more,
            "--rootfs", str(root), *argv,
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
        yield Engine(folder, storage)
        for group in sorted(CGROUPS.glob("libpod_parent/**/"), reverse=True):
            os.rmdir(group)


def is_still(group: Path) -> bool:
    """Say whether all in a cgroup stands still."""
    return "frozen 1" in (group / "cgroup.events").read_text()


def wait_for(path: Path, container: Container) -> None:
    """Wait until a server has made its socket."""
    clock = SystemClock()
    until = clock.monotonic() + _UP_SECONDS
    while not path.exists():
        assert clock.monotonic() < until, container.engine.run("logs", container.name)
        clock.sleep(0.1)
