"""A database that is paused under the real systemd: its watchdog bears it, and it goes on when all guards have died."""

from __future__ import annotations

import pytest

from lab import Host, Lab
from tests.lab.conftest import TREE, sync, wait_for

pytestmark = [pytest.mark.lab, pytest.mark.full, pytest.mark.timeout(600)]

SERVER = """#!/usr/bin/python3
import os, socket, time
line = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
line.connect(os.environ["NOTIFY_SOCKET"].replace("@", "\\0", 1))
journal = open("/var/lib/mongodb/journal", "a", buffering=1)
line.send(b"READY=1")
while True:
    # often: what is tried is how long it may stand still, not how long it was silent before
    line.send(b"WATCHDOG=1")
    journal.write("a line\\n")
    time.sleep(0.1)
"""
UNIT = """
[Service]
Type=notify
User=daemon
StateDirectory=mongodb
ExecStart=/usr/local/bin/mongod
WatchdogSec=40
"""
HOLD = """
import os, sys, time
from pathlib import Path
from hotsync.sources.frozen.pause import paused
from hotsync.sources.frozen.services import read_servers
from hotsync.system.paths import Paths
(server,) = (one for one in read_servers(Path("/")) if one.name == "mongod of mongod.service")
assert server.place and server.seconds == 10.0, server
with paused(Paths(Path("/")), server.place, float(sys.argv[1])):
    Path("/run/held.new").write_text(f"{os.getpid()} {server.place}\\n")
    os.rename("/run/held.new", "/run/held")
    time.sleep(1000)
"""
HOLDING = """
set -e
rm -f /run/held
systemd-run --quiet --collect --unit=hold /usr/lib/hotsync/venv/bin/python -I /run/hold.py {seconds}
until test -e /run/held; do systemctl --quiet is-active hold || exit 1; sleep 0.05; done
read -r run place </run/held
grep -qx 'frozen 1' "$place/cgroup.events"
"""
# the guard first: it would let go as soon as the run is gone
KILLING = """
guard=$(cat "/proc/$run/task/$run/children")
test -n "$guard"
kill -KILL $guard "$run"
sleep 1
grep -qx 'frozen 1' "$place/cgroup.events"
"""
GOES_ON = "read -r run place </run/held; grep -qx 'frozen 0' \"$place/cgroup.events\""
STANDS = "ActiveState=active\nNRestarts=0\nResult=success\n"


def stands(host: Host) -> str:
    return host.run("systemctl show --property=ActiveState,NRestarts,Result mongod | sort").stdout


def lines_of(host: Host) -> int:
    return int(host.run("wc -l </var/lib/mongodb/journal").stdout)


def test_a_paused_service_outlives_its_watchdog_and_goes_on_by_systemds_timer_when_all_guards_were_killed(
    pair: Lab,
) -> None:
    master = pair.master
    master.write("/usr/local/bin/mongod", SERVER, 0o755)
    master.write("/etc/systemd/system/mongod.service", UNIT)
    master.write("/run/hold.py", HOLD)
    master.run("systemctl daemon-reload && systemctl start mongod")
    wait_for(master, "test -s /var/lib/mongodb/journal")
    # a run pauses it and carries the copy
    record = sync(pair)
    assert record["exit_code"] == 0, record
    master.run("test -s /var/lib/hotsync/frozen/*/tree/journal")
    pair.slave.run(["test", "-s", f"{TREE}/var/lib/mongodb/journal"])
    assert master.run("systemctl list-units --all --plain --no-legend 'hotsync-go-on-*'").stdout == ""
    # for as long as it may be paused at most
    master.run(HOLDING.format(seconds=10))
    wait_for(master, GOES_ON)
    master.run("systemctl stop hold")
    assert stands(master) == STANDS
    # all that guards it dies: the timer of systemd lets it go on
    master.run(HOLDING.format(seconds=8) + KILLING)
    assert master.run("systemctl list-timers --all --no-legend 'hotsync-go-on-*' | wc -l").stdout == "1\n"
    before = lines_of(master)
    wait_for(master, GOES_ON)
    assert master.run("ls /run/hotsync/paused").stdout == ""
    wait_for(master, f"test $(wc -l </var/lib/mongodb/journal) -gt {before + 50}")  # it has said again that it lives
    assert stands(master) == STANDS
