"""Two ends on one machine for benchmarks: each a network namespace with one cable between them, and a control group.

The control groups tell the CPU time of everything that an end ran, the cable's counters what went over the wire, and a
thread looks at the memory. What a way needs besides (an agent, a tunnel, an rsync daemon) runs in the same groups.
"""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

MASTER_ADDRESS, SLAVE_ADDRESS = "10.78.0.1", "10.78.0.2"
_CABLE = "eth0"
_LOOK_SECONDS = 0.02
_PAGE = os.sysconf("SC_PAGE_SIZE")
_IN_GROUP = 'echo $$ >"$0"; exec "$@"'


class BenchError(RuntimeError):
    """What the person at the keyboard must know."""


def _run(*argv: str) -> str:
    done = subprocess.run(argv, check=False, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if done.returncode:
        raise BenchError(f"{' '.join(argv)}: {done.stderr.strip() or done.returncode}")
    return done.stdout


def _groups() -> Path:
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, where, kind, *_ = line.split()
        if kind == "cgroup2":
            return Path(where)
    raise BenchError("this machine has no cgroup2 mounted: CPU time of both ends cannot be told apart")


@dataclass
class End:
    """One end: programs that it starts are in its group and its network."""

    name: str
    group: Path
    peaks: dict[int, tuple[str, int]] = field(default_factory=dict[int, "tuple[str, int]"])

    def start(
        self, argv: Sequence[object], env: Mapping[str, str] | None = None, stdout: int | None = None
    ) -> subprocess.Popen[bytes]:
        """Given a program, start it at this end with a small environment."""
        line = ["sh", "-c", _IN_GROUP, str(self.group / "cgroup.procs"), "nsenter", f"--net=/run/netns/{self.name}"]
        small = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "HOME": "/root", **(env or {})}
        return subprocess.Popen(
            [*line, "--", *map(str, argv)],
            env=small,
            stdin=subprocess.DEVNULL,
            stdout=stdout if stdout is not None else subprocess.DEVNULL,
            stderr=stdout if stdout is not None else subprocess.DEVNULL,
        )

    def cpu(self) -> float:
        """Return the seconds of CPU that everything at this end has used so far."""
        for line in (self.group / "cpu.stat").read_text().splitlines():
            name, _, value = line.partition(" ")
            if name == "usage_usec":
                return int(value) / 1e6
        raise BenchError(f"{self.group} tells no CPU time")

    def look(self) -> int:
        """Return the memory that all programs at this end hold now, in bytes; keep the largest of each."""
        total = 0
        for number in (self.group / "cgroup.procs").read_text().split():
            with suppress(OSError):
                here = Path("/proc", number)
                resident = int((here / "statm").read_text().split()[1]) * _PAGE
                total += resident
                known = self.peaks.get(int(number))
                if known is None or resident > known[1]:
                    words = (here / "cmdline").read_bytes().split(b"\0")
                    name = " ".join(word.decode(errors="replace").rpartition("/")[2] for word in words[:3]).strip()
                    self.peaks[int(number)] = (name, resident)
        return total

    def end_all(self) -> None:
        """End what still runs here."""
        (self.group / "cgroup.kill").write_text("1")
        while "populated 1" in (self.group / "cgroup.events").read_text():
            time.sleep(0.01)


@dataclass(frozen=True, slots=True)
class Measured:
    """One run: seconds on the wall and of CPU at each end, bytes on the wire, bytes of memory at the worst moment."""

    wall: float
    cpu_master: float
    cpu_slave: float
    wire: int
    memory: int
    largest: tuple[tuple[str, int], ...]

    @property
    def cpu(self) -> float:
        """Return the CPU time of both ends."""
        return self.cpu_master + self.cpu_slave


@dataclass(frozen=True, slots=True)
class Stand:
    """Both ends, joined."""

    master: End
    slave: End

    def wire(self) -> int:
        """Return the bytes that went over the cable so far, both ways."""
        folder = f"/sys/class/net/{_CABLE}/statistics"
        both = _run("ip", "netns", "exec", self.master.name, "cat", f"{folder}/rx_bytes", f"{folder}/tx_bytes")
        return sum(int(line) for line in both.split())

    @contextmanager
    def measuring(self) -> Iterator[list[Measured]]:
        """Measure what is done in this context; the list holds the figures afterwards."""
        found: list[Measured] = []
        over = threading.Event()
        most = [0]
        for end in (self.master, self.slave):
            end.peaks.clear()

        def watch() -> None:
            while not over.wait(_LOOK_SECONDS):
                most[0] = max(most[0], self.master.look() + self.slave.look())

        wire, cpu_master, cpu_slave = self.wire(), self.master.cpu(), self.slave.cpu()
        watcher = threading.Thread(target=watch)
        watcher.start()
        started = time.monotonic()
        try:
            yield found
        finally:
            wall = time.monotonic() - started
            over.set()
            watcher.join()
        peaks = [*self.master.peaks.values(), *self.slave.peaks.values()]
        largest = tuple(sorted(peaks, key=lambda peak: -peak[1])[:8])
        cpu = (self.master.cpu() - cpu_master, self.slave.cpu() - cpu_slave)
        found.append(Measured(wall, *cpu, self.wire() - wire, most[0], largest))


@contextmanager
def two_ends(way: str) -> Iterator[Stand]:
    """Make both ends; on leaving, end what runs there and take all of it away."""
    names = [f"hsbench-{way}-{os.getpid()}-{end}" for end in ("m", "s")]
    with ExitStack() as stack:
        ends: list[End] = []
        for name in names:
            _run("ip", "netns", "add", name)
            stack.callback(_run, "ip", "netns", "del", name)
            group = _groups() / name
            group.mkdir()
            stack.callback(group.rmdir)
            ends.append(End(name, group))
            stack.callback(ends[-1].end_all)
        _run("ip", "link", "add", _CABLE, "netns", names[0], "type", "veth", "peer", "name", _CABLE, "netns", names[1])
        for name, address in zip(names, (MASTER_ADDRESS, SLAVE_ADDRESS), strict=True):
            _run("ip", "-n", name, "address", "add", f"{address}/24", "dev", _CABLE)
            _run("ip", "-n", name, "link", "set", "lo", "up")
            _run("ip", "-n", name, "link", "set", _CABLE, "up")
        yield Stand(*ends)


def wait_for(condition: str, reached: Callable[[], bool], seconds: float = 60.0) -> None:
    """Wait until a callable says yes; raise BenchError if that takes too long."""
    limit = time.monotonic() + seconds
    while not reached():
        if time.monotonic() > limit:
            raise BenchError(f"in vain: {condition}")
        time.sleep(0.02)


def listens(end: End, port: int) -> bool:
    """Return whether a program at this end listens on a port."""
    return bool(_run("ip", "netns", "exec", end.name, "ss", "-Hltn", f"sport = :{port}").strip())
