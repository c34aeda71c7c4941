"""Two booted hosts for the tests that need them: one lab a session, brought back to a saved state before each test."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from hotsync.errors import ExitCode
from lab import Host, Lab
from lab.command import LabError
from lab.places import locked
from lab.stand import labs

PASSWORD = "correct-horse-battery"
MASTER, SLAVE = "10.77.0.1", "10.77.0.2"
TREE = "/var/lib/hotsync/replica/tree"
# what a small server holds, so that a first synchronization takes seconds
SMALL = """
set -e
mkdir -p /srv/files /home/anna
for n in $(seq 1 200); do echo "file $n" >/srv/files/$n; done
"""


def own_name(what: str) -> str:
    """Return a lab's name that no other run of the tests on this machine has; seven signs are room for any process."""
    assert len(what) <= 7, what
    return f"test-{what}-{os.getpid()}"


@pytest.fixture(scope="session", autouse=True)
def _labs_of_killed_runs_are_away() -> None:
    """Take away the labs of runs of the tests that ended without doing it: nobody else ever would."""
    for name in labs():
        test, _, process = name.rpartition("-")
        if test.startswith("test-") and process.isdecimal() and not Path("/proc", process).exists():
            Lab.take_away(name)


def configure(host: Host, role: str, prop: str, peer: str, password: str = PASSWORD) -> None:
    """The manual's configuration, word for word."""
    host.run(["config", "setprop", "rsyncd", "password", password])
    host.run(["config", "setprop", "hotsync", "role", role])
    host.run(["config", "setprop", "hotsync", prop, peer])
    host.run(["signal-event", "nethserver-hotsync-save"])


def configure_pair(lab: Lab) -> None:
    """The manual's configuration on both servers; nothing runs by a timer."""
    configure(lab.slave, "slave", "MasterHost", MASTER)
    configure(lab.master, "master", "SlaveHost", SLAVE)
    lab.master.run("systemctl stop hotsync.timer; systemctl disable -q hotsync.timer")
    lab.slave.run("systemctl disable -q --now hotsync-slave.timer hotsync-drill.timer")


def make_waiting(lab: Lab) -> None:
    """A page on the MASTER, the manual's configuration, one generation, and hotsync-slave has looked after it."""
    lab.master.run("mkdir -p /srv/files; echo of the master >/srv/files/page")
    configure_pair(lab)
    assert sync(lab)["exit_code"] in (0, 1)
    looked = lab.slave.run(["hotsync-slave", "--json"], check=False, timeout=600)
    assert looked.returncode in (0, 1), looked.stdout + looked.stderr


def save_settings(master: Host) -> None:
    """Make changed settings count, without the runs that the timer begins again with them."""
    master.run(["signal-event", "nethserver-hotsync-save"])
    master.run("systemctl stop hotsync.timer; systemctl disable -q hotsync.timer")
    wait_for(master, "systemctl show --property=ActiveState --value hotsync.service | grep -qE 'inactive|failed'")


def sync(lab: Lab, *options: str) -> dict[str, Any]:
    """Run hotsync on the MASTER and return its record; a run that the timer began is waited for."""
    end = time.monotonic() + 300
    while True:
        done = lab.master.run(["hotsync", "--json", *options], check=False, timeout=300)
        if done.returncode != ExitCode.BUSY or time.monotonic() > end:
            break
        time.sleep(0.5)
    assert done.stdout, done.stderr
    record: dict[str, Any] = json.loads(done.stdout)
    record.setdefault("exit_code", done.returncode)
    return record


def status(host: Host) -> dict[str, Any]:
    """Return what `hotsync status --json` says."""
    document: dict[str, Any] = json.loads(host.run(["hotsync", "status", "--json"], check=False).stdout)
    return document


def wait_for(host: Host, question: str, seconds: float = 60) -> None:
    """Wait until a shell question is answered yes."""
    end = time.monotonic() + seconds
    while host.run(question, check=False).returncode != 0:
        assert time.monotonic() < end, question
        time.sleep(0.05)


def bugs_of(host: Host) -> list[str]:
    """Return the lines of a host's journal that tell of a bug, with what follows them."""
    lines = host.run(["journalctl", "-o", "short-precise", "--no-pager"]).stdout.splitlines()
    found = [number for number, line in enumerate(lines) if "Traceback" in line or "bug in HotSync" in line]
    return lines[found[0] : found[-1] + 30] if found else []


@pytest.fixture(autouse=True)
def no_bug_in_any_journal(request: pytest.FixtureRequest) -> Iterator[None]:
    """After each test: no host that it used has told its journal of a bug."""
    yield
    labs = {used.name: used for used in request.node.funcargs.values() if isinstance(used, Lab)}
    for host in (host for lab in labs.values() for host in lab.hosts if host.on):
        if lines := bugs_of(host):
            pytest.fail(f"the journal of {host.name} tells of a bug:\n" + "\n".join(lines[:200]), pytrace=False)


@contextmanager
def prepared_lab(what: str, label: str, prepare: Callable[[Lab], None], **wish: Any) -> Iterator[Lab]:
    """A lab that was put up and prepared until its state was saved under a label; whoever takes it reverts to that.

    What another worker of this run of the tests has prepared is not prepared again.
    """
    lab = None
    with locked(f"prepare-{what}"):  # who comes second waits, and takes what the first has made
        if other := _prepared_beside_us(what, label):
            with suppress(LabError):  # its worker may just be going
                lab = Lab.twin(other, own_name(what))
        if lab is None:
            lab = Lab.up(own_name(what), **wish)
            try:
                prepare(lab)
            except BaseException:
                lab.down()
                raise
    try:
        yield lab
    finally:
        lab.down()


def _prepared_beside_us(what: str, label: str) -> str:
    """Return the name of the lab of that kind that another worker of this run has; "" if there is none."""
    for name in labs() if "PYTEST_XDIST_WORKER" in os.environ else ():
        kind, _, process = name.rpartition("-")
        if kind == f"test-{what}" and process.isdecimal() and _parent_of(process) == os.getppid():
            with suppress(LabError):
                if label in Lab.find(name).saved():
                    return name
    return ""


def _parent_of(process: str) -> int:
    """Return the process that began another one, 0 if that has ended."""
    try:
        return int(Path("/proc", process, "stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def paired_lab(name: str, fs: str = "ext4") -> AbstractContextManager[Lab]:
    """Two bare hosts, paired, with one generation, saved as `paired`; as they were before, saved as `fresh`."""
    return prepared_lab(name, "paired", _pair, fs=fs, bare=True)


def _pair(lab: Lab) -> None:
    lab.master.run(SMALL)
    lab.save("fresh")
    configure_pair(lab)
    record = sync(lab)
    assert record["exit_code"] == 0, record
    lab.save("paired")


@pytest.fixture(scope="session")
def prepared_pair() -> Iterator[Lab]:
    """Two bare hosts, paired, with one generation."""
    with paired_lab("pair") as lab:
        yield lab


@pytest.fixture
def pair(prepared_pair: Lab) -> Lab:
    """The paired hosts as they were after the first generation; no timer runs."""
    prepared_pair.revert("paired")
    return prepared_pair


@pytest.fixture
def fresh(prepared_pair: Lab) -> Lab:
    """The two hosts before anything was configured."""
    prepared_pair.revert("fresh")
    return prepared_pair


@pytest.fixture(scope="session")
def production() -> Iterator[Lab]:
    """A MASTER with applications and its SLAVE; whoever takes them reverts to `ready`, or to `dead`."""
    from tests.lab.production import ready_lab  # it stands on this module

    with ready_lab("promote") as lab:
        yield lab


@pytest.fixture(scope="module")
def prepared(production: Lab) -> Iterator[Lab]:
    """A ready SLAVE and its MASTER for all tests of a module, which are off after it."""
    from tests.lab.production import switch_off

    yield production
    switch_off(production)


@pytest.fixture
def alive(prepared: Lab) -> Lab:
    """Both hosts, ready, the MASTER still on."""
    prepared.revert("ready")
    return prepared
