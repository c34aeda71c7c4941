"""An old MASTER that is a NethServer becomes SLAVE: its database, the files made of it, a real card. NethServer's own
programs are scripts of the test, which write the files as their manual says.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hotsync.backends.network import addresses as live
from hotsync.backends.network import giving_up
from hotsync.engine.network.standby_address import files_without
from hotsync.engine.rejoin.host import RejoinHost
from hotsync.engine.rejoin.nethserver import KEPT, database_records
from hotsync.engine.rejoin.network import LiveNetwork, keep_place, network_files, write_files
from hotsync.model.network.values import Address
from hotsync.model.rejoin import Rejoin, Terms
from hotsync.state.rejoin import save_rejoin
from hotsync.system import command
from hotsync.system.clock import SystemClock
from hotsync.system.paths import Paths
from tests.contract.agent.pair import own_network

pytestmark = pytest.mark.contract

MASTER, SECOND, OWN = (Address("eth7", f"10.77.0.{last}", 24) for last in (1, 5, 2))
RECORDS = """\
eth7=ethernet|bootproto|none|gateway|10.77.0.254|ipaddr|10.77.0.1|netmask|255.255.255.0|role|green
eth7:0=alias|ipaddr|10.77.0.5|netmask|255.255.255.0|role|alias
z=zone|Network|10.1.0.0/16
"""
RESET = "#!/bin/sh\nrm -f {scripts}/ifcfg-*\n"
WRITE = r"""#!/bin/sh
test "$1" = interface-update || exit 1
sed -n 's/^\([^#=]*\)=\(ethernet\|alias\)|.*ipaddr|\([0-9.]*\)|.*role|.*/\1 \3/p' {database} |
while read -r name address; do printf 'DEVICE=%s\nIPADDR=%s\n' "$name" "$address" >{scripts}/ifcfg-$name; done
"""
EVENT = """#!/bin/sh
echo "$1" >>{root}/told
test "$1" = interface-update || exit 0
{actions}/interface-config-reset "$1"; {actions}/interface-config-write "$1"
"""


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Paths]:
    """A NethServer that is held: its card has no address of production any more, its files still say them."""
    paths = Paths(tmp_path)
    paths.state.mkdir(parents=True)
    paths.run.mkdir(parents=True)
    scripts, actions = paths.at("/etc/sysconfig/network-scripts"), paths.at("/etc/e-smith/events/actions")
    database, event = paths.at("/var/lib/nethserver/db/networks"), paths.at("/sbin/e-smith/signal-event")
    for folder in (scripts, actions, database.parent, event.parent):
        folder.mkdir(parents=True)
    paths.at("/etc/nethserver-release").touch()
    database.write_text(RECORDS)
    database.chmod(0o640)
    known = {"scripts": scripts, "database": database, "root": tmp_path, "actions": actions}
    texts = {actions / "interface-config-reset": RESET, actions / "interface-config-write": WRITE, event: EVENT}
    for file, text in texts.items():
        file.write_text(text.format(**known))
        file.chmod(0o755)
    for action in ("interface-config-reset", "interface-config-write"):
        command.run([str(actions / action), "interface-update"])
    assert given(paths) == {"eth7": "10.77.0.1", "eth7:0": "10.77.0.5"}
    with own_network():
        command.run(["ip", "link", "add", "eth7", "type", "veth", "peer", "name", "far7"])
        command.run(["ip", "link", "set", "eth7", "up"])
        save_rejoin(paths, rejoin(paths))
        yield paths


def rejoin(paths: Paths) -> Rejoin:
    gone = (MASTER, SECOND)
    assert network_files(paths.at("/etc"), gone, [OWN]) == {}
    records = tuple(database_records(paths, gone, [OWN]).items())
    return Rejoin(
        Terms(1, 1, "d"),
        1.0,
        str(paths.state / "vault"),
        (),
        own=(OWN,),
        name="spare",
        database=records,
        given_up=gone,
    )


def given(paths: Paths) -> dict[str, str]:
    """Return which address each file of network-scripts gives its interface at a boot."""
    found = sorted(paths.at("/etc/sysconfig/network-scripts").iterdir())
    return {file.name.removeprefix("ifcfg-"): file.read_text().partition("IPADDR=")[2].strip() for file in found}


def records_now(paths: Paths) -> list[str]:
    lines = paths.at("/var/lib/nethserver/db/networks").read_text().splitlines()
    return [line for line in lines if not line.startswith("#")]


AFTER = [
    "eth7=ethernet|bootproto|none|gateway|10.77.0.254|ipaddr|10.77.0.2|netmask|255.255.255.0|role|green",
    "z=zone|Network|10.1.0.0/16",
]


def host(paths: Paths) -> RejoinHost:
    return RejoinHost(paths, SystemClock())


def test_the_database_and_its_files_say_the_standby_address_and_the_running_network_waits(world: Paths) -> None:
    for _ in range(2):
        host(world).write_network()
        assert records_now(world) == AFTER
        assert given(world) == {"eth7": "10.77.0.2"}
    assert world.at("/var/lib/nethserver/db/networks").stat().st_mode & 0o777 == 0o640
    assert live.read_addresses() == ()
    assert not (world.root / "told").exists()  # its event would stop and start the network
    keep = keep_place(world.state / "vault")
    assert (keep / KEPT).read_text() == RECORDS
    assert (keep / "sysconfig/network-scripts/ifcfg-eth7:0").read_text() == "DEVICE=eth7:0\nIPADDR=10.77.0.5\n"
    assert database_records(world, [MASTER, SECOND], [OWN]) == {}


def test_then_its_own_events_take_the_address(world: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(giving_up, "start_managers", lambda: None)  # it would start those of this machine
    host(world).write_network()
    LiveNetwork(world, SystemClock(), lambda _name: None).take([OWN], [])
    assert (world.root / "told").read_text().splitlines() == ["nethserver-hosts-save", "interface-update"]
    assert live.read_addresses() == (OWN,)
    assert given(world) == {"eth7": "10.77.0.2"}


@pytest.mark.parametrize("fault", ["exit 1", "rm -f {root}/nothing; exit 0", "gone"])
def test_no_file_gives_productions_addresses_at_a_boot_whatever_nethservers_programs_do(
    world: Paths, fault: str
) -> None:
    for action in ("interface-config-reset", "interface-config-write"):
        file = world.at(f"/etc/e-smith/events/actions/{action}")
        if fault == "gone":
            file.unlink()
        else:
            file.write_text("#!/bin/sh\n" + fault.format(root=world.root) + "\n")
    host(world).write_network()
    assert records_now(world) == AFTER
    assert given(world) == {}


KILLED = """
import sys
from pathlib import Path
from hotsync.engine.rejoin.host import RejoinHost
from hotsync.system.clock import SystemClock
from hotsync.system.paths import Paths
RejoinHost(Paths(Path(sys.argv[1])), SystemClock()).write_network()
"""


@pytest.mark.parametrize("action", ["interface-config-reset", "interface-config-write"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_while_nethservers_programs_write_it_comes_to_its_end(world: Paths, action: str, when: str) -> None:
    file = world.at(f"/etc/e-smith/events/actions/{action}")
    text = file.read_text()
    kill = "kill -9 $PPID\n"
    file.write_text(text.replace("#!/bin/sh\n", f"#!/bin/sh\n{kill}") if when == "before" else text + kill)
    ended = subprocess.run([sys.executable, "-c", KILLED, str(world.root)], check=False)
    assert ended.returncode == -signal.SIGKILL
    assert not {"10.77.0.1", "10.77.0.5"} & set(given(world).values())
    file.write_text(text)
    host(world).write_network()
    assert records_now(world) == AFTER
    assert given(world) == {"eth7": "10.77.0.2"}
    assert (keep_place(world.state / "vault") / KEPT).read_text() == RECORDS


def test_the_new_master_lets_the_alias_go_from_its_database_and_with_the_file_that_was_made_of_it(world: Paths) -> None:
    for _ in range(2):
        write_files(world.at("/etc"), files_without(world.at("/etc"), [SECOND], world), world.state / "kept")
        assert records_now(world) == [line for line in RECORDS.splitlines() if "alias" not in line]
        assert given(world) == {"eth7": "10.77.0.1"}
    assert not (world.root / "told").exists()
    assert (world.state / "kept/sysconfig/network-scripts/ifcfg-eth7:0").exists()
