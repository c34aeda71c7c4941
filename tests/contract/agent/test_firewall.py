"""The port is open for the other server only: tried with the real nftables in a network of its own."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from hotsync.agent import port
from hotsync.backends import firewall, nftables
from hotsync.model.identity import Peer, Role, RoleRecord
from hotsync.state.store import save_peer, save_role
from hotsync.system import command, log
from tests.contract.agent.pair import MASTER_ADDRESS, PORT, SLAVE_ADDRESS, Host, own_network

pytestmark = pytest.mark.contract


@pytest.fixture
def network() -> Iterator[None]:
    with own_network():
        yield


@pytest.mark.usefixtures("network")
def test_once_paired_neighbours_reach_the_port_from_any_link_local_address() -> None:
    firewall.open_port(PORT, [MASTER_ADDRESS], neighbours=True)
    assert f"tcp dport {PORT} ip6 saddr fe80::/10 accept" in rules()
    firewall.open_port(PORT, [MASTER_ADDRESS])
    assert "fe80" not in rules()


def rules() -> str:
    return command.run(["nft", "list", "ruleset"]).text


@pytest.mark.usefixtures("network")
def test_the_rules_are_taken_by_nftables_and_name_the_peer_alone() -> None:
    firewall.open_port(PORT, [MASTER_ADDRESS, "fe80::1"])
    assert firewall.is_guarded()
    found = rules()
    assert f"tcp dport {PORT} ip saddr {MASTER_ADDRESS} accept" in found
    assert f"tcp dport {PORT} ip6 saddr fe80::1 accept" in found
    assert f"tcp dport {PORT} drop" in found


@pytest.mark.usefixtures("network")
def test_opening_again_for_another_peer_leaves_nothing_of_the_first() -> None:
    firewall.open_port(PORT, [MASTER_ADDRESS])
    firewall.open_port(PORT + 1, [SLAVE_ADDRESS])
    found = rules()
    assert MASTER_ADDRESS not in found
    assert f"tcp dport {PORT + 1} ip saddr {SLAVE_ADDRESS} accept" in found


@pytest.mark.usefixtures("network")
def test_closing_takes_all_away_and_may_be_repeated() -> None:
    firewall.open_port(PORT, [MASTER_ADDRESS])
    firewall.close_port()
    firewall.close_port()
    assert not firewall.is_guarded()
    assert rules().strip() == ""


@pytest.fixture
def slave(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, network: None) -> Host:
    host = Host(tmp_path / "slave", Role.SLAVE, SLAVE_ADDRESS)
    monkeypatch.setenv("HOTSYNC_ROOT", str(host.paths.root))
    monkeypatch.setattr(log, "set_up", lambda _: None)
    return host


def test_before_the_daemon_starts_its_folders_are_there_and_the_port_is_the_masters(slave: Host) -> None:
    assert port.main(["open"]) == 0
    assert f"tcp dport {PORT} ip saddr {MASTER_ADDRESS} accept" in rules()
    staging = slave.paths.replica / "staging"
    assert staging.stat().st_mode & 0o777 == slave.paths.replica.stat().st_mode & 0o777 == 0o700
    assert port.main(["close"]) == 0
    assert rules().strip() == ""


def test_a_disabled_host_guards_nothing(slave: Host) -> None:
    port.main(["open"])
    slave.set("hotsync", status="disabled")
    assert port.main(["open"]) == 0
    assert rules().strip() == ""


def test_a_master_whose_name_cannot_be_resolved_is_not_shut_out(slave: Host) -> None:
    slave.set("hotsync", MasterHost="master.invalid")
    assert port.main(["open"]) == 0
    assert rules().strip() == ""


def test_a_promoted_master_without_a_slave_lets_in_the_one_that_it_was_paired_with(slave: Host) -> None:
    save_peer(slave.paths, Peer("master", MASTER_ADDRESS, "a" * 64, "", "fe80::1%eth0"))
    save_role(slave.paths, RoleRecord(Role.MASTER, 1))
    slave.set("hotsync", role="master", SlaveHost="", MasterHost="")
    assert port.main(["open"]) == 0
    assert f"tcp dport {PORT} ip saddr {MASTER_ADDRESS} accept" in rules()
    assert f"tcp dport {PORT} ip6 saddr fe80::1 accept" in rules()


def test_without_nftables_the_daemon_starts_all_the_same(
    slave: Host, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(nftables, "available", lambda: False)
    assert port.main(["open"]) == 0
    assert "nftables is not installed" in caplog.text


def test_settings_that_cannot_be_read_keep_nothing_from_starting(slave: Host) -> None:
    slave.set("hotsync", SlavePort="many")
    assert port.main(["open"]) == 0
    assert port.main(["open", "close"]) == 2


@pytest.mark.usefixtures("network")
def test_this_host_itself_still_reaches_its_port() -> None:
    firewall.open_port(PORT, [])
    with socket.create_server((SLAVE_ADDRESS, PORT)), socket.create_connection((SLAVE_ADDRESS, PORT), timeout=5):
        pass
