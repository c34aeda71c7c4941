"""A drill, or a run of hotsync-slave, is ended for a promotion, but never while dpkg unpacks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest

from hotsync.backends.container import SCOPE
from hotsync.engine.promotion import clear_way
from hotsync.system import command, lock
from hotsync.system.paths import Paths

PROCESSES_BELOW = clear_way.processes_below


class Machine:
    """A service manager in which hotsync-slave runs the programs of each moment; waiting leads to the next."""

    def __init__(self, moments: list[frozenset[str]]) -> None:
        self.moments = moments
        self.asked: list[Sequence[str]] = []
        self.drills = False
        self.ends = "ActiveState=deactivating\nSubState=stop-post"
        self.seen: list[frozenset[str]] = []
        self.seconds = 0.0

    def run(self, argv: Sequence[str], **_: object) -> SimpleNamespace:
        self.asked.append(argv)
        if argv[-1] == SCOPE:
            return SimpleNamespace(text="inactive\n")
        if argv[-1] == clear_way.DRILL:
            return SimpleNamespace(text=self._drill(argv))
        if argv[1] == "stop":
            self.moments.clear()
        text = ("activating" if self.moments else "inactive") if argv[1] == "is-active" else "/system.slice/x"
        return SimpleNamespace(text=f"{text}\n")

    def _drill(self, argv: Sequence[str]) -> str:
        """Ended at once, and cleaned up after for a long time, which a stop waits for unless told otherwise."""
        if argv[1] == "stop":
            self.drills = False
            self.seconds += 0 if "--no-block" in argv else 90
        if argv[1] == "show":
            return "ActiveState=activating\nSubState=start" if self.drills else self.ends
        return "activating\n" if self.drills else "deactivating\n"

    def programs(self, _group: str) -> dict[int, str]:
        if not self.moments:
            return {}
        self.seen.append(self.moments[0])
        return dict(enumerate(sorted(self.moments[0])))

    def now(self) -> float:
        return 0.0

    def now_ns(self) -> int:
        return 0

    def monotonic(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds
        self.moments[:] = self.moments[1:] or self.moments


@pytest.fixture(autouse=True)
def _nothing_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    """The numbers of the processes are made up."""
    monkeypatch.setattr(clear_way, "_lives", lambda *_: False)
    monkeypatch.setattr(clear_way, "processes_below", lambda *_: {})


def cleared(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *moments: frozenset[str]) -> tuple[list[str], bool]:
    machine = Machine(list(moments))
    monkeypatch.setattr(command, "run", machine.run)
    monkeypatch.setattr(clear_way, "processes_in", machine.programs)
    said: list[str] = []
    clear_way.end_slave_run(Paths(tmp_path), said.append, machine)
    return said, any(argv[1] == "stop" for argv in machine.asked)


def test_nothing_is_said_or_stopped_when_no_run_is_going(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert cleared(monkeypatch, tmp_path) == ([], False)


def test_a_drill_is_ended_before_anything_else(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    machine = Machine([])
    machine.drills = True
    monkeypatch.setattr(command, "run", machine.run)
    said: list[str] = []
    clear_way.end_slave_run(Paths(tmp_path), said.append, machine)
    assert said == ["Ending a drill"]
    assert not machine.drills
    assert machine.seconds < 1, "it waits for no cleaning"


def test_a_drill_that_hangs_in_the_kernel_is_told_and_left_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    machine = Machine([])
    machine.drills, machine.ends = True, "ActiveState=deactivating\nSubState=stop-sigterm"
    monkeypatch.setattr(command, "run", machine.run)
    notes = clear_way.end_slave_run(Paths(tmp_path), lambda _: None, machine)
    assert [note.partition(";")[0] for note in notes] == ["A drill could not be ended"]
    assert 299 < machine.seconds < 302


def test_a_run_that_hangs_in_a_download_is_ended_at_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    said, stopped = cleared(monkeypatch, tmp_path, frozenset({"python3", "apt-get", "http"}))
    assert stopped
    assert said == ["Ending a run of hotsync-slave that is in the way"]


def test_while_dpkg_unpacks_it_is_waited_for_and_said_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    unpacking = frozenset({"apt-get", "dpkg"})
    said, stopped = cleared(monkeypatch, tmp_path, unpacking, unpacking, frozenset({"apt-get"}))
    assert stopped
    assert [line.partition(":")[0] for line in said] == [
        "hotsync-slave is installing packages",
        "Ending a run of hotsync-slave that is in the way",
    ]


def test_between_two_calls_of_dpkg_apt_get_is_not_ended(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    unpacking, between = frozenset({"apt-get", "dpkg"}), frozenset({"apt-get"})
    machine = Machine([unpacking, between, between, unpacking, between])
    monkeypatch.setattr(command, "run", machine.run)
    monkeypatch.setattr(clear_way, "processes_in", machine.programs)
    said: list[str] = []
    clear_way.end_slave_run(Paths(tmp_path), said.append, machine)
    assert machine.seen.count(unpacking) == 2


def test_who_writes_rpms_database_is_read_from_the_kernels_locks(tmp_path: Path) -> None:
    lock_file = Paths(tmp_path).at("/var/lib/rpm/.rpm.lock")
    lock_file.parent.mkdir(parents=True)
    lock_file.touch()
    inode = lock_file.stat().st_ino
    table = tmp_path / "locks"
    table.write_text(
        f"1: POSIX  ADVISORY  WRITE 4711 fe:01:{inode} 0 EOF\n"
        f"2: POSIX  ADVISORY  READ 4712 fe:01:{inode} 0 EOF\n"
        f"2: -> POSIX  ADVISORY  WRITE 4713 fe:01:{inode} 0 EOF\n"
        f"3: POSIX  ADVISORY  WRITE 4714 fe:01:{inode}1 0 EOF\n"
    )
    assert clear_way.writers_of(Paths(tmp_path), table) == {4711}
    assert clear_way.writers_of(Paths(tmp_path / "no rpm"), table) == frozenset()


def test_packages_that_hang_are_waited_for_ten_minutes_said_each_minute_and_then_ended(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    machine = Machine([frozenset({"apt-get", "dpkg"})])
    monkeypatch.setattr(command, "run", machine.run)
    monkeypatch.setattr(clear_way, "processes_in", machine.programs)
    said: list[str] = []
    (note,) = clear_way.end_slave_run(Paths(tmp_path), said.append, machine)
    assert machine.seconds == clear_way.UNPACK_SECONDS
    times = [line.split("at most ")[1].split(" (")[0] for line in said[:-2]]
    assert times == [f"{left} min" for left in range(10, 0, -1)]
    assert "systemctl stop hotsync-slave ends it" in said[0]
    assert said[-2:] == ["Ending a run of hotsync-slave that is in the way", note]
    assert "dpkg --configure -a" in note
    rpm = Paths(tmp_path).at("/var/lib/rpm/.rpm.lock")
    rpm.parent.mkdir(parents=True)
    rpm.touch()
    machine.moments.append(frozenset({"dpkg"}))
    (note,) = clear_way.end_slave_run(Paths(tmp_path), said.append, machine)
    assert "dnf check" in note


def test_what_cannot_be_killed_is_named_and_holds_nothing_up(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    machine = Machine([frozenset({"apt-get"})])
    paths = Paths(tmp_path)
    monkeypatch.setattr(command, "run", machine.run)
    monkeypatch.setattr(clear_way, "processes_in", lambda _: {4711: "hotsync-slave", 4712: "mount.nfs"})
    monkeypatch.setattr(clear_way, "_lives", lambda *_: True)
    monkeypatch.setattr(lock, "owner", lambda *_: lock.Owner(4711, 0.0))
    paths.run.mkdir(parents=True)
    paths.sync_lock.touch()
    (note,) = clear_way.end_slave_run(paths, lambda _: None, machine)
    assert "hotsync-slave (4711), mount.nfs (4712)" in note
    assert ["systemctl", "kill", "--signal=SIGKILL", clear_way.UNIT] in machine.asked
    assert 30 < machine.seconds < 60
    with lock.held(paths.sync_lock, "run of HotSync"):
        pass  # the promotion's own


def test_what_a_process_started_is_found_whatever_it_is_called(tmp_path: Path) -> None:
    for number, name, parent in ((7, "hotsync-slave", 1), (8, "apt (get) 7", 7), (9, "dpkg", 8), (10, "dpkg2", 1)):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "stat").write_text(f"{number} ({name}) S {parent} 1 1 0 -1")
    assert PROCESSES_BELOW(7, tmp_path) == {8: "apt (get) 7", 9: "dpkg"}


def test_the_programs_of_a_group_are_read_by_name_and_one_that_has_just_ended_is_none(tmp_path: Path) -> None:
    (tmp_path / "groups/system.slice/x").mkdir(parents=True)
    (tmp_path / "groups/system.slice/x/cgroup.procs").write_text("12\n13\n")
    (tmp_path / "proc/12").mkdir(parents=True)
    (tmp_path / "proc/12/comm").write_text("dpkg\n")
    assert clear_way.processes_in("/system.slice/x", tmp_path / "groups", tmp_path / "proc") == {12: "dpkg"}
    assert clear_way.processes_in("/gone", tmp_path / "groups", tmp_path / "proc") == {}
