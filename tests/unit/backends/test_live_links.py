"""What is made on the running system of a network's bonds, bridges and VLANs, and in which order."""

from __future__ import annotations

from hotsync.backends.network.live_links import to_join, to_make, words_of
from hotsync.model.network.links import Bond, Bridge, Virtual, Vlan
from hotsync.model.network.values import Interface, NetworkState

BOND = Interface("bond0", link=Bond("active-backup", settings=(("miimon", "100"),)))
BRIDGE = Interface("br0", link=Bridge(settings=(("priority", "4096"), ("vlan_filtering", "yes"), ("max_age", "9"))))
VLAN = Interface("bond0.20", link=Vlan("bond0", 20), master="br0")
STATE = NetworkState(
    (
        BRIDGE,
        VLAN,
        BOND,
        Interface("eth1", master="bond0"),
        Interface("eth2", master="bond0"),
        Interface("br9", link=Bridge()),
        Interface("eth9", master="br9"),
        Interface("eth9.1", link=Vlan("eth9", 1)),
        Interface("wg0", link=Virtual("wireguard")),
        Interface("empty", link=Bridge()),
    )
)


def names(*here: str) -> list[str]:
    return [each.name for each in to_make(STATE, here)]


def test_what_stands_on_something_is_made_after_it_and_only_where_a_card_is_at_the_bottom() -> None:
    assert names("eth1") == ["bond0", "empty", "bond0.20", "br0"]
    assert names("eth1", "bond0", "empty", "br0") == ["bond0.20"]
    assert names() == ["empty"]


def test_a_port_joins_what_is_here_once() -> None:
    masters = {"eth1": "", "eth2": "bond0", "bond0": ""}
    assert to_join(STATE, masters) == (("eth1", BOND),)
    assert to_join(STATE, {"eth1": ""}) == ()


def test_only_what_carries_traffic_is_said_now() -> None:
    assert words_of(BOND) == ["name", "bond0", "type", "bond", "mode", "active-backup", "miimon", "100"]
    assert words_of(VLAN) == ["link", "bond0", "name", "bond0.20", "type", "vlan", "id", "20"]
    quick = ["stp_state", "0", "forward_delay", "0"]
    assert words_of(BRIDGE) == ["name", "br0", "type", "bridge", *quick, "priority", "4096", "vlan_filtering", "1"]
    assert words_of(Interface("b", link=Bridge(stp=True))) == ["name", "b", "type", "bridge", "stp_state", "1"]
