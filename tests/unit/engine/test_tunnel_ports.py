"""Where the MASTER's tunnels listen, by its files in the replica."""

from __future__ import annotations

from pathlib import Path

from hotsync.engine.slave.tunnel_ports import ports_of_tunnels
from hotsync.system.paths import Paths

TREE = "var/lib/hotsync/replica/tree"


def put(root: Path, path: str, text: str) -> None:
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def test_ports_of_wireguard_are_read_from_the_files_of_every_program_that_sets_it_up(tmp_path: Path) -> None:
    put(tmp_path, f"{TREE}/etc/wireguard/wg0.conf", "[Interface]\nPrivateKey = x\nListenPort = 51820 # home\n")
    put(tmp_path, f"{TREE}/etc/wireguard/client.conf", "[Interface]\n#ListenPort = 40001\n[Peer]\nEndpoint = a:40002\n")
    put(tmp_path, f"{TREE}/etc/systemd/network/wg.netdev", "[WireGuard]\nListenPort=51821\n")
    put(tmp_path, f"{TREE}/etc/NetworkManager/system-connections/wg.nmconnection", "[wireguard]\nlisten-port=51822\n")
    put(tmp_path, f"{TREE}/etc/other/wg.conf", "ListenPort = 40003\n")
    (tmp_path / TREE / "etc/wireguard/link.conf").symlink_to("../other/wg.conf")
    assert ports_of_tunnels(Paths(tmp_path)) == {51820, 51821, 51822}


def test_a_port_of_a_tunnel_that_this_server_has_of_its_own_proves_nothing(tmp_path: Path) -> None:
    put(tmp_path, f"{TREE}/etc/wireguard/wg0.conf", "PrivateKey = a\nListenPort = 51820\n")
    put(tmp_path, "etc/systemd/network/own.netdev", "PrivateKey=b\nListenPort=51820\n")
    assert ports_of_tunnels(Paths(tmp_path)) == frozenset()
    (tmp_path / "etc/systemd/network/own.netdev").unlink()
    put(tmp_path, "etc/wireguard/wg0.conf", "PrivateKey = a\nListenPort = 51820\n")
    assert ports_of_tunnels(Paths(tmp_path)) == {51820}, "the MASTER's own file, used here"


def test_nothing_is_known_where_the_master_has_no_tunnel(tmp_path: Path) -> None:
    assert ports_of_tunnels(Paths(tmp_path)) == frozenset()
