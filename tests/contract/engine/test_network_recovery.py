"""`network-recovery` as a person uses it: on a terminal, with a real card, and the files of a network program."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hotsync.backends.network import addresses as live
from hotsync.backends.network import ifupdown
from hotsync.engine.network import recovery
from hotsync.errors import ConfigError, Refused
from hotsync.model.network.recovery import Wanted
from hotsync.model.network.values import Address
from hotsync.system import command
from hotsync.system.clock import SystemClock
from hotsync.system.paths import Paths
from tests.contract.agent.pair import own_network

pytestmark = pytest.mark.contract

BROKEN = "auto lo\niface lo inet loopback\nsource interfaces.d/*\n"
CARD = "auto eth7\niface eth7 inet dhcp\n    metric 7\n"
ADDRESS, GATEWAY = Address("eth7", "192.0.2.10", 24), Address("eth7", "192.0.2.1", 32)


@pytest.fixture
def paths(tmp_path: Path) -> Iterator[Paths]:
    found = Paths(tmp_path)
    found.state.mkdir(parents=True)
    (found.at("/etc/network") / "interfaces.d").mkdir(parents=True)
    found.at("/etc/network/interfaces").write_text(BROKEN)
    found.at("/etc/network/interfaces.d/card").write_text(CARD)
    found.at("/etc/resolv.conf").write_text("nameserver 198.51.100.53\n")
    with own_network():
        command.run(["ip", "link", "add", "eth7", "type", "veth", "peer", "name", "far7"])
        command.run(["ip", "link", "add", "br7", "type", "bridge"])
        command.run(["ip", "link", "set", "far7", "master", "br7"])
        yield found


def dialogue(paths: Paths, *answers: str) -> tuple[int, str]:
    """Return how the command ended and what it said to a person who typed these lines."""
    leader, follower = pty.openpty()
    program = "from hotsync.cli.network_recovery import network_recovery; network_recovery()"
    words = [sys.executable, "-c", program]
    environment = {**os.environ, "HOTSYNC_ROOT": str(paths.root), "TERM": "dumb", "COLUMNS": "100"}
    with subprocess.Popen(words, stdin=follower, stdout=follower, stderr=follower, env=environment) as process:
        os.close(follower)
        os.write(leader, "".join(f"{answer}\n" for answer in answers).encode())
        said = b""
        try:
            while data := os.read(leader, 65536):
                said += data
        except OSError:
            pass  # the other end is closed
    os.close(leader)
    return process.returncode, said.decode()


def test_a_person_gives_a_card_an_address_now_and_for_every_boot(paths: Paths) -> None:
    code, said = dialogue(paths, "eth7", "192.0.2.10", "192.0.2.10/24", "192.0.2.1", "192.0.2.53 192.0.2.54", "y")
    assert code == 0, said
    assert "The length of the network is missing" in said
    assert "written into the files of ifupdown" in said
    assert ADDRESS in live.read_addresses()
    assert live.read_gateways() == (GATEWAY,)
    card = next(each for each in ifupdown.read(paths.at("/etc")).interfaces if each.name == "eth7")
    assert (card.addresses, card.gateways, card.dhcp4) == ((ADDRESS,), (GATEWAY,), False)
    assert ("inet metric", "7") in card.options
    assert paths.at("/etc/resolv.conf").read_text() == "nameserver 192.0.2.53\nnameserver 192.0.2.54\n"
    assert not paths.at("/etc/network/interfaces.d/card").exists()
    (aside,) = (paths.state / "network-files").iterdir()
    assert (aside / "network/interfaces").read_text() == BROKEN
    assert (aside / "network/interfaces.d/card").read_text() == CARD


def test_nothing_is_changed_without_the_last_word(paths: Paths) -> None:
    code, said = dialogue(paths, "eth7", "nonsense/24", "192.0.2.10/24", "", "", "n")
    assert code == 3, said
    assert "is no address" in said
    assert live.read_addresses() == ()
    assert paths.at("/etc/network/interfaces").read_text() == BROKEN


def test_where_no_program_is_known_it_lasts_until_the_next_boot_and_says_so(paths: Paths) -> None:
    paths.at("/etc/network/interfaces.d/card").unlink()
    code, said = dialogue(paths, "br7", "192.0.2.10/24", "", "", "y")
    assert code == 1, said
    assert "until the next boot only" in said
    assert live.read_addresses() == (Address("br7", "192.0.2.10", 24),)


def test_files_that_are_not_understood_are_replaced_only_as_it_was_said(paths: Paths) -> None:
    paths.at("/etc/network/interfaces.d/card").write_text("iface eth7 inet frob\n")
    seen = recovery.look(paths)
    assert "line 1" in seen.fault
    assert "far7" not in seen.interfaces  # a port carries no address
    recovery.keep(paths, seen, Wanted(ADDRESS, GATEWAY), SystemClock().now())
    state = ifupdown.read(paths.at("/etc"))
    assert (state.addresses, state.gateways) == ((ADDRESS,), (GATEWAY,))


def test_what_the_program_has_no_words_for_leaves_its_files_as_they_are(paths: Paths) -> None:
    seen = recovery.look(paths)
    with pytest.raises(ConfigError):
        recovery.keep(paths, seen, Wanted(Address("", "192.0.2.10", 24)), 1.0)
    assert paths.at("/etc/network/interfaces").read_text() == BROKEN
    assert not (paths.state / "network-files").exists()


def test_a_nethserver_is_told_where_its_network_stands(paths: Paths) -> None:
    database = paths.at("/var/lib/nethserver/db/networks")
    database.parent.mkdir(parents=True)
    database.write_text("eth7=ethernet|role|green\n")
    paths.at("/etc/nethserver-release").touch()
    with pytest.raises(Refused, match="NethServer's database"):
        recovery.look(paths)
