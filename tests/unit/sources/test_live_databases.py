"""Database servers that nobody dumps and nobody can pause are named."""

from __future__ import annotations

from pathlib import Path

import pytest

from hotsync.sources.frozen.find import Server, is_among
from hotsync.sources.frozen.services import PausedUnit, read_servers
from hotsync.sources.live_databases import live_of

NUMBER = "ab" * 32


def process(proc: Path, pid: int, comm: str, root: str, cgroup: str) -> None:
    folder = proc / str(pid)
    folder.mkdir(parents=True)
    (folder / "comm").write_text(f"{comm}\n")
    (folder / "cgroup").write_text(f"0::{cgroup}\n")
    (folder / "root").symlink_to(root)


def test_each_server_in_a_container_is_named_once_and_on_the_host_those_that_nobody_dumps(tmp_path: Path) -> None:
    proc, other = tmp_path / "proc", str(tmp_path)
    process(proc, 10, "mariadbd", other, f"/system.slice/docker-{NUMBER}.scope")
    process(proc, 11, "postgres", other, "/machine.slice/libpod-" + "cd" * 32 + ".scope")
    process(proc, 12, "postgres", other, "/machine.slice/libpod-" + "cd" * 32 + ".scope/container")
    process(proc, 13, "mariadbd", "/", "/system.slice/mariadb.service")
    process(proc, 14, "mongod", "/", "/system.slice/mongod.service")
    process(proc, 18, "mongod", "/", "/user.slice/user-1000.slice/session-3.scope")
    process(proc, 15, "nginx", other, f"/system.slice/docker-{NUMBER}.scope")
    process(proc, 16, "mariadbd", other, "/system.slice/hotsync-warm-mariadb@default.service")
    process(proc, 17, "postgres", other, "/system.slice/jailed.service")
    kept = tmp_path / "var/lib/docker/containers" / NUMBER
    kept.mkdir(parents=True)
    (kept / "config.v2.json").write_text('{"Name": "/shop-db"}')
    jailed, by_hand = "postgres in container of a name that is not known", "mongod"
    servers = read_servers(tmp_path, (), proc)
    paused = ["mariadbd in container shop-db", "postgres in container cdcdcdcdcdcd"]
    assert sorted(live_of(servers, pausing=False)) == sorted((*paused, by_hand, "mongod of mongod.service", jailed))
    found = live_of(servers, pausing=True)
    # the cgroups of this root cannot be paused: there are none
    assert list(found) == [by_hand, "mongod of mongod.service", jailed]
    assert "no service" in found[by_hand]
    assert "let nobody pause it" in found["mongod of mongod.service"]


def test_a_server_that_can_be_paused_is_copied_live_only_where_nothing_may_be(tmp_path: Path) -> None:
    server = Server("mongod of mongod.service", tmp_path, ("/var/lib/mongodb",), service=True)
    assert live_of([server], pausing=True) == {}
    assert list(live_of([server], pausing=False)) == [server.name]


@pytest.mark.parametrize(
    ("unit", "why"),
    [
        ("ssh.service", "way in"),
        ("hotsyncd.service", "HotSync's own"),
        ("NetworkManager.service", "interfaces down"),
        ("systemd-networkd.service", "init system"),
        ("openvpn@office.service", "may need it"),
        ("wg-quick@wg0.service", "may need it"),
    ],
)
def test_a_unit_that_the_machine_or_the_line_needs_is_never_paused_whatever_a_profile_says(
    tmp_path: Path, unit: str, why: str
) -> None:
    process(tmp_path / "proc", 10, "anything", "/", f"/system.slice/{unit}")
    (server,) = read_servers(tmp_path, [PausedUnit("site", unit, ("/var/lib/site",))], tmp_path / "proc")
    assert (server.name, server.place, server.apart) == (f"site of {unit}", None, True)
    assert why in server.fault


def test_a_server_of_a_service_is_meant_by_its_name_with_and_without_the_unit() -> None:
    assert is_among("mongod of mongod.service", {"mongod"})
    assert is_among("mongod of mongod.service", {"mongod of mongod.service"})
    assert not is_among("mongod of mongod.service", {"mongod of other.service"})
    assert not is_among("mariadbd in container shop-db", {"mariadbd"})
