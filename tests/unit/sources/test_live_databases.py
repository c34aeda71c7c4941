"""Database servers that nobody dumps are named."""

from __future__ import annotations

from pathlib import Path

from hotsync.sources.frozen.find import read_servers
from hotsync.sources.live_databases import read_live_databases

NUMBER = "ab" * 32


def process(proc: Path, pid: int, comm: str, root: str, cgroup: str) -> None:
    folder = proc / str(pid)
    folder.mkdir(parents=True)
    (folder / "comm").write_text(f"{comm}\n")
    (folder / "cgroup").write_text(f"0::{cgroup}\n")
    (folder / "root").symlink_to(root)


def test_each_server_in_a_container_is_named_once_and_on_the_host_those_that_nobody_knows(tmp_path: Path) -> None:
    proc, other = tmp_path / "proc", str(tmp_path)
    process(proc, 10, "mariadbd", other, f"/system.slice/docker-{NUMBER}.scope")
    process(proc, 11, "postgres", other, "/machine.slice/libpod-" + "cd" * 32 + ".scope")
    process(proc, 12, "postgres", other, "/machine.slice/libpod-" + "cd" * 32 + ".scope/container")
    process(proc, 13, "mariadbd", "/", "/system.slice/mariadb.service")
    process(proc, 14, "mongod", "/", "/system.slice/mongod.service")
    process(proc, 15, "nginx", other, f"/system.slice/docker-{NUMBER}.scope")
    process(proc, 16, "mariadbd", other, "/system.slice/hotsync-warm-mariadb@default.service")
    process(proc, 17, "postgres", other, "/system.slice/jailed.service")
    kept = tmp_path / "var/lib/docker/containers" / NUMBER
    kept.mkdir(parents=True)
    (kept / "config.v2.json").write_text('{"Name": "/shop-db"}')
    jailed = "postgres in container of a name that is not known"
    servers = read_servers(tmp_path, proc)
    found = read_live_databases(tmp_path, servers, pausing=False, proc=proc)
    assert found == (
        "mariadbd in container shop-db", "mongod", "postgres in container cdcdcdcdcdcd", jailed
    )  # fmt: skip
    assert read_live_databases(tmp_path, servers, pausing=True, proc=proc) == ("mongod", jailed)
