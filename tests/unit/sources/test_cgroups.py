"""Which cgroup is a container's, by what engines call them, or a service's, and where it is paused."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hotsync.sources.frozen.cgroups import (
    ContainerGroup,
    ServiceGroup,
    container_group,
    is_all_inside,
    other_in,
    service_group,
)
from hotsync.system.mounts import Mount

NUMBER = "ab" * 32


def unified(tmp_path: Path) -> list[Mount]:
    return [Mount(str(tmp_path / "all"), "cgroup2", "cgroup2", "/", "rw")]


def both(tmp_path: Path) -> list[Mount]:
    return [
        *unified(tmp_path),
        Mount(str(tmp_path / "memory"), "cgroup", "cgroup", "/", "rw,memory"),
        Mount(str(tmp_path / "freezer"), "cgroup", "cgroup", "/", "rw,freezer"),
    ]


@pytest.mark.parametrize(
    ("path", "group", "key", "name"),
    [
        (f"/system.slice/docker-{NUMBER}.scope", f"/system.slice/docker-{NUMBER}.scope", NUMBER, ""),
        (f"/docker/{NUMBER}", f"/docker/{NUMBER}", NUMBER, ""),
        (f"/machine.slice/libpod-{NUMBER}.scope/container", f"/machine.slice/libpod-{NUMBER}.scope", NUMBER, ""),
        (f"/libpod_parent/libpod-{NUMBER}", f"/libpod_parent/libpod-{NUMBER}", NUMBER, ""),
        (f"/system.slice/db.service/libpod-payload-{NUMBER}", f"/system.slice/db.service/libpod-payload-{NUMBER}",
         NUMBER, ""),
        (f"/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-{NUMBER}.scope",
         f"/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-{NUMBER}.scope", NUMBER, ""),
        ("/lxc.payload.mail/system.slice/mariadb.service", "/lxc.payload.mail", "mail", "mail"),
        ("/machine.slice/machine-web.scope/payload", "/machine.slice/machine-web.scope", "web", "web"),
        (f"/lxc.payload.mail/docker/{NUMBER}", f"/lxc.payload.mail/docker/{NUMBER}", NUMBER, ""),
    ],
)  # fmt: skip
def test_a_containers_own_cgroup_is_known_by_its_name(
    tmp_path: Path, path: str, group: str, key: str, name: str
) -> None:
    place = tmp_path / "all" / group.lstrip("/")
    place.mkdir(parents=True)
    (place / "cgroup.freeze").write_text("0\n")
    unit = "db.service" if "/db.service/" in path else ""
    assert container_group(f"0::{path}\n", unified(tmp_path)) == ContainerGroup(key, name, place, unit)


@pytest.mark.parametrize("path", ["/", "/system.slice/mariadb.service", "/user.slice/user-0.slice/session-1.scope"])
def test_what_is_in_no_container_has_none(tmp_path: Path, path: str) -> None:
    assert container_group(f"0::{path}\n", unified(tmp_path)) is None


def test_with_both_kinds_of_cgroups_it_is_the_one_that_the_engine_uses(tmp_path: Path) -> None:
    place = tmp_path / "freezer/docker" / NUMBER
    place.mkdir(parents=True)
    (place / "freezer.state").write_text("THAWED\n")
    said = f"12:memory:/docker/{NUMBER}\n7:freezer:/docker/{NUMBER}\n0::/\n"
    assert container_group(said, both(tmp_path)) == ContainerGroup(NUMBER, "", place)


def test_one_that_this_kernel_cannot_pause_is_known_all_the_same(tmp_path: Path) -> None:
    assert container_group(f"0::/docker/{NUMBER}\n", both(tmp_path)) == ContainerGroup(NUMBER, "", None)


def test_a_cgroup_with_a_program_of_this_host_in_it_is_not_all_inside(tmp_path: Path) -> None:
    inner, proc = tmp_path / "group/inner", tmp_path / "proc"
    inner.mkdir(parents=True)
    for pid, root in ((10, str(tmp_path)), (11, "/")):
        (proc / str(pid)).mkdir(parents=True)
        (proc / str(pid) / "root").symlink_to(root)
    (tmp_path / "group/cgroup.procs").write_text("")
    (inner / "cgroup.procs").write_text("10\n")
    assert is_all_inside(tmp_path / "group", proc)
    (inner / "cgroup.procs").write_text("10\n11\n")
    assert not is_all_inside(tmp_path / "group", proc)
    (inner / "cgroup.procs").write_text("")
    assert not is_all_inside(tmp_path / "group", proc)


@pytest.mark.parametrize(
    ("path", "group", "unit"),
    [
        ("/system.slice/mongod.service", "/system.slice/mongod.service", "mongod.service"),
        ("/system.slice/system-mongod.slice/mongod@a.service", "/system.slice/system-mongod.slice/mongod@a.service",
         "mongod@a.service"),
        ("/databases.slice/influxdb.service/inner", "/databases.slice/influxdb.service", "influxdb.service"),
        ("/mongod.service", "/mongod.service", "mongod.service"),
    ],
)  # fmt: skip
def test_a_services_own_cgroup_is_known_by_its_unit(tmp_path: Path, path: str, group: str, unit: str) -> None:
    place = tmp_path / "all" / group.lstrip("/")
    place.mkdir(parents=True)
    assert service_group(f"0::{path}\n", unified(tmp_path)) == ServiceGroup(unit, None)
    (place / "cgroup.freeze").write_text("0\n")
    assert service_group(f"1:name=systemd:{path}\n0::{path}\n", unified(tmp_path)) == ServiceGroup(unit, place)


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/system.slice",
        "/init.scope",
        "/user.slice/user-1000.slice/session-2.scope",
        "/user.slice/user-1000.slice/user@1000.service/app.slice/mongod.service",
        "/machine.slice/machine-web.scope/payload/system.slice/mongod.service",
        f"/system.slice/docker-{NUMBER}.scope",
        f"/system.slice/db.service/libpod-payload-{NUMBER}",
        "/system.slice/db.service/inner.scope",
        "/lxc.payload.mail/system.slice/mongod.service",
    ],
)
def test_what_is_no_service_of_the_systems_has_none(tmp_path: Path, path: str) -> None:
    assert service_group(f"0::{path}\n", unified(tmp_path)) is None


class Group:
    """A cgroup and the processes in it."""

    def __init__(self, folder: Path) -> None:
        self.place, self.proc = folder / "group", folder / "proc"
        self.place.mkdir()
        (self.place / "cgroup.procs").write_text("")

    def add(self, pid: int, user: int, root: str = "/") -> None:
        folder = self.proc / str(pid)
        folder.mkdir(parents=True)
        (folder / "status").write_text(f"Name:\tbeam.smp\nUid:\t{user}\t{user}\t{user}\t{user}\n")
        (folder / "root").symlink_to(root)
        with (self.place / "cgroup.procs").open("a") as procs:
            procs.write(f"{pid}\n")

    def other(self) -> str:
        return other_in(self.place, self.proc)


@pytest.fixture
def group(tmp_path: Path) -> Group:
    return Group(tmp_path)


def test_a_service_of_one_user_is_alone_also_while_a_process_ends(group: Group) -> None:
    group.add(10, 110)
    group.add(11, 110)
    (group.place / "inner").mkdir()
    (group.place / "inner/cgroup.procs").write_text("12\n")
    assert group.other() == ""


def test_a_cgroup_with_programs_of_another_user_is_not_the_services_alone(group: Group) -> None:
    group.add(10, 110)
    group.add(11, 0)
    assert "several users" in group.other()


def test_a_cgroup_with_programs_that_see_another_root_is_not_the_services_alone(group: Group, tmp_path: Path) -> None:
    group.add(10, 110)
    group.add(11, 110, str(tmp_path))
    assert "another root" in group.other()


@pytest.mark.parametrize("inner", ["session-4.scope", "other.service", f"libpod-payload-{NUMBER}"])
def test_a_cgroup_with_another_unit_or_a_container_in_it_is_not_the_services_alone(group: Group, inner: str) -> None:
    group.add(10, 110)
    (group.place / inner).mkdir()
    assert "other units" in group.other()


def test_a_cgroup_in_which_we_run_is_never_paused(group: Group) -> None:
    group.add(10, 110)
    group.add(os.getpid(), 110)
    assert "HotSync itself" in group.other()
