"""Whose processes run under which numbers, and what becomes of their units when the numbers change."""

from __future__ import annotations

from pathlib import Path

from hotsync.backends.account_processes import (
    Owners,
    Process,
    processes_of,
    read_old_runners,
    remember_numbers,
    sort_owners,
    strays,
)


def run(proc: Path, pid: int, unit: str, uid: int = 0, gids: str = "0", since: int = 1, name: str = "x") -> None:
    folder = proc / str(pid)
    folder.mkdir(parents=True)
    first, _, others = gids.partition(" ")
    (folder / "status").write_text(f"Name:\t{name}\nUid:\t0\t{uid}\t0\t0\nGid:\t{first}\t0\t0\t0\nGroups:\t{others} \n")
    (folder / "comm").write_text(f"{name}\n")
    (folder / "cgroup").write_text(f"0::/system.slice/{unit}\n" if unit else "0::/user.slice/session-1.scope\n")
    (folder / "stat").write_text(f"{pid} ({name}) S " + " ".join(["0"] * 18) + f" {since} 0 0\n")


def test_users_groups_and_mere_members_are_found_whatever_a_process_calls_itself(tmp_path: Path) -> None:
    run(tmp_path, 1, "init.scope")
    run(tmp_path, 20, "mail.service", uid=110, since=77, name="a) b (c")
    run(tmp_path, 21, "log.service", gids="0 4 120")
    run(tmp_path, 22, "web.service", gids="121")
    (tmp_path / "uptime").write_text("1.0 1.0\n")
    (tmp_path / "23").mkdir()  # it is just ending
    found = sorted(processes_of(frozenset({110}), frozenset({120, 121}), tmp_path), key=lambda each: each.pid)
    assert [(each.pid, each.unit) for each in found] == [
        (20, "mail.service"), (21, "log.service"), (22, "web.service"),
    ]  # fmt: skip
    assert found[0] == Process(20, "a) b (c", "mail.service", 77)
    assert processes_of(frozenset(), frozenset(), tmp_path) == []


def test_services_stop_the_machines_own_are_restarted_sessions_go_on_and_a_waiting_server_stops() -> None:
    units = ("mail.service", "chrony.service", "user@7.service", "dbus.service", "hotsyncd.service", "")
    processes = [
        Process(number, "x", unit, 1) for number, unit in enumerate((*units, "hotsync-warm-postgresql.service"))
    ]
    assert sort_owners(processes) == Owners(("hotsync-warm-postgresql.service", "mail.service"), ("chrony.service",))


def test_what_began_before_a_number_changed_hands_is_told_as_long_as_it_runs(tmp_path: Path) -> None:
    proc, state = tmp_path / "proc", tmp_path / "run/hotsync"
    run(proc, 30, "", uid=1000, since=100, name="bash")
    run(proc, 31, "mail.service", uid=1000, since=10**9)
    (proc / "uptime").write_text("50.25 1.0\n")
    assert read_old_runners(state, proc) == []
    remember_numbers(state, frozenset({1000}), frozenset(), proc)
    remember_numbers(state, frozenset({1000, 7}), frozenset({5}), proc)
    assert read_old_runners(state, proc) == ["bash (process 30)"]


def test_a_process_whose_number_nobody_has_is_a_stray_unless_systemd_gave_it(tmp_path: Path) -> None:
    run(tmp_path, 40, "old.service", uid=130)
    run(tmp_path, 41, "dynamic.service", uid=61500)
    assert strays(frozenset({0, 110}), tmp_path) == ["old.service (process 40)"]
