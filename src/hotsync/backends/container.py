"""A machine in a folder: booted by systemd-nspawn as a group of processes of its own, with few rights, no devices."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from hotsync.backends.container_entry import gone, words_into
from hotsync.errors import CommandFailed
from hotsync.system import command
from hotsync.system.clock import Clock

NAME = "hotsync-drill"
SCOPE = "hotsync-drill-room.scope"
_DROPPED = (
    "CAP_SYS_TIME", "CAP_SYS_MODULE", "CAP_SYS_RAWIO", "CAP_SYS_BOOT", "CAP_SYSLOG", "CAP_MAC_ADMIN",
    "CAP_MAC_OVERRIDE", "CAP_WAKE_ALARM",
)  # fmt: skip
_MASKED = (
    "hotsync-slave.timer", "hotsync-drill.timer", "hotsync-guard.service", "hotsync-standby.service",
    "hotsync-drill-clean.service", "hotsync-reminders.timer",
)  # fmt: skip
"""What a SLAVE does by itself, and would be in the way of a promotion."""

_LIMITS = (
    "Delegate=yes", "MemoryMax=50%", "MemorySwapMax=0", "TasksMax=8192", "CPUWeight=idle", "IOWeight=1",
    "DevicePolicy=closed", "DeviceAllow=char-pts rw", "DeviceAllow=char-* m", "DeviceAllow=block-* m",
    "KillSignal=SIGKILL",
)  # fmt: skip
_NOTES = Path("/run/systemd/nspawn")
_LOOK_SECONDS = 0.1
_BOOT_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class Machine:
    """A booted machine: the process that runs it, and its own process 1 as it is numbered out here."""

    init: int

    def inside(self, argv: Sequence[str]) -> list[str]:
        """Return the command line that runs a command in it, with what the machine itself may and no more; it ends
        together with whoever runs it. Raise CommandFailed if the machine has ended."""
        if _number_inside(self.init) != "1":
            raise gone()
        return [*words_into(self.init, SCOPE), *argv]


def keep_apart() -> None:
    """Let systemd-nspawn keep its locks and folders where only this process sees them; raise CommandFailed."""
    _NOTES.mkdir(parents=True, exist_ok=True)
    command.run(["mount", "-t", "tmpfs", "-o", "mode=0755,size=1m", "tmpfs", os.fspath(_NOTES)])


@contextmanager
def booted(root: Path, host_name: str, console: Path, clock: Clock) -> Iterator[Machine]:
    """Boot the machine in a folder, with the network of this process, and end it after the block.

    What it writes to its console lands in a file. Raise CommandFailed if it does not come up.
    """
    words = [
        "setpriv", "--pdeathsig=KILL", "systemd-run", "--quiet", "--scope", "--collect", f"--unit={SCOPE}",
        *(f"--property={limit}" for limit in _LIMITS), "--",
        "systemd-nspawn", "--quiet", f"--directory={root}", "--boot", f"--machine={NAME}", f"--hostname={host_name}",
        "--register=no", "--keep-unit", "--link-journal=no", "--console=pipe", "--resolv-conf=off", "--timezone=off",
        f"--network-namespace-path=/proc/{os.getpid()}/ns/net", "--capability=CAP_NET_ADMIN",
        f"--drop-capability={','.join(_DROPPED)}", "--", *(f"systemd.mask={unit}" for unit in _MASKED),
    ]  # fmt: skip
    with open(console, "wb") as output, command.spawn(words, stdout=output, stderr=command.STDOUT) as process:
        try:
            yield Machine(_init_of(process, words, console, clock))
        finally:
            end(SCOPE)


def end(scope: str) -> None:
    """End a machine that may still run, with everything in it."""
    command.run(["systemctl", "kill", "--signal=KILL", scope], ok=range(256))
    command.run(["systemctl", "stop", scope], ok=range(256))


def wait_until_up(machine: Machine, clock: Clock) -> str:
    """Wait until a machine has started whatever it starts by itself; return what its systemd says of it.

    Raise CommandFailed if it does not even answer.
    """
    limit = clock.monotonic() + _BOOT_SECONDS
    ask = machine.inside(["systemctl", "is-system-running"])
    while True:
        state = command.run(ask, ok=range(256)).text.strip()
        if state in ("running", "degraded"):
            return state
        if clock.monotonic() > limit:
            if state == "starting":
                return state  # something waits for what is not there; a promotion would not wait for it either
            raise CommandFailed(program="systemd", status=state or "no answer", detail="it does not come up", line="")
        clock.sleep(_LOOK_SECONDS)


def _init_of(process: command.Process, words: Sequence[str], console: Path, clock: Clock) -> int:
    """Return the process 1 of the machine that a process runs, once it is there."""
    limit = clock.monotonic() + _BOOT_SECONDS
    while clock.monotonic() < limit:
        if process.poll() is not None:
            raise command.failure(words, process.returncode, console.read_text(errors="replace")[-4000:])
        for child in _children(process.pid):
            if _number_inside(child) == "1":
                return child
        clock.sleep(_LOOK_SECONDS)
    raise CommandFailed(program="systemd-nspawn", status="no end", detail="no machine came up", line="")


def _children(pid: int) -> list[int]:
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def _number_inside(pid: int) -> str:
    """Return the number that a process has in the innermost space of processes that it is in, "" if it is in ours."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return ""
    own = _numbers(Path("/proc/self/status").read_text().splitlines())
    numbers = _numbers(lines)
    return numbers[-1] if len(numbers) > len(own) else ""


def _numbers(lines: Sequence[str]) -> list[str]:
    """Given the lines of a process's status, return its number in each space of processes, the outermost first."""
    return [word for line in lines if line.startswith("NSpid:") for word in line.split()[1:]]
