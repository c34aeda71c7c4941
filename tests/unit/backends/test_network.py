"""ifupdown's and networkd's files: read by tables, written and read back as a property, refused by line."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings

from hotsync.backends.network import addresses, ifupdown, networkd
from hotsync.engine.network.writing import same_network
from hotsync.errors import ConfigError
from hotsync.model.network.links import Route
from hotsync.model.network.recovery import Wanted, recovered
from hotsync.model.network.values import Address, NetworkState
from hotsync.model.rejoin_addresses import as_slave
from tests.support.networks import network_states
from tests.support.sizes import examples

DEBIANS = """\
# This file describes the network interfaces available on your system
source /etc/network/interfaces.d/*

auto lo
iface lo inet loopback

allow-hotplug ens3
iface ens3 inet static
\taddress 192.0.2.10/24
\tgateway 192.0.2.1
\t# dns-* options are implemented by the resolvconf package
\tdns-nameservers 192.0.2.53 192.0.2.54
\tdns-search example.org
iface ens3 inet6 static
\taddress 2001:db8::10/64
\tgateway fe80::1
"""
OLD_STYLE = """\
auto eth0
iface eth0 inet static
    address 10.0.0.2
    netmask 255.255.240.0
    up ip route add 10.9.0.0/16 \\
        via 10.0.0.9
    mtu 9000
"""


def test_debians_own_file_is_read_with_both_families() -> None:
    state = ifupdown.parse({ifupdown.FILE: DEBIANS})
    assert [str(address) for address in state.addresses] == ["192.0.2.10/24", "2001:db8::10/64"]
    assert [gateway.address for gateway in state.gateways] == ["192.0.2.1", "fe80::1"]
    card = state.interfaces[1]
    assert card.name == "ens3"
    assert card.dns == ("192.0.2.53", "192.0.2.54")
    assert card.domains == ("example.org",)
    assert ("hotplug", "") in card.options


def test_a_netmask_and_continued_lines_are_understood() -> None:
    (card,) = ifupdown.parse({ifupdown.FILE: OLD_STYLE}).interfaces
    assert card.addresses == (Address("eth0", "10.0.0.2", 20),)
    assert card.routes == (Route("10.9.0.0/16", "10.0.0.9"),)
    assert card.mtu == 9000


STANZAS = """\
auto eth0
iface eth0 inet static
    address 192.0.2.10/24
    network 192.0.2.0
    broadcast 192.0.2.255
    hwaddress 02:00:00:00:00:07
    post-up logger one
iface eth0 inet static
    address 198.51.100.10/24
    broadcast 198.51.100.250
    hwaddress 02:00:00:00:00:07
    gateway 198.51.100.1
    metric 7
    post-up logger one
"""


def test_what_a_stanza_says_of_its_address_stays_with_it_and_the_metric_with_the_gateway() -> None:
    (card,) = ifupdown.parse({ifupdown.FILE: STANZAS}).interfaces
    assert card.gateways == ()
    assert card.routes == (Route("0.0.0.0/0", "198.51.100.1", 7),)
    assert dict(card.options) == {
        "inet hwaddress": "02:00:00:00:00:07",
        "inet broadcast 198.51.100.10": "198.51.100.250",
        "inet post-up": "logger one",
    }
    again = ifupdown.render(NetworkState((card,)))
    text = again[ifupdown.FILE].split("iface ")
    assert [part.count("broadcast") for part in text] == [0, 0, 1]
    assert [part.count("metric 7") for part in text] == [0, 0, 1]
    assert text[1].count("logger one") == 2
    assert same_network(ifupdown.parse(again), NetworkState((card,)))


def test_what_ifup_would_take_for_one_word_is_not_written() -> None:
    two = STANZAS.replace("02:00:00:00:00:07", "02:00:00:00:00:08", 1)
    with pytest.raises(ConfigError, match=r"`hwaddress 02:00:00:00:00:08` and `hwaddress 02:00:00:00:00:07`"):
        ifupdown.render(ifupdown.parse({ifupdown.FILE: two}))


def test_an_address_that_goes_takes_along_what_was_said_of_it_alone() -> None:
    state = ifupdown.parse({ifupdown.FILE: STANZAS})
    left = as_slave(state, [Address("eth0", "198.51.100.10", 24)], [Address("eth0", "192.0.2.10", 24)])
    assert "broadcast" not in ifupdown.render(left)[ifupdown.FILE]
    assert ifupdown.parse(ifupdown.render(left)) == left
    (card,) = recovered(state, Wanted(Address("eth0", "192.0.2.77", 24))).interfaces
    assert "inet broadcast 198.51.100.10" not in dict(card.options)
    (card,) = recovered(state, Wanted(Address("eth0", "198.51.100.10", 24))).interfaces
    assert "inet broadcast 198.51.100.10" in dict(card.options)


def test_dhcp_is_told() -> None:
    state = ifupdown.parse({ifupdown.FILE: "auto eth0\niface eth0 inet dhcp\niface eth0 inet6 auto\n"})
    assert state.uses_dhcp == ("eth0",)
    state = networkd.parse({"a.network": "[Match]\nName=eth0\n[Network]\nDHCP=ipv4\n"})
    assert state.uses_dhcp == ("eth0",)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("auto eth0\niface eth0 inet static\n  address 10.0.0.1/24\n  frobnicate yes\n", "line 4"),
        ("mapping eth0\n  script /x\n", "line 1"),
        ("iface eth0 ipx static\n", "line 1"),
        ("auto eth0\niface eth0 inet wvdial\n", "line 2"),
        ("iface eth0 inet static\n address 10.0.0.300\n", "line 2"),
    ],
)
def test_what_ifupdown_has_and_we_do_not_understand_is_refused_with_its_line(text: str, line: str) -> None:
    with pytest.raises(ConfigError, match=line):
        ifupdown.parse({ifupdown.FILE: text})


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("[Match]\nName=eth0\n[Network]\nAddress=10.0.0.1/24\nFrobnicate=yes\n", "line 5"),
        ("[Match]\nName=eth0\n[Frob]\nA=b\n", "line 3"),
        ("[Match]\nName=eth0\n[Network]\nnonsense\n", "line 4"),
        ("[Match]\nName=eth0\n[Network]\nAddress=10.0.0.300/24\n", "line 4"),
        ("[Network]\nAddress=10.0.0.1/24\n", "names no interface"),
    ],
)
def test_what_networkd_has_and_we_do_not_understand_is_refused_with_its_line(text: str, line: str) -> None:
    with pytest.raises(ConfigError, match=line):
        networkd.parse({"systemd/network/10-x.network": text})


ROUTES = """\
[Match]
Name=eth0

[Network]
Address=10.0.0.5/24
IPv6AcceptRA=no

[Address]
Address=10.0.0.6/24
Label=eth0:1

[Route]
Gateway=10.0.0.1

[Route]
Destination=10.9.0.0/16
Gateway=10.0.0.9

[Route]
Gateway=10.0.0.2
Metric=500
"""


def test_of_networkds_blocks_nothing_is_lost_and_only_default_routes_are_gateways() -> None:
    state = networkd.parse({"systemd/network/10-eth0.network": ROUTES})
    assert [str(address) for address in state.addresses] == ["10.0.0.5/24", "10.0.0.6/24"]
    assert [gateway.address for gateway in state.gateways] == ["10.0.0.2", "10.0.0.1"]
    (text,) = networkd.render(state).values()
    assert networkd.parse({"x.network": text}) == state
    for line in ROUTES.splitlines():
        assert line in text
    assert text.count("[Route]") == 2
    assert text.count("10.0.0.6/24") == 1


@given(network_states())
@settings(max_examples=examples(60), deadline=None)
def test_what_we_write_for_ifupdown_we_read_back(state: NetworkState) -> None:
    texts = ifupdown.render(state)
    assert ifupdown.parse(texts) == state
    assert ifupdown.render(ifupdown.parse(texts)) == texts


@given(network_states())
@settings(max_examples=examples(60), deadline=None)
def test_what_we_write_for_networkd_we_read_back(state: NetworkState) -> None:
    texts = networkd.render(state)
    assert networkd.parse(texts) == state
    assert networkd.render(networkd.parse(texts)) == texts


def test_the_kernels_addresses_are_read_without_link_local_temporary_and_loopback_ones() -> None:
    text = """[
      {"ifname": "lo", "addr_info": [{"local": "127.0.0.1", "prefixlen": 8, "scope": "host"}]},
      {"ifname": "eth0", "addr_info": [
        {"local": "10.77.0.2", "prefixlen": 24, "scope": "global"},
        {"local": "fe80::1", "prefixlen": 64, "scope": "link"},
        {"local": "2001:db8::2", "prefixlen": 64, "scope": "global"},
        {"local": "2001:db8::abcd", "prefixlen": 64, "scope": "global", "temporary": true}]}]"""
    assert [str(address) for address in addresses.parse_addresses(text)] == ["10.77.0.2/24", "2001:db8::2/64"]
    assert addresses.parse_addresses("") == ()


def test_source_takes_every_name_that_a_shell_finds_and_source_directory_plain_ones_only(tmp_path: Path) -> None:
    main = "source /etc/network/*/*.cfg\nsource interfaces.d/*\nsource-directory /etc/network/more*\n"
    there = ("50-cloud-init.cfg", ".hidden.cfg", "lan.dpkg-old", "wan")
    for path in ("interfaces.d", "more.d"):
        (tmp_path / "network" / path).mkdir(parents=True)
        for name in there if path == "interfaces.d" else ("plain", "with.stop"):
            (tmp_path / "network" / path / name).write_text(f"auto {name}\n")
    (tmp_path / ifupdown.FILE).write_text(main)
    found = [path.removeprefix("network/") for path in ifupdown.files(tmp_path)]
    assert found == [
        "interfaces", "interfaces.d/50-cloud-init.cfg", "interfaces.d/lan.dpkg-old", "interfaces.d/wan", "more.d/plain",
    ]  # fmt: skip
    assert {"50-cloud-init.cfg", "wan"} <= {each.name for each in ifupdown.read(tmp_path).interfaces}


@pytest.mark.parametrize("line", ["source a b", "source /usr/local/net", "source-directory $HOME/net"])
def test_what_is_sourced_and_cannot_be_read_is_refused(line: str) -> None:
    with pytest.raises(ConfigError, match="line 1"):
        ifupdown.parse({ifupdown.FILE: f"{line}\n"})


@pytest.mark.parametrize(("address", "prefix"), [("10.0.0.1", 8), ("172.20.0.1", 16), ("192.0.2.1", 24)])
def test_without_a_netmask_ifup_takes_that_of_the_old_class(address: str, prefix: int) -> None:
    state = ifupdown.parse({ifupdown.FILE: f"iface eth0 inet static\n address {address}\n"})
    assert state.addresses == (Address("eth0", address, prefix),)
