"""There is one MASTER: a former one that comes back, over the wire or by a boot, serves nothing and has no address."""

from __future__ import annotations

import json
import sys
import time
from subprocess import PIPE, Popen

import pytest

from lab import Host, Lab
from tests.lab.conftest import MASTER, SLAVE, wait_for
from tests.lab.production import promote
from tests.lab.test_promote import check_production, remove_trap, set_trap

pytestmark = [pytest.mark.lab, pytest.mark.timeout(1800)]

SECONDS = 40
"""What the decision about the guard says two MASTERs in one network last at most (decision 0122)."""
SERVICES = ("apache2", "mariadb", "postgresql@15-main", "smbd", "cron")
# asks once a second who has the address, until it is told to end; a line for each answer. It says its own address: a
# question without one comes from somebody who is about to take the address, and would be a rival
ASK = """
import fcntl, select, socket, struct, sys, time
own = None
line = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0806))
line.bind(("eth0", 0x0806))
own, wanted = line.getsockname()[4], socket.inet_aton(sys.argv[1])
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
    mine = fcntl.ioctl(asked, 0x8915, struct.pack("256s", b"eth0"))[20:24]  # SIOCGIFADDR
frame = b"\\xff" * 6 + own + struct.pack("!HHHBBH", 0x0806, 1, 0x0800, 6, 4, 1) + own + mine + bytes(6) + wanted
while True:
    line.send(frame)
    end = time.monotonic() + 1
    while (left := end - time.monotonic()) > 0:
        if select.select([line], [], [], left)[0]:
            answer = line.recv(2048)
            if answer[20:22] == b"\\0\\2" and answer[28:32] == wanted:
                print(f"{time.time():.2f} {answer[22:28].hex(':')}", flush=True)
"""


class Watch:
    """Who answers for production's address, as a client sees it."""

    def __init__(self, lab: Lab) -> None:
        self._process: Popen[bytes] = lab.client.spawn([sys.executable, "-Ic", ASK, MASTER], stdout=PIPE)

    def end(self) -> dict[str, list[float]]:
        """Return the moments of the answers by hardware address."""
        self._process.terminate()
        said, _ = self._process.communicate(timeout=30)
        found: dict[str, list[float]] = {}
        for line in said.decode().splitlines():
            moment, mac = line.split()
            found.setdefault(mac, []).append(float(moment))
        return found


def mac_of(host: Host) -> str:
    return host.run(["cat", "/sys/class/net/eth0/address"]).stdout.strip()


def wait_for_page(lab: Lab) -> None:
    """The web server of the MASTER answers at production's address, after a moment."""
    end = time.monotonic() + 60
    while (got := lab.client.run(["curl", "-sf", f"http://{MASTER}/"], check=False)).returncode:
        units = lab.master.run(
            "systemctl --failed --no-legend; systemctl list-jobs; systemctl status apache2", check=False
        )
        assert time.monotonic() < end, units.stdout
        time.sleep(1)
    assert got.stdout == "page of the master\n"


def check_held(master: Host) -> None:
    """It has no address of production, runs nothing of it, and says why and what to do."""
    assert f"{MASTER}/" not in master.run(["ip", "-4", "address", "show"]).stdout
    running = [
        unit for unit in SERVICES if master.run(["systemctl", "-q", "is-active", unit], check=False).returncode == 0
    ]
    assert running == []
    shown = master.run(["hotsync", "status"], check=False).stdout
    assert "HELD" in shown, shown
    assert "superseded by epoch 1" in " ".join(shown.split()), shown
    refused = master.run(["hotsync"], check=False, timeout=120)
    assert (refused.returncode, "superseded" in refused.stderr) == (3, True), refused.stderr
    assert "HELD" in master.run(["cat", "/run/issue.d/hotsync.issue", "/run/motd.d/hotsync"], check=False).stdout


@pytest.mark.full
def test_a_master_whose_cable_was_cut_holds_itself_when_it_is_joined_again(
    prepared: Lab, capsys: pytest.CaptureFixture[str]
) -> None:
    prepared.revert("ready")
    master, slave = prepared.master, prepared.slave
    old = mac_of(master)
    master.cut()
    code, document, said = promote(slave, "--network", "1")
    assert code in (0, 1), (document, said)
    master.run("echo 'of the old one' >/srv/share/split")
    slave.run("echo 'of the new one' >/srv/share/split")
    watch = Watch(prepared)
    joined = time.time()
    master.join()
    wait_for(master, f"! ip -4 address show | grep -qF {MASTER}/", 3 * SECONDS)
    wait_for(master, "hotsync status | grep -q HELD", 3 * SECONDS)
    wait_for(master, "! systemctl -q is-active apache2", 3 * SECONDS)
    time.sleep(3)
    answers = watch.end()
    last = max(answers.get(old, [joined]))
    assert last - joined <= SECONDS, "two servers answered for one address for longer than is stated"
    assert max(answers[mac_of(slave)]) > last, "the new one still does"
    check_held(master)
    assert slave.read("/srv/share/split") == "of the new one\n"
    assert master.read("/srv/share/split") == "of the old one\n"
    check_production(prepared)
    master.stop()
    master.boot()
    check_held(master)
    with capsys.disabled():
        print(f"\ntwo servers answered for one address for {max(0.0, last - joined):.1f} s")


def test_a_master_that_is_switched_on_again_takes_no_address_for_a_moment(prepared: Lab) -> None:
    prepared.revert("dead")
    master, slave = prepared.master, prepared.slave
    code, document, said = promote(slave, "--network", "1")
    assert code in (0, 1), (document, said)
    watch = Watch(prepared)
    time.sleep(2)
    master.boot()
    time.sleep(5)
    assert set(watch.end()) == {mac_of(slave)}
    check_held(master)
    check_production(prepared)
    assert master.run(["journalctl", "-b", "-o", "cat", "-u", "apache2", "-u", "mariadb"]).stdout.count("Started") == 0
    # the promotion is given up: the administrator's word brings the old one back
    slave.kill()
    done = master.run(["hotsync", "rejoin", "--as-master", "--yes"], timeout=300)
    assert "is the MASTER again, at epoch 2" in " ".join((done.stdout + done.stderr).split())
    wait_for_page(prepared)
    role = json.loads(master.read("/var/lib/hotsync/role.json"))
    assert (role["role"], role["epoch"]) == ("master", 2)
    master.kill()
    master.boot()
    wait_for_page(prepared)


def cut_in_the_middle(slave: Host) -> None:
    """The SLAVE loses its power when somebody has answered with production's /etc, and nothing of it runs yet."""
    plan = json.loads(slave.run(["hotsync-promote", "--dry-run", "--json", "--network", "1"]).stdout)
    keys = [step["key"] for step in plan["steps"]]
    set_trap(slave, keys.index("network.activate") + 2, "before", "SIGKILL")
    code, document, said = promote(slave, "--network", "1")
    assert code == 9, (document, said)
    assert f"{MASTER}/" in slave.run(["ip", "-4", "address", "show"]).stdout
    remove_trap(slave)
    slave.run(["sync"])
    slave.kill()


def addresses_of(host: Host) -> str:
    return host.run(["ip", "-4", "-o", "address", "show", "dev", "eth0"]).stdout


@pytest.mark.full
def test_a_slave_that_was_cut_in_its_promotion_takes_no_address_that_its_master_has_again(prepared: Lab) -> None:
    """The MASTER was switched on since the SLAVE was dark; its HotSync is down, so it does not hear the claim."""
    prepared.revert("dead")
    master, slave = prepared.master, prepared.slave
    cut_in_the_middle(slave)
    master.boot()
    wait_for_page(prepared)
    master.run(["systemctl", "stop", "hotsyncd"])
    watch = Watch(prepared)
    time.sleep(2)
    slave.boot()
    time.sleep(5)
    assert set(watch.end()) == {mac_of(master)}
    shown = addresses_of(slave)
    assert (f"{SLAVE}/24" in shown, f"{MASTER}/24" in shown) == (True, False), shown
    for said in (
        slave.run(["hotsync", "status"], check=False).stdout,
        slave.run(["cat", "/run/issue.d/hotsync.issue"]).stdout,
    ):
        assert "booted without production's addresses" in " ".join(said.split()), said
        assert f"{mac_of(master)} has {MASTER}" in " ".join(said.split()), said
    code, document, said = promote(slave)
    assert (code, document["error"]["code"]) == (3, "refused.alive"), (document, said)
    master.kill()
    code, document, said = promote(slave)
    assert code in (0, 1), (document, said)
    check_production(prepared)
    slave.stop()
    slave.boot()
    wait_for(slave, "systemctl -q is-active apache2", 120)
    check_production(prepared)


@pytest.mark.full
def test_a_master_that_serves_again_hears_the_claim_of_the_slave_that_boots_and_lets_its_addresses_go(
    prepared: Lab,
) -> None:
    prepared.revert("dead")
    master, slave = prepared.master, prepared.slave
    cut_in_the_middle(slave)
    master.boot()
    wait_for_page(prepared)
    watch = Watch(prepared)
    slave.boot()
    wait_for(slave, f"ip -br address | grep -q {MASTER}/24", seconds=180)
    time.sleep(5)
    answers = watch.end()
    assert min(answers[mac_of(slave)]) > max(answers[mac_of(master)]), "never two at once"
    check_held(master)
    code, document, said = promote(slave)
    assert code in (0, 1), (document, said)
    check_production(prepared)
