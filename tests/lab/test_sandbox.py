"""Whoever takes over the receiver is root in a box: tried from inside the real unit on a booted SLAVE."""

from __future__ import annotations

import pytest

from lab import Lab

pytestmark = [pytest.mark.lab, pytest.mark.timeout(600)]

# started by the unit in place of the receiver; what it found goes where it may write
TAKEN_OVER = r"""
import os, socket, stat
def tried(name, deed):
    try:
        deed()
        found.append(name)
    except OSError:
        pass
def write(path, mode="w"):
    with open(path, mode) as file:
        file.write("x")
def ask(path):
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(path)
def see(something):
    if not something:
        raise OSError("nothing is to be seen")
found = []
staging = "/var/lib/hotsync/replica/staging"
tried("a file in staging", lambda: write(f"{staging}/file"))
tried("a device node in staging", lambda: os.mknod(f"{staging}/disk", stat.S_IFBLK | 0o600, os.makedev(7, 0)))
tried("an overlay's whiteout in staging", lambda: os.mknod(f"{staging}/white", stat.S_IFCHR | 0o600, os.makedev(0, 0)))
tried("/dev/null", lambda: write("/dev/null", "r+"))
tried("BAD a file in /dev", lambda: write("/dev/evil"))
tried("BAD a file in /dev/shm", lambda: write("/dev/shm/evil"))
tried("BAD the mode of /dev/null", lambda: os.chmod("/dev/null", 0o600))
tried("BAD a node in /dev", lambda: os.mknod("/dev/evil-disk", stat.S_IFBLK | 0o666, os.makedev(7, 0)))
tried("BAD /dev/null taken away", lambda: os.unlink("/dev/null"))
for folder in ("/etc", "/usr", "/root", "/run", "/var/lib/hotsync", "/var/lib/hotsync/replica"):
    place = f"{folder}/evil"
    tried(f"BAD {place}", lambda: write(place))
for place in ("tls/identity.pem", "db/configuration", "manifest.db"):
    tried(f"BAD the sight of {place}", lambda: see(open(f"/var/lib/hotsync/{place}", "rb").read(1)))
tried("BAD the sight of the tree", lambda: see(os.listdir("/var/lib/hotsync/replica/tree")))
for place in ("systemd/private", "dbus/system_bus_socket", "systemd/journal/dev-log", "hotsync/receive.sock"):
    place = f"/run/{place}"
    tried(f"BAD a word with {place}", lambda: ask(place))
tried("BAD a connection by network", lambda: socket.socket(socket.AF_INET).close())
with open(f"{staging}/found", "w") as file:
    file.write("\n".join(found))
"""
DROP_IN = """
[Service]
ExecStart=
ExecStart=/usr/bin/python3 -I /etc/taken-over.py
"""
KNOCK = "import socket; s = socket.socket(socket.AF_UNIX); s.connect('/run/hotsync/receive.sock'); s.recv(1)"


def test_a_receiver_that_is_taken_over_can_write_to_staging_and_do_nothing_else(pair: Lab) -> None:
    slave = pair.slave
    slave.write("/etc/taken-over.py", TAKEN_OVER)
    slave.write("/etc/systemd/system/hotsync-receive@.service.d/taken-over.conf", DROP_IN)
    slave.run(["systemctl", "daemon-reload"])
    slave.run(["python3", "-c", KNOCK])
    found = slave.read("/var/lib/hotsync/replica/staging/found").splitlines()
    assert [line for line in found if line.startswith("BAD")] == []
    assert found == [
        "a file in staging", "a device node in staging", "an overlay's whiteout in staging", "/dev/null",
    ]  # fmt: skip
    assert slave.run("ls /dev/evil* /dev/shm/evil 2>/dev/null", check=False).stdout == ""
