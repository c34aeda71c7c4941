"""Files as people have them, with VLANs, bonds, bridges and WireGuard: read, written again, and each system's own
program says that what we wrote is as sound as what was there. The kernel need not have such devices.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from hotsync.backends.network import ifupdown, netplan, networkd, networkmanager
from hotsync.model.network.links import Bond, Bridge, Virtual, Vlan
from hotsync.model.network.values import Interface, NetworkState
from tests.contract.backends.network_checkers import ifup_says, netplan_makes, networkd_says, nmcli_says, put
from tests.unit.backends.test_network_links import NETWORKD, SERVER, networkds
from tests.unit.backends.test_network_manager import BOND, BRIDGE, PORT, VLAN

pytestmark = pytest.mark.contract

KEY, PEER, OTHER = (
    "4GgaQCy68nzNsUE5aJ9fuLzHhB65tAlwbmA72MWnOm8=",
    "M9nt4YujIOmNrRmpIRTmYSfMdrpvE7u6WkG8FY8WjG4=",
    "YU3+DWNGgPLxTzGGHQpPnO5DoSdUZGZNkBxnUmhCYR8=",
)
TUNNEL = (
    "[NetDev]\nName=wg0\nKind=wireguard\n[WireGuard]\nPrivateKeyFile=/etc/wg.key\nListenPort=51820\n"
    f"[WireGuardPeer]\nPublicKey={PEER}\nAllowedIPs=10.7.0.2/32\n"
    f"[WireGuardPeer]\nPublicKey={OTHER}\nAllowedIPs=10.7.0.3/32\nEndpoint=vpn.example.org:51820\n"
)
PLANNED = f"""\
network:
  version: 2
  ethernets:
    ens5: {{}}
    ens6: {{}}
  bonds:
    bond0:
      interfaces: [ens5, ens6]
      parameters: {{mode: 802.3ad, lacp-rate: fast, mii-monitor-interval: 1s}}
  vlans:
    storage: {{id: 20, link: bond0}}
  bridges:
    br0: {{interfaces: [storage], parameters: {{stp: false, forward-delay: 4}}, addresses: [192.0.2.10/24]}}
  tunnels:
    wg0:
      mode: wireguard
      key: {KEY}
      port: 51820
      addresses: [10.7.0.1/24]
      peers:
        - keys: {{public: "{PEER}"}}
          allowed-ips: [10.7.0.2/32]
        - keys: {{public: "{OTHER}"}}
          allowed-ips: [10.7.0.3/32]
          endpoint: "192.0.2.99:51820"
"""
WIREGUARD = (
    f"[connection]\nid=wg\nuuid=00000000-0000-0000-0000-000000000007\ntype=wireguard\ninterface-name=wg0\n\n"
    f"[wireguard]\nlisten-port=51820\nprivate-key={KEY}\n\n[wireguard-peer.{PEER}]\nallowed-ips=10.7.0.2/32;\n\n"
    f"[wireguard-peer.{OTHER}]\nallowed-ips=10.7.0.3/32;\nendpoint=vpn.example.org:51820\n\n"
    "[ipv4]\naddress1=10.7.0.1/24\nmethod=manual\n\n[ipv6]\nmethod=disabled\n"
)


def links(state: NetworkState) -> set[type]:
    return {type(each.link) for each in state.interfaces if each.link is not None}


def test_ifup_does_the_same_by_what_we_wrote(tmp_path: Path) -> None:
    names = ["bond0", "br0", "vlan30", "wg0"]
    put(tmp_path / "before", {ifupdown.FILE: SERVER})
    state = ifupdown.read(tmp_path / "before")
    assert links(state) == {Bond, Bridge, Vlan}  # its tunnel is made by commands, which are kept
    put(tmp_path / "after", ifupdown.render(state))
    assert ifupdown.read(tmp_path / "after") == state
    before, after = (_commands(ifup_says(tmp_path / side / ifupdown.FILE, names)) for side in ("before", "after"))
    assert len(before) > 10
    assert before == after


def _commands(said: str) -> list[str]:
    """Return the commands in order; a card is named or meant by $IFACE, and a gateway may be asked for on the wire."""
    plain = said.replace("$IFACE", "br0").replace(" onlink", "")
    return sorted(line for line in plain.splitlines() if line.startswith(("ip ", "wg ", "sysctl ")))


def test_networkd_finds_no_more_fault_in_what_we_wrote(tmp_path: Path) -> None:
    texts = networkds({**NETWORKD, "50-wg0.netdev": TUNNEL})
    put(tmp_path / "before", texts)
    state = networkd.parse(texts)
    assert links(state) == {Bond, Bridge, Vlan, Virtual}
    put(tmp_path / "after", networkd.render(state))
    assert networkd_says(tmp_path / "before" / networkd.FOLDER) == []
    assert networkd_says(tmp_path / "after" / networkd.FOLDER) == []


def test_netplan_makes_the_same_of_what_we_wrote(tmp_path: Path) -> None:
    put(tmp_path / "before/etc", {"netplan/50.yaml": PLANNED}, mode=0o600)
    state = netplan.read(tmp_path / "before/etc")
    assert links(state) == {Bond, Bridge, Vlan, Virtual}
    put(tmp_path / "after/etc", netplan.render(state), mode=0o600)
    before, after = (netplan_makes(tmp_path / side) for side in ("before", "after"))
    assert sorted(before) == sorted(after)
    assert networkd.parse(after) == networkd.parse(before)  # 1s or 1000ms
    tunnel = next(path for path in before if path.endswith("wg0.netdev"))
    assert after[tunnel] == before[tunnel]
    assert OTHER in before[tunnel]


def test_networkmanager_understands_the_same_by_what_we_wrote() -> None:
    texts = {f"{networkmanager.FOLDER}/{number}": text for number, text in enumerate((BOND, PORT, VLAN, BRIDGE))}
    # nmcli asks for a real uuid, and for a master that it can find
    whole = {path: _with_uuids(text) for path, text in texts.items()} | {f"{networkmanager.FOLDER}/wg": WIREGUARD}
    state = networkmanager.parse(whole)
    assert links(state) == {Bond, Bridge, Vlan, Virtual}
    before = {path: nmcli_says(text, path.rpartition("/")[2]) for path, text in whole.items()}
    written = networkmanager.render(state)
    after = {path: nmcli_says(text, path.rpartition("/")[2]) for path, text in written.items()}
    assert _plain(networkmanager.parse(after)) == _plain(networkmanager.parse(before))
    assert f"[wireguard-peer.{OTHER}]" in "".join(after.values())


def _with_uuids(text: str) -> str:
    for number, name in enumerate(("b-1", "p-1", "v-1", "r-1"), start=1):
        text = text.replace(name, f"00000000-0000-0000-0000-00000000000{number}")
    return text


def _plain(state: NetworkState) -> dict[str, Interface]:
    """Return the interfaces with their options in order, and without a profile's name and number."""
    return {
        each.name: replace(each, options=tuple(sorted(each for each in each.options if "connection]" not in each[0])))
        for each in state.interfaces
    }
