"""Hardware addresses in networkd's files give way to names, where they choose the interface and nowhere else."""

from __future__ import annotations

import pytest

from hotsync.backends.network.by_name import named

CARDS = {"02:00:00:00:00:01": "eth0", "02:00:00:00:00:02": "eth1"}


@pytest.mark.parametrize(
    ("match", "wanted"),
    [
        ("MACAddress=02:00:00:00:00:01", "Name=eth0"),
        ("PermanentMACAddress = 02-00-00-00-00-02", "Name=eth1"),
        ("MACAddress=02:00:00:00:00:01 02:00:00:00:00:02", "Name=eth0 eth1"),
        ("Name=en*\nMACAddress=02:00:00:00:00:01\nName=wl*\nType=ether", "Name=eth0\nType=ether"),
    ],
)
def test_a_known_address_becomes_the_name(match: str, wanted: str) -> None:
    text = named(f"# lan\n[Match]\n{match}\n[Network]\nDHCP=yes\n", CARDS)
    kept = "\n".join(line for line in text.splitlines() if not line.startswith("# HotSync"))
    assert kept == f"# lan\n[Match]\n{wanted}\n[Network]\nDHCP=yes"


@pytest.mark.parametrize(
    "text",
    [
        "[Match]\nName=eth0\n[Link]\nMACAddress=02:00:00:00:00:01\n",  # gives the card an address, chooses none
        "[Match]\nMACAddress=02:00:00:00:00:01 02:00:00:00:00:99\n",
        "[Match]\nMACAddress=02:00:00:00:00:99",
        "",
    ],
)
def test_everything_else_stays_to_the_byte(text: str) -> None:
    assert named(text, CARDS) == text
