"""Nobody answers with the network's files that a promotion brought: this server's own come back, for the next boot.

The files are real, the running network is one of the test's own, and each system's own program reads what came of it.
What would change the machine that tests (`networkctl`, `nmcli`, `netplan`, `systemctl`) is a script of the test, which
makes of the new files what bad ones would: nobody answers.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import pytest

from hotsync.backends.network import addresses as live
from hotsync.backends.network.detect import network_system
from hotsync.engine.network import coming_back as network_return
from hotsync.engine.network import trial as network_trial
from hotsync.engine.network.rollback import Rollback, confirmed_path
from hotsync.engine.network.swap import digests
from hotsync.engine.promotion.files import PromotionFiles
from hotsync.engine.promotion.network import PromotionNetwork, network_files
from hotsync.engine.promotion.prepared_etc import OwnEtc, PreparedEtc
from hotsync.model.network.trial import Why
from hotsync.model.network.values import Address
from hotsync.model.promotion import NetworkChoice, NetworkPlan, Promotion
from hotsync.state import promotion as document
from hotsync.state.boot_hold import BootHold, load_boot_hold, save_boot_hold
from hotsync.state.configdb import configuration, ensure_records
from hotsync.state.hold import hold_network
from hotsync.state.network_trial import load_trial
from hotsync.system import command
from hotsync.system.clock import SystemClock
from hotsync.system.paths import Paths
from tests.contract.agent.pair import own_network
from tests.contract.backends.network_checkers import ifup_says, netplan_makes, networkd_says, nmcli_says
from tests.contract.engine.test_network_rollback import Calls, neighbour

pytestmark = pytest.mark.contract

MASTER, OWN = Address("eth7", "10.77.0.1", 24), Address("eth7", "10.77.0.2", 24)
BRIDGED = Address("br0", "10.78.0.1", 24)
GATEWAY = Address("eth7", "10.77.0.254", 32)
PLAN = NetworkPlan(NetworkChoice.MASTERS, "master", (MASTER,), (), (OWN,))
PROMOTION = Promotion(5, 1, "d", 1.0, 1.0, 1.0, PLAN, ())
WANTS = "systemd/system/multi-user.target.wants"
FILES = {
    "ifupdown": {
        "network/interfaces": "# {who}\nauto lo\niface lo inet loopback\n\nauto eth7\niface eth7 inet static\n"
        "    address {address}\n    gateway 10.77.0.254\n",
    },
    "netplan": {
        "netplan/50-{who}.yaml": "network:\n  version: 2\n  ethernets:\n    eth7:\n      addresses: [{address}]\n"
        "      routes: [{{to: default, via: 10.77.0.254}}]\n",
    },
    "networkd": {
        "systemd/network/10-{who}.network": "[Match]\nName=eth7\n\n[Network]\nAddress={address}\nGateway=10.77.0.254\n",
        f"{WANTS}/systemd-networkd.service": "-> /lib/systemd/system/systemd-networkd.service",
    },
    "NetworkManager": {
        "NetworkManager/system-connections/{who}.nmconnection": "[connection]\nid={who}\n"
        "uuid=00000000-0000-0000-0000-000000000001\ntype=ethernet\ninterface-name=eth7\n\n[ipv4]\nmethod=manual\n"
        "address1={address},10.77.0.254\n",
        f"{WANTS}/NetworkManager.service": "-> /lib/systemd/system/NetworkManager.service",
    },
}
SYSTEMS = tuple(FILES)
BREAKING = """#!/bin/sh
echo "$(basename "$0") $*" >>{root}/called
{kill}
test -e {root}/broken && nsenter -t {far} -n ip link set far7 down
case "$*" in is-active*) exit 3;; esac
exit 0
"""


def write(etc: Path, texts: Mapping[str, str], who: str, address: str) -> None:
    for path, text in {"passwd": "root:x:0:0::/root:/bin/sh\n", "resolv.conf": f"# {who}\n", **texts}.items():
        place = etc / path.format(who=who)
        place.parent.mkdir(parents=True, exist_ok=True)
        if text.startswith("-> "):
            place.symlink_to(text.removeprefix("-> "))
        else:
            place.write_text(text.format(who=who, address=address))
            place.chmod(0o600 if "NetworkManager" in path or "netplan" in path else 0o644)


@dataclass
class World:
    """A server in the middle of its promotion: /etc is exchanged, the network program has not read it yet."""

    paths: Paths
    name: str
    far: int = 0
    notes: list[str] = field(default_factory=list[str])

    @property
    def etc(self) -> Path:
        return self.paths.at("/etc")

    def network(self, seconds: int = 1) -> PromotionNetwork:
        rollback = Rollback(self.paths, SystemClock(), seconds, "10.77.0.254", Calls())
        return PromotionNetwork(self.paths, lambda: loaded(self.paths), self.notes.append, rollback)

    def said(self) -> set[str]:
        """Return the addresses that its files give it at a boot, as HotSync and the system's own program read them."""
        system = network_system(self.etc)
        assert system is not None
        assert system.name == self.name
        checked(self.name, self.etc, self.paths.root)
        return {str(each) for each in system.read(self.etc).addresses}

    def is_own(self) -> bool:
        return (self.etc / "resolv.conf").read_text() == "# own\n"

    def break_network(self, *, kill: str = "") -> None:
        """Let nobody answer once the network program has read files."""
        (self.paths.root / "broken").touch()
        self.programs(kill)

    def mend(self) -> None:
        (self.paths.root / "broken").unlink(missing_ok=True)
        command.run(["nsenter", "-t", str(self.far), "-n", "ip", "link", "set", "far7", "up"])
        self.programs()

    def programs(self, kill: str = "") -> None:
        for name in ("systemctl", "networkctl", "nmcli", "netplan"):
            program = self.paths.root / "programs" / name
            program.parent.mkdir(exist_ok=True)
            program.write_text(BREAKING.format(root=self.paths.root, kill=kill, far=self.far))
            program.chmod(0o755)


def loaded(paths: Paths) -> Promotion:
    promotion = document.load_promotion(paths)
    assert promotion is not None
    return promotion


def checked(name: str, etc: Path, root: Path) -> None:
    """Let the system's own program read its files."""
    match name:
        case "ifupdown":
            assert "addr add 10.77.0.2/" in ifup_says(etc / "network/interfaces", ["eth7"])
        case "networkd":
            assert networkd_says(etc / "systemd/network") == []
        case "NetworkManager":
            for profile in (etc / "NetworkManager/system-connections").iterdir():
                assert "10.77.0." in nmcli_says(profile.read_text(), "eth7")
        case _:
            assert any("10.77.0." in text for text in netplan_makes(root).values())


def exchanged(paths: Paths) -> None:
    """Prepare /etc and exchange it, as a promotion does."""
    tree_etc = paths.replica / "tree/etc"
    nothing = OwnEtc(frozenset(), frozenset())
    etc = PreparedEtc(paths, lambda: nothing, partial(network_files, tree_etc))
    port = PromotionFiles(paths, etc)
    port.prepare_etc()
    port.exchange_etc()


@pytest.fixture(params=SYSTEMS)
def world(tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    name = str(request.param)
    found = World(Paths(tmp_path), name)
    write(found.etc, FILES[name], "own", str(OWN))
    write(found.paths.replica / "tree/etc", FILES[name], "master", str(MASTER))
    ensure_records(found.paths)
    document.save_promotion(found.paths, PROMOTION)
    exchanged(found.paths)
    monkeypatch.setitem(command.ENVIRONMENT, "PATH", f"{tmp_path}/programs:{command.ENVIRONMENT['PATH']}")
    with own_network(), neighbour("10.77.0.254/24") as other:
        found.far = other.pid
        found.programs()
        live.add(MASTER)
        with monkeypatch.context() as real:
            # what reads the files for the test is the machine's own program
            real.setenv("PATH", command.ENVIRONMENT["PATH"].partition(":")[2])
            yield found


def test_files_with_which_somebody_answers_stay_and_nothing_is_kept(world: World) -> None:
    before = digests(world.etc)
    world.network(30).activate()
    assert world.notes == []
    assert digests(world.etc) == before
    assert load_trial(world.paths, 5) is None
    assert not (world.paths.state / "network-files").exists()
    network_return.at_boot(world.paths)
    assert digests(world.etc) == before


def test_where_nobody_answers_a_boot_has_its_own_network_with_productions_addresses(world: World) -> None:
    brought = digests(world.etc)
    world.break_network()
    world.network().activate()
    (note,) = world.notes
    assert "Its own network files are in /etc again" in note
    assert "/var/lib/hotsync/network-files/promotion-5" in note
    assert world.said() == {str(OWN), str(MASTER)}
    assert world.is_own()
    assert digests(world.paths.state / "network-files/promotion-5") == brought
    assert set(live.read_addresses()) == {MASTER, OWN}
    world.mend()
    after = digests(world.etc)
    network_return.at_boot(world.paths)
    world.notes.clear()
    world.network(30).activate()  # nothing tries them again
    assert (world.notes, digests(world.etc)) == ([], after)


def test_the_network_program_reads_them_at_once_so_that_the_others_are_out_of_its_mind(world: World) -> None:
    world.break_network()
    world.network().activate()
    called = (world.paths.root / "called").read_text().splitlines()
    assert len(called) >= 2
    assert called[: len(called) // 2] == called[len(called) // 2 :]


def test_what_a_person_changed_meanwhile_stays(world: World) -> None:
    path = next(path for path, said in digests(world.etc) if not said.startswith("-> "))
    (world.etc / path).write_text((world.etc / path).read_text() + "\n# the administrator's own words\n")
    world.break_network()
    before = digests(world.etc)
    world.network().activate()
    assert "changed by somebody" in world.notes[0]
    assert digests(world.etc) == before
    network_return.at_boot(world.paths)
    assert digests(world.etc) == before


def test_a_boot_before_anybody_answered_has_its_own_and_what_was_brought_is_tried_again(world: World) -> None:
    brought = digests(world.etc)
    network_return.at_boot(world.paths)
    assert world.said() == {str(OWN), str(MASTER)}
    called = world.paths.root / "called"
    assert (called.read_text() if called.exists() else "") == ("netplan generate\n" if world.name == "netplan" else "")
    world.network(30).activate()
    assert world.notes == []
    assert digests(world.etc) == brought
    assert load_trial(world.paths, 5) is None


def test_after_a_boot_without_productions_addresses_the_network_program_starts_again(world: World) -> None:
    hold_network(world.paths)
    save_boot_hold(world.paths, BootHold(5, "another machine answers"))
    world.network(30).activate()
    assert world.notes == []
    assert not world.paths.held_flag.exists()
    assert load_boot_hold(world.paths, 5) is None
    started = [line for line in (world.paths.root / "called").read_text().splitlines() if "systemctl start" in line]
    assert any("systemd-networkd.service" in line and "NetworkManager.service" in line for line in started)


@pytest.mark.parametrize("back", [False, True])
def test_with_the_own_network_chosen_after_such_a_boot_only_its_own_files_are_read(world: World, back: bool) -> None:
    hold_network(world.paths)
    save_boot_hold(world.paths, BootHold(5, "another machine answers"))
    if back:
        assert network_return.go_back(world.paths, Why.CHOSEN).said
    document.save_promotion(world.paths, replace(loaded(world.paths), network=NetworkPlan(NetworkChoice.KEEP)))
    (world.paths.root / "called").unlink(missing_ok=True)
    world.network(30).activate()
    assert world.paths.held_flag.exists() is not back
    assert (world.paths.root / "called").exists() is back
    assert [("another machine" in note) for note in world.notes] == ([] if back else [True])


def test_what_a_person_changed_after_such_a_boot_stays(world: World) -> None:
    network_return.at_boot(world.paths)
    path = next(path for path, said in digests(world.etc) if not said.startswith("-> "))
    (world.etc / path).write_text((world.etc / path).read_text() + "\n# the administrator's own words\n")
    before = digests(world.etc)
    world.network(30).activate()
    assert digests(world.etc) == before


def test_no_boot_changes_files_where_nothing_is_to_be_put_back(world: World) -> None:
    configuration(world.paths).set_props("hotsync", {"RollbackSeconds": "0"})
    before = digests(world.etc)
    network_return.at_boot(world.paths)
    assert digests(world.etc) == before
    world.network(0).activate()
    assert load_trial(world.paths, 5) is None


SCRIPTS = {
    "sysconfig/network": "GATEWAY=10.77.0.254\n# {who} {address}\n",
    "sysconfig/network-scripts/ifcfg-{who}0": "DEVICE={who}0\nIPADDR={address}\n",
    "sysconfig/network-scripts/ifcfg-eth7": "DEVICE=eth7\nIPADDR={address}\n",
    "sysconfig/network-scripts/route-eth7": "192.0.2.0/24 via {address}\n",
    "sysconfig/network-scripts/rule6-eth7": "from {address}\n",
    "openvswitch/conf.db": "{who}\n",
    "sysconfig/crond": "{who}\n",
}


def test_with_its_own_network_a_server_keeps_the_files_of_network_scripts_and_its_switch(tmp_path: Path) -> None:
    """They were the MASTER's after a promotion with the own network: at the next boot it had the MASTER's addresses."""
    paths = Paths(tmp_path)
    for etc, who, address in ((paths.at("/etc"), "own", OWN), (paths.replica / "tree/etc", "master", MASTER)):
        write(etc, SCRIPTS, who, address.address)
    ensure_records(paths)
    document.save_promotion(paths, replace(PROMOTION, network=NetworkPlan(NetworkChoice.KEEP)))
    before = digests(paths.at("/etc"))
    assert [path for path, _ in before if path.startswith("openvswitch")] == [], "its daemon writes it all the time"
    exchanged(paths)
    assert digests(paths.at("/etc")) == before
    scripts = paths.at("/etc/sysconfig/network-scripts")
    assert sorted(path.name for path in scripts.iterdir()) == ["ifcfg-eth7", "ifcfg-own0", "route-eth7", "rule6-eth7"]
    assert (scripts / "ifcfg-eth7").read_text() == "DEVICE=eth7\nIPADDR=10.77.0.2\n"
    assert [(paths.at("/etc") / path).read_text() for path in ("openvswitch/conf.db", "sysconfig/crond")] == [
        "own\n", "master\n",
    ]  # fmt: skip


def test_a_person_who_chooses_the_own_network_after_all_has_its_files_without_productions(world: World) -> None:
    said = network_return.go_back(world.paths, Why.CHOSEN).said
    assert "own network files are in /etc again" in said
    assert world.said() == {str(OWN)}
    network_return.at_boot(world.paths)
    assert world.said() == {str(OWN)}


def test_an_address_that_its_own_files_have_no_place_for_is_named(world: World) -> None:
    plan = replace(PLAN, addresses=(MASTER, BRIDGED))
    document.save_promotion(world.paths, replace(loaded(world.paths), network=plan))
    returned = network_return.go_back(world.paths, Why.SILENT)
    assert "no place for 10.78.0.1/24 on br0" in returned.said
    assert not returned.whole
    assert world.said() == {str(OWN), str(MASTER)}


CHILD = """
import os, sys
from pathlib import Path
from hotsync.engine.network import coming_back as network_return
from hotsync.system import command
from hotsync.system.clock import SystemClock
from tests.contract.engine import test_network_return as test
root = Path(sys.argv[1])
command.ENVIRONMENT["PATH"] = f"{root}/programs:" + command.ENVIRONMENT["PATH"]
world = test.World(test.Paths(root), sys.argv[2])
"""
ACTIVATED = CHILD + "world.network(600).activate()\n"
TIMED = """
os.environ["HOTSYNC_ROOT"] = str(root)
from hotsync.cli.promote import promote
promote(["--network-back"], standalone_mode=False)
"""


def child(world: World, program: str) -> int:
    done = subprocess.run([sys.executable, "-c", program, str(world.paths.root), world.name], check=False)
    return done.returncode


def killed(world: World) -> None:
    """The promotion dies as the network program has read the new files."""
    world.break_network(kill="kill -9 $PPID")
    assert child(world, ACTIVATED) == -signal.SIGKILL
    world.programs()


def test_the_timer_puts_the_files_back_though_hotsync_was_killed(world: World) -> None:
    killed(world)
    assert child(world, CHILD + TIMED) == 0
    assert world.said() == {str(OWN), str(MASTER)}
    (note,) = loaded(world.paths).notes
    assert "Its own network files are in /etc again" in note
    assert child(world, CHILD + TIMED) == 0
    assert len(loaded(world.paths).notes) == 1


def test_not_if_a_person_said_that_the_server_is_reached(world: World) -> None:
    killed(world)
    before = digests(world.etc)
    confirmed_path(world.paths).touch()
    network_trial.end(world.paths)
    assert child(world, CHILD + TIMED) == 0
    network_return.at_boot(world.paths)
    assert digests(world.etc) == before


CUT = """
from hotsync.engine.network import swap as network_swap
def dies(name, at):
    real, calls = getattr(network_swap, name), []
    def dying(*words):
        calls.append(words)
        if len(calls) == at:
            os.kill(os.getpid(), 9)
        return real(*words)
    setattr(network_swap, name, dying)
dies(sys.argv[3], int(sys.argv[4]))
network_return.go_back(world.paths, network_return.Why.SILENT)
"""


@pytest.mark.parametrize("world", ["ifupdown", "networkd"], indirect=True)
@pytest.mark.parametrize("way", ["again", "boot", "start"])
def test_cut_while_files_are_put_back_it_comes_to_its_end(world: World, way: str) -> None:
    brought = digests(world.etc)
    for what, at in (("copy_exactly", "1"), ("copy_exactly", "3"), ("_exchange", "1"), ("_exchange", "2")):
        words = [sys.executable, "-c", CHILD + CUT, str(world.paths.root), world.name, what, at]
        assert subprocess.run(words, check=False).returncode == -signal.SIGKILL, (what, at)
        assert digests(world.etc) != () or world.name == "networkd"
    match way:
        case "again":
            assert network_return.go_back(world.paths, Why.SILENT).whole
        case "boot":
            network_return.at_boot(world.paths)
        case _:
            world.network(30).activate()
            assert "Its own network files are in /etc again" in world.notes[0]
    assert world.said() == {str(OWN), str(MASTER)}
    assert world.is_own()
    assert network_return.is_back(world.paths)
    assert digests(world.paths.state / "network-files/promotion-5") == brought
    assert list(world.etc.rglob(".hotsync-network*")) == []
