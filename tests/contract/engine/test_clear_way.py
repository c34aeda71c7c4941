"""A run of hotsync-slave that a person started is ended for a promotion, and no other run is."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from hotsync.engine.promotion import clear_way
from hotsync.system import lock
from hotsync.system.clock import SystemClock
from hotsync.system.paths import Paths
from tests.contract.backends.dnf_root import DnfRoot

SLAVE_RUN = """
import fcntl, json, os, signal, subprocess, sys, time
file = open(sys.argv[2], "w")
fcntl.flock(file, fcntl.LOCK_EX)
file.write(json.dumps({"pid": os.getpid(), "since": 0}))
file.flush()
print("held", flush=True)
if sys.argv[3:]:
    child = subprocess.Popen(sys.argv[3:], start_new_session=True)
    print(child.pid, flush=True)
    child.wait()
time.sleep(600)
"""


CONTROL = """\
Package: hangs
Version: 1
Architecture: all
Maintainer: A test <root@localhost>
Description: a package whose configuration hangs
"""


@pytest.fixture(autouse=True)
def _no_unit(monkeypatch: pytest.MonkeyPatch) -> None:
    """No service manager runs here."""
    monkeypatch.setattr(clear_way, "_is_going", lambda *_: False)


def test_a_run_that_a_person_started_is_ended_too(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    paths.run.mkdir(parents=True)
    script = tmp_path / "hotsync-slave"
    script.write_text(SLAVE_RUN)
    said: list[str] = []
    argv = [sys.executable, str(script), "run", str(paths.sync_lock)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        assert lock.owner(paths.sync_lock) is not None
        clear_way.end_slave_run(paths, said.append, SystemClock())
        assert process.wait() == -signal.SIGTERM
    assert said == ["Ending a run of hotsync-slave that is in the way"]


def test_any_other_run_is_left_to_be_busy(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    with lock.held(paths.sync_lock, "run of HotSync"):
        clear_way.end_slave_run(paths, lambda _said: None, SystemClock())


@contextmanager
def slave_run(paths: Paths, *argv: str) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """A person's run of hotsync-slave that runs a program; give both processes."""
    paths.run.mkdir(parents=True)
    script = paths.run / "hotsync-slave"
    script.write_text(SLAVE_RUN)
    whole = [sys.executable, str(script), "run", str(paths.sync_lock), *argv]
    with subprocess.Popen(whole, stdout=subprocess.PIPE, start_new_session=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        child = int(process.stdout.readline())
        try:
            yield process, child
        finally:
            for each in (process.pid, child):
                with suppress(ProcessLookupError):
                    os.kill(each, signal.SIGKILL)


def wait_for(happened: Callable[[], bool]) -> None:
    while not happened():
        time.sleep(0.05)


def test_what_it_has_started_does_not_go_on_without_it(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    with slave_run(paths, "sleep", "600") as (process, child):
        clear_way.end_slave_run(paths, lambda _said: None, SystemClock())
        assert process.wait() == -signal.SIGTERM
        wait_for(lambda: not Path(f"/proc/{child}/exe").exists())


@pytest.mark.parametrize("tool", ["rpm", "dnf"])
def test_while_rpms_database_is_written_it_is_waited_for(tmp_path: Path, tool: str) -> None:
    """dnf and yum download and unpack in one process: only the lock of the database tells which."""
    root = DnfRoot(tmp_path)
    waits = '%pre -p <lua>\nrepeat posix.sleep(1) until posix.stat("/go")'
    package = root.offer("slow", scripts=waits)
    root.publish()
    argv = {
        "rpm": ["rpm", "--root", str(root.root), "-i", str(package)],
        "dnf": ["dnf", "-y", "-q", f"--installroot={root.root}", "--releasever=9", "install", "slow"],
    }[tool]
    said: list[str] = []
    with slave_run(root.paths, *argv) as (process, child):
        wait_for(lambda: child in clear_way.writers_of(root.paths))

        def say(text: str) -> None:
            said.append(text)
            (root.root / "go").touch()  # only once it is said that it is waited for

        clear_way.end_slave_run(root.paths, say, SystemClock())
        assert process.wait() == -signal.SIGTERM
    assert [text.partition(":")[0] for text in said] == [
        "hotsync-slave is installing packages",
        "Ending a run of hotsync-slave that is in the way",
    ]
    asked = ["rpm", "--root", str(root.root), "-q", "slow"]
    environment = {"HOME": "/root", "PATH": os.environ["PATH"]}
    assert b"slow-1.0-1" in subprocess.run(asked, capture_output=True, check=True, env=environment).stdout


def test_what_does_not_end_when_it_is_asked_to_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clear_way, "_TERM_SECONDS", 0.5)
    paths, ready = Paths(tmp_path), tmp_path / "ready"
    with slave_run(paths, "sh", "-c", f"trap '' TERM; touch {ready}; while :; do sleep 1; done") as (process, child):
        wait_for(ready.exists)
        assert clear_way.end_slave_run(paths, lambda _said: None, SystemClock()) == ()
        assert process.wait() == -signal.SIGTERM
        assert not Path(f"/proc/{child}/exe").exists()


def test_a_package_that_hangs_is_ended_and_can_be_mended_afterwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clear_way, "UNPACK_SECONDS", 1.0)
    root, built, go = tmp_path / "root", tmp_path / "built", tmp_path / "go"
    for folder in ("var/lib/dpkg/updates", "var/lib/dpkg/info"):
        (root / folder).mkdir(parents=True)
    (root / "var/lib/dpkg/status").touch()
    (built / "DEBIAN").mkdir(parents=True)
    (built / "DEBIAN/control").write_text(CONTROL)
    (built / "DEBIAN/postinst").write_text(f"#!/bin/sh\ntouch {go}.not\nwhile [ ! -e {go} ]; do sleep 0.1; done\n")
    (built / "DEBIAN/postinst").chmod(0o755)
    subprocess.run(["dpkg-deb", "-b", built, tmp_path / "hangs.deb"], check=True, capture_output=True)
    dpkg = ["dpkg", f"--root={root}", "--force-script-chrootless"]
    paths = Paths(tmp_path / "slave")
    said: list[str] = []
    with slave_run(paths, *dpkg, "-i", str(tmp_path / "hangs.deb")) as (process, child):
        wait_for(Path(f"{go}.not").exists)
        (note,) = clear_way.end_slave_run(paths, said.append, SystemClock())
        assert process.wait() == -signal.SIGTERM
        assert not Path(f"/proc/{child}/exe").exists()
    assert f"kill {process.pid} ends it" in said[0]
    assert "dpkg --configure -a" in note
    go.touch()
    subprocess.run([*dpkg, "--configure", "-a"], check=True, capture_output=True)
    assert "Status: install ok installed" in (root / "var/lib/dpkg/status").read_text()
