"""Where the files of a database server in a container lie on this host, by the tables of mounts and by inode."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path

import pytest

from hotsync.sources.frozen import find
from hotsync.sources.frozen.find import Server, read_contained
from hotsync.system import command
from hotsync.system.mounts import Mount, read_mounts

NUMBER = "ab" * 32
NAME = "mariadbd in container shop-db"


class World:
    """A host with one container, and a /proc that tells of it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.proc = folder, folder / "proc"
        self.volume, self.inside = folder / "volumes/shop", folder / "container"
        self.group = folder / "cgroup/docker" / NUMBER
        for path in (self.volume, self.inside / "var/lib", self.proc, self.group):
            path.mkdir(parents=True)
        (self.inside / "var/lib/mysql").symlink_to(self.volume)
        (self.group / "cgroup.freeze").write_text("0\n")
        (self.group / "cgroup.procs").write_text("10\n")
        kept = folder / "var/lib/docker/containers" / NUMBER
        kept.mkdir(parents=True)
        (kept / "config.v2.json").write_text('{"Name": "/shop-db"}')
        self.mounts = [
            Mount("/", "ext4", "/dev/sda1", "/", "rw", "8:1"),
            Mount(str(folder), "xfs", "/dev/sdb1", "/data", "rw", "8:2"),
            Mount(str(folder / "cgroup"), "cgroup2", "cgroup2", "/", "rw", "0:9"),
        ]

    def process(self, pid: int, cwd: str, table: str, program: str = "mariadbd") -> None:
        folder = self.proc / str(pid)
        (folder / "fd").mkdir(parents=True)
        (folder / "comm").write_text(f"{program}\n")
        (folder / "cgroup").write_text(f"0::/docker/{NUMBER}\n")
        (folder / "root").symlink_to(self.inside)
        (folder / "cwd").symlink_to(cwd)
        (folder / "mountinfo").write_text(table)

    def run_by(self, unit: str) -> None:
        """Have Podman run the container in a unit, as a quadlet is."""
        group = self.folder / f"cgroup/system.slice/{unit}/libpod-payload-{NUMBER}"
        group.parent.mkdir(parents=True)
        self.group = self.group.rename(group)
        (self.proc / "10/cgroup").write_text(f"0::/system.slice/{unit}/libpod-payload-{NUMBER}\n")

    def servers(self) -> tuple[Server, ...]:
        return read_contained(self.folder, self.proc)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    world = World(tmp_path)

    def mounts(process: Path | None = None) -> list[Mount]:
        return world.mounts if process is None else read_mounts(process)

    monkeypatch.setattr(find, "read_mounts", mounts)
    return world


LAYER = "1 0 0:50 / / rw - overlay overlay rw\n"
VOLUME = "2 1 8:2 /data/volumes/shop /var/lib/mysql rw - xfs /dev/sdb1 rw\n"


def test_the_folder_of_a_volume_is_found_by_where_the_server_works(world: World) -> None:
    world.process(10, "/var/lib/mysql", LAYER + VOLUME)
    assert world.servers() == (Server(NAME, world.group, (str(world.volume),)),)


def test_a_child_that_has_ended_meanwhile_does_not_matter_and_a_server_that_has_is_none(world: World) -> None:
    world.process(10, "/var/lib/mysql", LAYER + VOLUME)
    world.process(11, "/var/lib/mysql", LAYER + VOLUME)
    os.unlink(world.proc / "11/mountinfo")
    assert world.servers() == (Server(NAME, world.group, (str(world.volume),)),)
    os.unlink(world.proc / "10/mountinfo")
    assert world.servers() == ()


def test_another_folder_at_the_path_is_not_taken_for_the_volume(world: World) -> None:
    world.process(10, "/var/lib/mysql", LAYER + VOLUME.replace("volumes/shop", "volumes/other"))
    (world.folder / "volumes/other").mkdir()
    (server,) = world.servers()
    assert (server.folders, "give it a volume" in server.fault) == ((), True)


def test_files_in_the_container_itself_are_a_fault_and_in_memory_none(world: World) -> None:
    world.process(10, "/var/lib/mysql", LAYER)
    (server,) = world.servers()
    assert "give it a volume" in server.fault
    (world.proc / "10/mountinfo").write_text(LAYER + "2 1 0:51 / /var/lib/mysql rw - tmpfs tmpfs rw\n")
    assert world.servers() == ()


def test_a_container_with_a_program_of_this_host_in_its_cgroup_is_not_paused(world: World) -> None:
    world.process(10, "/var/lib/mysql", LAYER + VOLUME)
    (world.proc / "12").mkdir()
    (world.proc / "12/root").symlink_to("/")
    (world.group / "cgroup.procs").write_text("10\n12\n")
    (server,) = world.servers()
    assert (server.place, "programs of this host" in server.fault) == (None, True)


def test_podmans_containers_have_the_names_that_it_keeps(world: World) -> None:
    world.process(10, "/var/lib/mysql", LAYER + VOLUME)
    (world.folder / "var/lib/docker/containers" / NUMBER / "config.v2.json").unlink()
    kept = world.folder / "home/eva/.local/share/containers/storage/overlay-containers"
    kept.mkdir(parents=True)
    (kept / "containers.json").write_text(json.dumps([{"id": NUMBER, "names": ["wiki-db"]}]))
    (server,) = world.servers()
    assert server.name == "mariadbd in container wiki-db"


def test_files_in_a_layer_are_a_containers_own_though_docker_mounts_it_on_the_host(world: World) -> None:
    (world.inside / "var/lib/mysql").unlink()
    (world.inside / "var/lib/mysql").mkdir()
    world.mounts.append(Mount(str(world.inside), "overlay", "overlay", "/", "rw", "0:50"))
    world.process(10, "/var/lib/mysql", LAYER)
    (server,) = world.servers()
    assert (server.folders, "give it a volume" in server.fault) == ((), True)
    # of a container that is a plain folder, as LXC's are, they are carried
    world.mounts[-1] = Mount("/", "ext4", "/dev/sda1", "/", "rw", "8:1")
    (world.proc / "10/mountinfo").write_text(f"1 0 8:1 {world.inside} / rw - ext4 /dev/sda1 rw\n")
    (server,) = world.servers()
    assert (server.folders, server.fault) == ((f"{world.inside}/var/lib/mysql",), "")


@pytest.mark.parametrize(("program", "is_lost"), [("mariadbd", True), ("postgres", True), ("redis-server", False)])
def test_a_database_in_a_volume_without_a_name_is_copied_and_named_unless_it_is_a_cache(
    world: World, program: str, is_lost: bool
) -> None:
    volume = world.folder / "var/lib/docker/volumes" / NUMBER / "_data"
    volume.mkdir(parents=True)
    (world.inside / "data").symlink_to(volume)
    nameless = VOLUME.replace("volumes/shop", f"var/lib/docker/volumes/{NUMBER}/_data").replace("var/lib/mysql", "data")
    world.process(10, "/data", LAYER + nameless, program)
    (server,) = world.servers()
    assert (server.folders, server.fault) == ((str(volume),), "")
    assert ("name it in the compose file" in server.lost) == is_lost


def test_a_container_is_paused_no_longer_than_what_it_was_told_of_a_watchdog_bears(world: World) -> None:
    world.process(10, "/var/lib/mysql", LAYER + VOLUME)
    (world.proc / "10/environ").write_text("HOME=/\0WATCHDOG_USEC=40000000\0")
    (server,) = world.servers()
    assert server.seconds == 10.0


@pytest.mark.parametrize(
    ("said", "seconds"),
    [("WatchdogUSec=30s\n", 7.5), ("WatchdogUSec=1min 30s\n", 22.5), ("WatchdogUSec=0\n", math.inf),
     ("WatchdogUSec=infinity\n", math.inf), ("WatchdogUSec=1d\n", 21600.0), ("WatchdogUSec=500ms\n", 0.125)],
)  # fmt: skip
def test_a_container_that_a_unit_runs_is_paused_no_longer_than_the_units_watchdog_bears(
    world: World, monkeypatch: pytest.MonkeyPatch, said: str, seconds: float
) -> None:
    asked: list[list[str]] = []

    def answer(argv: list[str]) -> command.Completed:
        asked.append(argv)
        return command.Completed(0, said.encode(), b"")

    monkeypatch.setattr(command, "run", answer)
    world.process(10, "/var/lib/mysql", LAYER + VOLUME)
    world.run_by("shop-db.service")
    (server,) = world.servers()
    assert server.seconds == seconds
    assert asked == [["systemctl", "show", "--property=WatchdogUSec", "--", "shop-db.service"]]
