"""A look at another server by ssh, at a real sshd: it logs in, and whatever a key is for is not run."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from hotsync.backends import ssh
from hotsync.backends.ssh import Login
from hotsync.errors import CommandFailed
from hotsync.system import command
from hotsync.system.clock import SystemClock
from tests.contract.agent.pair import own_network, until

pytestmark = pytest.mark.contract

_PRIVILEGE_FOLDER = Path("/run/sshd")
_SERVER = """\
Port 2222
ListenAddress 127.0.0.1
HostKey {0}/host
PidFile none
LogLevel VERBOSE
UsePAM no
StrictModes no
AuthorizedKeysFile {0}/keys
PermitRootLogin prohibit-password
"""
_CLIENT = """\
Host old-master
HostName 127.0.0.1
Port 2222
User root
Host guest
HostName 127.0.0.1
Port 2222
User nobody
Host *
IdentityFile {0}/key
IdentitiesOnly yes
UserKnownHostsFile {0}/known
GlobalKnownHostsFile none
"""


@dataclass
class Server:
    """A MASTER's sshd and what its administrator has set up."""

    folder: Path
    pid: int = 0

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text()

    @property
    def ran(self) -> bool:
        return (self.folder / "ran").exists()

    def set_key(self, options: str = "") -> None:
        (self.folder / "keys").write_text(f"{options} {(self.folder / 'key.pub').read_text()}".lstrip())

    def look(self, host: str = "old-master") -> Login:
        return ssh.look(host, self.folder / "door", SystemClock())


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that everybody may look into, with keys, and root's ssh as it is configured there."""
    folder = Path(tempfile.mkdtemp(prefix="hotsync-ssh-"))
    folder.chmod(0o755)
    for name in ("host", "key"):
        command.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)])
    (folder / "server").write_text(_SERVER.format(folder))
    (folder / "client").write_text(_CLIENT.format(folder))
    kind, key, *_ = (folder / "host.pub").read_text().split()
    (folder / "known").write_text(f"[127.0.0.1]:2222 {kind} {key}\n")
    monkeypatch.setattr(ssh, "OPTIONS", ("-F", str(folder / "client"), *ssh.OPTIONS))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def server(folder: Path) -> Iterator[Server]:
    made = not _PRIVILEGE_FOLDER.exists()
    _PRIVILEGE_FOLDER.mkdir(exist_ok=True, mode=0o755)
    server = Server(folder)
    server.set_key()
    with own_network():
        words = ["/usr/sbin/sshd", "-D", "-E", str(folder / "log"), "-f", str(folder / "server")]
        with command.spawn(words, stdout=command.DEVNULL, stderr=command.DEVNULL) as process:
            server.pid = process.pid
            until(lambda: (folder / "log").exists() and "Server listening" in server.log, "sshd listens")
            yield server
    if made:
        _PRIVILEGE_FOLDER.rmdir()


def test_root_is_let_in_and_nothing_is_run_there(server: Server) -> None:
    assert server.look() == Login("root", forced=False, may_switch_off=True)
    assert "Accepted publickey for root" in server.log
    assert "Starting session" not in server.log
    assert not (server.folder / "door").exists()


def test_who_is_not_root_may_not_be_able_to_where_no_bus_answers(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ssh, "_BUS", str(server.folder / "none"))
    assert server.look("guest") == Login("nobody", forced=False, may_switch_off=None)


_BUS = """\
<busconfig>
<type>session</type><listen>unix:path={0}/bus</listen><auth>EXTERNAL</auth>
<policy context="default">
<allow user="*"/><allow own="*"/><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/>
</policy>
</busconfig>
"""
_LOGIND = """
import sys
import dbus, dbus.service
from dbus.mainloop.glib import DBusGMainLoop
from gi.repository import GLib
DBusGMainLoop(set_as_default=True)
bus = dbus.bus.BusConnection("unix:path=" + sys.argv[1])
name = dbus.service.BusName("org.freedesktop.login1", bus)
class Manager(dbus.service.Object):
    @dbus.service.method("org.freedesktop.login1.Manager", out_signature="s", sender_keyword="sender")
    def CanPowerOff(self, sender=None):
        print(bus.get_unix_user(sender), flush=True)
        return sys.argv[2]
manager = Manager(bus, "/org/freedesktop/login1")
print("up", flush=True)
GLib.MainLoop().run()
"""


@pytest.mark.parametrize(("answer", "may"), [("yes", True), ("challenge", False), ("no", False)])
def test_who_is_not_root_is_asked_about_on_the_bus_as_the_account_that_was_let_in(
    server: Server, monkeypatch: pytest.MonkeyPatch, answer: str, may: bool
) -> None:
    folder = server.folder
    (folder / "bus.conf").write_text(_BUS.format(folder))
    monkeypatch.setattr(ssh, "_BUS", str(folder / "bus"))
    words = ["dbus-daemon", f"--config-file={folder}/bus.conf", "--nofork", "--nopidfile"]
    with command.spawn(words, stdout=command.DEVNULL):
        until((folder / "bus").exists, "the bus is there")
        (folder / "bus").chmod(0o666)
        logind = ["/usr/bin/python3", "-c", _LOGIND, str(folder / "bus"), answer]
        with command.spawn(logind) as service:
            assert service.stdout is not None
            assert service.stdout.readline() == b"up\n"
            assert server.look("guest") == Login("nobody", forced=False, may_switch_off=may)
            assert int(service.stdout.readline()) == pwd.getpwnam("nobody").pw_uid


@pytest.mark.parametrize("restricted", ["", "restrict,"])
def test_a_key_whose_own_command_switches_off_does_not_switch_off(server: Server, restricted: str) -> None:
    server.set_key(f'{restricted}command="touch {server.folder}/ran"')
    assert server.look() == Login("root", forced=True, may_switch_off=True)
    assert not server.ran
    ssh.run("old-master", ["true"])
    assert server.ran, "a session would have run it, whatever was asked"
    assert "Starting session: forced-command" in server.log


def test_nor_does_a_command_that_the_server_has_for_everybody(folder: Path, server: Server) -> None:
    with (folder / "server").open("a") as file:
        file.write(f"ForceCommand touch {folder}/ran\n")
    os.kill(server.pid, signal.SIGHUP)
    until(lambda: server.log.count("Server listening") == 2, "sshd has read it")
    assert server.look().may_switch_off
    assert not server.ran
    ssh.run("old-master", ["true"])
    assert server.ran


def test_why_it_is_not_let_in_is_said(server: Server) -> None:
    (server.folder / "keys").write_text("")
    with pytest.raises(CommandFailed, match="Permission denied"):
        server.look()
    (server.folder / "known").write_text("")
    with pytest.raises(CommandFailed, match="Host key verification failed"):
        server.look()


def test_where_nobody_listens_it_is_said(folder: Path) -> None:
    with own_network(), pytest.raises(CommandFailed, match="Connection refused"):
        Server(folder).look()


def runs(pid: str) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


KILLED = """
import sys, time
from pathlib import Path
from hotsync.backends import ssh
from hotsync.system.clock import SystemClock
ssh.OPTIONS = ("-F", sys.argv[1] + "/client", *ssh.OPTIONS)
ssh._ask = lambda door: (print("in", flush=True), time.sleep(3600))
ssh.look("old-master", Path(sys.argv[1]) / "door", SystemClock())
"""


def test_a_look_that_is_killed_leaves_no_connection_and_the_next_one_works(server: Server) -> None:
    env = {"PYTHONPATH": os.pathsep.join(sys.path)}
    with command.spawn([sys.executable, "-c", KILLED, str(server.folder)], env=env) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"in\n"
        (client,) = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        assert runs(client)
        os.kill(process.pid, signal.SIGKILL)
    until(lambda: not runs(client), "ssh ends with it")
    assert server.look().may_switch_off
