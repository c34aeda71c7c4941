from collections.abc import Sequence
from pathlib import Path

from hotsync.backends.host_events import parse_devices, parse_states, read_event_facts
from hotsync.system.paths import Paths

SHOWN = """\
Id=nftables.service
Names=nftables.service
ActiveState=active
UnitFileState=enabled

Id=shorewall.service
Names=shorewall.service
ActiveState=inactive
UnitFileState=

Id=samba-ad-dc.service
Names=samba-ad-dc.service samba.service
ActiveState=inactive
UnitFileState=enabled

Id=NetworkManager.service
Names=NetworkManager.service
ActiveState=active
UnitFileState=enabled
"""
DEVICES = """\
eth0:connected
eth1:unavailable
wg\\:0:connected
docker0:connected (externally)
lo:unmanaged
"""


def test_units_that_run_and_units_that_would_are_told_apart_under_each_of_their_names() -> None:
    running, enabled = parse_states(SHOWN)
    assert running == {"nftables.service", "NetworkManager.service"}
    assert enabled == {"nftables.service", "samba-ad-dc.service", "samba.service", "NetworkManager.service"}


def test_only_what_networkmanager_itself_has_connected_is_a_device_of_its() -> None:
    assert parse_devices(DEVICES) == ("eth0", "wg:0")


def test_facts_are_read_from_systemd_networkmanager_and_etc(tmp_path: Path) -> None:
    (tmp_path / "etc/netplan").mkdir(parents=True)
    (tmp_path / "etc/netplan/01.yaml").touch()
    (tmp_path / "etc/network").mkdir()
    (tmp_path / "etc/network/interfaces").write_text("auto lo\niface lo inet loopback\n")
    facts = read_event_facts(Paths(tmp_path), lambda argv: SHOWN if argv[0] == "systemctl" else DEVICES)
    assert facts.devices == ("eth0", "wg:0")
    assert (facts.netplan, facts.ifupdown) == (True, False)
    assert facts.nftables == "/etc/nftables.conf"


def test_networkmanager_is_not_asked_where_it_does_not_run_and_rhel_has_its_rules_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/os-release").write_text('ID="rocky"\nID_LIKE="rhel centos fedora"\n')
    asked: list[str] = []

    def run(argv: Sequence[str]) -> str:
        asked.append(argv[0])
        return ""

    facts = read_event_facts(Paths(tmp_path), run)
    assert asked == ["systemctl"]
    assert facts.nftables == "/etc/sysconfig/nftables.conf"
