"""What is run in a drill's sandbox, with real namespaces and cgroups: no program of the MASTER's, with few rights, in
the scope whose limits hold."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from hotsync.backends import container_entry, sandbox_network
from hotsync.backends.container import SCOPE, Machine
from hotsync.errors import CommandFailed
from hotsync.system import command
from hotsync.system.mounts import read_mounts

pytestmark = pytest.mark.contract

# by their numbers in the kernel: what systemd-nspawn leaves to root in a machine, without mknod (27) and
# dac_read_search (2), which its filter of system calls guards, with net_admin (12), and without sys_boot (22)
RIGHTS = (0, 1, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 15, 18, 19, 21, 23, 24, 26, 28, 29, 30, 31)
CLIENT = (2, 12, 13)
# a machine with a root of its own, as a drill's covers are; its /usr/local is the MASTER's, as after the promotion:
# whatever is run out of that leaves a mark
BOOT = """
mount -t tmpfs tmpfs "$ROOM"
cd "$ROOM"
mkdir above work root
mount -t overlay -o lowerdir=/,upperdir=above,workdir=work overlay root
cd root
mkdir marks
mount --bind "$MARKS" marks
mount --rbind /dev dev
pivot_root . mnt
umount -l /mnt
mount -t tmpfs tmpfs /usr/local/sbin
for name in setpriv nsenter sh env asked; do
    printf '#!/bin/sh\\necho "$0" >>/marks/mark\\nexec /usr/bin/"${0##*/}" "$@"\\n' >/usr/local/sbin/$name
    chmod 755 /usr/local/sbin/$name
done
mount -t proc proc /proc
hostname sandbox
exec sleep infinity
"""
SHOW = "import json, os, pathlib; print(json.dumps({'status': pathlib.Path('/proc/self/status').read_text(), 'cgroup': \
pathlib.Path('/proc/self/cgroup').read_text(), 'path': os.environ['PATH'], 'host': os.uname().nodename, \
'folder': os.getcwd()}))"


READ = (
    "from hotsync.sources.postgresql.database import _reading_as; from hotsync.system.command import run; import sys; \
print(run([*_reading_as('daemon'), 'cat', sys.argv[1]]).text)"
)


@pytest.mark.parametrize("words", [[], container_entry.bounded(container_entry.CAPABILITIES)], ids=["host", "sandbox"])
def test_what_loads_a_dump_reads_what_is_roots_also_with_the_rights_of_a_sandbox(
    words: list[str], tmp_path: Path
) -> None:
    dump = tmp_path / "dump"
    dump.write_text("rows")
    dump.chmod(0o600)
    tmp_path.chmod(0o700)
    assert command.run([*words, sys.executable, "-c", READ, str(dump)]).text == "rows\n"


def tops() -> dict[str, Path]:
    """Return where hierarchies of cgroups are mounted here: the unified one, and one of the old kind if there is."""
    found: dict[str, Path] = {}
    for mount in read_mounts():
        if mount.subtree == "/" and mount.kind == "cgroup2":
            found[""] = Path(mount.point)
        if mount.subtree == "/" and mount.kind == "cgroup" and "pids" in mount.options.split(","):
            found["pids"] = Path(mount.point)
    return found


def emptied(folder: Path) -> None:
    """Remove a cgroup with all in it, once its processes are gone."""
    for inner, _, _ in os.walk(folder, topdown=False):
        for _ in range(200):
            with suppress(OSError):
                os.rmdir(inner)
                break
            time.sleep(0.02)


@pytest.fixture
def mark(tmp_path: Path) -> Path:
    (tmp_path / "marks").mkdir()
    return tmp_path / "marks/mark"


@pytest.fixture
def machine(mark: Path, tmp_path: Path) -> Iterator[Machine]:
    """A machine with namespaces of its own, in cgroups as systemd and systemd-nspawn make them."""
    slice_ = f"test-hotsync-{os.getpid()}"
    groups = {name: top / slice_ / SCOPE for name, top in tops().items()}
    for name, group in groups.items():
        (group if name else group / "payload/init.scope").mkdir(parents=True)
    inner = [group if name else group / "payload/init.scope" for name, group in groups.items()]
    room = tmp_path / "room"
    room.mkdir()
    places = {"BOOT": BOOT, "MARKS": os.fspath(mark.parent), "ROOM": os.fspath(room)}
    join = 'for group; do echo $$ >"$group/cgroup.procs"; done; exec unshare --mount --propagation private --uts --ipc \
        --net --pid --cgroup --fork --kill-child -- sh -c "$BOOT"'
    words = ["sh", "-c", join, "sh", *map(os.fspath, inner)]
    try:
        with command.spawn(words, env=places, stdout=command.DEVNULL) as process:
            yield Machine(_booted(process.pid))
    finally:
        for name, group in groups.items():
            emptied(group.parent)
            assert not group.exists(), f"something still runs in {name or 'the unified one'}"


def _booted(pid: int) -> int:
    for _ in range(500):
        with suppress(OSError, ValueError):
            child = int(Path(f"/proc/{pid}/task/{pid}/children").read_text())
            if Path(f"/proc/{child}/comm").read_text() == "sleep\n":
                return child
        time.sleep(0.02)
    raise AssertionError("the machine did not come up")


def numbers(status: str, field: str) -> tuple[int, ...]:
    """Return the rights of a field of a process's status, as the kernel counts them."""
    value = int(next(line.split()[1] for line in status.splitlines() if line.startswith(f"{field}:")), 16)
    return tuple(number for number in range(64) if value >> number & 1)


def possible(rights: tuple[int, ...]) -> tuple[int, ...]:
    """Return those of them that this host has itself: it may be a container."""
    own = numbers(Path("/proc/self/status").read_text(), "CapBnd")
    return tuple(number for number in rights if number in own)


def test_what_is_run_in_a_machine_has_its_rights_and_limits_and_runs_nothing_of_the_masters(
    machine: Machine, mark: Path
) -> None:
    said = json.loads(command.run(machine.inside(["python3", "-I", "-c", SHOW])).stdout)
    assert not mark.exists(), mark.read_text()
    status = said["status"]
    assert numbers(status, "CapBnd") == numbers(status, "CapEff") == numbers(status, "CapPrm") == possible(RIGHTS)
    assert numbers(status, "CapInh") == numbers(status, "CapAmb") == ()
    assert "NoNewPrivs:\t1" in status
    assert (said["path"], said["host"], said["folder"]) == ("/usr/sbin:/usr/bin:/sbin:/bin", "sandbox", "/"), (
        "not a folder of this host"
    )
    groups = dict(line.split(":", 2)[1:] for line in said["cgroup"].splitlines())
    assert groups[""] == "/../../hotsync-guests", "beside the machine's own, below the scope"
    if "pids" in tops():
        assert groups["pids"] == "/", "where the machine is"


def test_what_is_run_in_a_machine_makes_no_devices(machine: Machine) -> None:
    done = command.run(machine.inside(["mknod", "/marks/null", "c", "1", "3"]), ok=range(256))
    assert done.returncode == 1
    assert "Operation not permitted" in done.errors


def test_what_is_run_in_a_machine_ends_with_whoever_ran_it(machine: Machine) -> None:
    with pytest.raises(CommandFailed, match="no end after"):
        command.run(machine.inside(["sleep", "1000"]), timeout=2)
    group = next(tops()[""].glob(f"test-hotsync-{os.getpid()}/{SCOPE}/hotsync-guests"))
    for _ in range(200):
        if not (group / "cgroup.procs").read_text():
            return
        time.sleep(0.02)
    raise AssertionError("it goes on")


def test_nothing_is_run_where_a_machine_was(machine: Machine) -> None:
    os.kill(machine.init, 9)
    while Path(f"/proc/{machine.init}").exists():  # nor as one that ended and is not taken note of yet
        time.sleep(0.02)
    for number in (machine.init, os.getpid(), 1):
        with pytest.raises(CommandFailed, match="the sandbox has ended"):
            Machine(number).inside(["true"])


def test_a_machine_that_is_in_no_scope_has_no_limits_and_is_not_entered(tmp_path: Path) -> None:
    words = ["unshare", "--pid", "--fork", "--kill-child", "--", "sleep", "infinity"]
    with command.spawn(words, stdout=command.DEVNULL) as process:
        init = _booted(process.pid)
        with pytest.raises(CommandFailed, match="the sandbox has ended"):
            Machine(init).inside(["touch", os.fspath(tmp_path / "was here")])


def test_a_client_can_change_nothing_but_its_network() -> None:
    program = (
        "import sys; from hotsync.backends.sandbox_network import *; from hotsync.system import command\n"
        "with client_seat() as seat:\n"
        "    print(command.run(as_client(seat, ['cat', '/proc/self/status'])).text)"
    )
    words = ["unshare", "--net", "--", sys.executable, "-c", program]
    status = subprocess.run(words, check=True, capture_output=True, text=True).stdout
    assert numbers(status, "CapBnd") == numbers(status, "CapEff") == possible(CLIENT)
    assert "NoNewPrivs:\t1" in status
    assert sandbox_network.as_client(1, ["x"])[0] == "nsenter"
