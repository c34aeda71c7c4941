"""The lab keeps its word: what other tests conclude from two hosts is only as true as the lab is."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import CommandFailed, Host, Lab, LabError
from lab.places import CHECKOUT
from lab.pool import LABS
from tests.lab.conftest import own_name

pytestmark = [pytest.mark.lab, pytest.mark.timeout(600)]

SCRIPT = CHECKOUT / "script" / "lab"
CAP_SYS_TIME = 1 << 25

FANOTIFY = """
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
fd = libc.fanotify_init(0x400 | 0x800, os.O_RDONLY)  # FAN_REPORT_DIR_FID | FAN_REPORT_NAME
mask = ctypes.c_uint64(0x100 | 0x40000000)  # FAN_CREATE | FAN_ONDIR
assert libc.fanotify_mark(fd, 0x1 | 0x100, mask, -100, b"/") == 0, os.strerror(ctypes.get_errno())
open("/root/seen", "w").close()
assert b"seen" in os.read(fd, 4096)
"""


def left_of(name: str) -> list[str]:
    """What the kernel still has of a lab."""
    left = [path.name for path in Path("/run/netns").glob(f"hotsync-{name}-*")]
    left += [line for line in Path("/proc/self/mounts").read_text().splitlines() if f"/{name}/" in line]
    left += [
        text
        for path in Path("/sys/block").glob("loop*/loop/backing_file")
        if f"labs/{name}/" in (text := path.read_text())
    ]
    left += [str(path) for path in Path("/sys/fs/cgroup").rglob(f"hotsync-lab/{name}")]
    left += [str(path) for path in (Path("/run/hotsync-lab") / name, LABS / name) if path.exists()]
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        if f"--machine={name}-" in words or f"lab.power {name} " in words:
            left.append(words)
    if not list(Path("/run/netns").glob("*")):
        left += [line for line in Path("/proc/self/mounts").read_text().splitlines() if " /run/netns " in line]
    return left


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with Lab.up(own_name("self"), bare=True, package=False) as lab:
        yield lab


def reaches(host: Host, *words: str) -> bool:
    """Whether ping gets an answer within ten seconds; a host asks for a neighbour that was away only now and then."""
    deadline = time.monotonic() + 10
    while host.run(["ping", "-c1", "-W1", *words], check=False).returncode != 0:
        if time.monotonic() > deadline:
            return False
    return True


def shell(lab: Lab, *words: str, data: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """Call script/lab as a person would."""
    argv = [str(SCRIPT), words[0], "--name", lab.name, *words[1:]]
    return subprocess.run(argv, input=data, capture_output=True, check=False)


def test_a_host_may_mount_an_image_of_its_own_also_at_boot_and_nothing_of_it_outlives_the_power(lab: Lab) -> None:
    host = lab.slave
    host.run(
        "truncate -s 16M /disk.img && mkfs.ext4 -q /disk.img && echo '/disk.img /mnt ext4 loop 0 0' >>/etc/fstab"
        " && mount /mnt && echo kept >/mnt/file && sync"
    )
    number = host.run("losetup --noheadings --output NAME --associated /disk.img").stdout.strip().rpartition("/")[2]
    backing = Path("/sys/block") / number / "loop/backing_file"
    assert backing.exists()
    host.kill()
    assert not backing.exists() or "disk.img" not in backing.read_text()
    host.boot()
    assert host.read("/mnt/file") == "kept\n"
    host.run("umount /mnt && sed -i '/disk.img/d' /etc/fstab && rm /disk.img")


def test_streams_and_exit_code_pass_through(lab: Lab) -> None:
    done = shell(lab, "exec", "master", "--", "sh", "-c", "cat; echo oops >&2; exit 7", data=b"a\0b\xff")
    assert (done.returncode, done.stdout, done.stderr) == (7, b"a\0b\xff", b"oops\n")
    done = shell(lab, "client", "--", "sh", "-c", "cat; exit 3", data=b"hello")
    assert (done.returncode, done.stdout) == (3, b"hello")
    assert shell(lab, "exec", "slave", "--", "sh", "-c", "kill -9 $$").returncode == -signal.SIGKILL


def test_commands_run_as_on_the_host_itself(lab: Lab) -> None:
    said = lab.slave.run("hostname -f; pwd; id -u; echo $HOME $LANG; env | wc -l").stdout.split()
    assert said == ["slave.lab.example", "/root", "0", "/root", "C.UTF-8", "5"]
    with pytest.raises(CommandFailed, match="no such thing"):
        lab.master.run("echo no such thing >&2; exit 1")
    assert lab.master.run(["false"], check=False).returncode == 1


def test_files_arrive_as_they_were_given(lab: Lab) -> None:
    lab.master.write("/root/some/where/file", b"\0\xff\n", 0o600)
    assert lab.master.read_bytes("/root/some/where/file") == b"\0\xff\n"
    assert lab.master.run(["stat", "-c", "%a %U", "/root/some/where/file"]).stdout == "600 root\n"


def test_a_command_that_takes_too_long_ends_with_its_children(lab: Lab) -> None:
    with pytest.raises(subprocess.TimeoutExpired):
        lab.master.run("sleep 4711 & sleep 4711", timeout=1)
    assert lab.master.run(["pgrep", "-f", "sleep 4711"], check=False).stdout == ""


def test_a_command_that_is_ended_out_here_ends_in_there(lab: Lab) -> None:
    started = lab.master.spawn("echo up; exec sleep 4712")
    assert started.stdout
    assert started.stdout.readline() == b"up\n"
    started.kill()
    started.communicate()
    deadline = time.monotonic() + 5
    while lab.master.run(["pgrep", "-f", "sleep 4712"], check=False).stdout:
        assert time.monotonic() < deadline
    lab.master.run("systemd-run -q --unit=stays sleep 4713; (sleep 4714 >/dev/null 2>&1 &)")
    assert len(lab.master.run(["pgrep", "-f", "sleep 471[34]"]).stdout.split()) == 2
    lab.master.run("systemctl stop stays; pkill -f 'sleep 471[4]'")


def test_the_hosts_are_two_machines(lab: Lab) -> None:
    for identity in ("/etc/machine-id", "/proc/sys/kernel/random/boot_id", "/etc/ssh/ssh_host_ed25519_key.pub"):
        assert lab.master.read(identity) != lab.slave.read(identity)
    uuid = ["findmnt", "-no", "TARGET,FSTYPE", "/"]
    assert lab.master.run(uuid).stdout.split() == ["/", "ext4"]
    assert lab.master.run("ls /sys/class/net").stdout.split() == ["eth0", "lo"]
    assert lab.master.run(["systemctl", "is-system-running"]).stdout == "running\n"


def test_a_host_can_do_what_a_server_does(lab: Lab) -> None:
    lab.master.run(
        """set -e; cd /root; mknod null c 1 3; echo x >null
        cp /bin/true p; setcap cap_net_raw+ep p; getcap p | grep -q cap_net_raw
        setfattr -n trusted.a -v b p; setfacl -m u:mail:r p
        touch i; chattr +i i; ! rm i 2>/dev/null; chattr -i i
        mkdir -p m; mount -t tmpfs t m; mkdir m/n; mount --bind /etc m/n; test -f m/n/passwd; umount -R m"""
    )
    lab.master.run(["python3", "-"], input=FANOTIFY)


def test_a_host_runs_a_container_of_its_own(lab: Lab) -> None:
    lab.slave.run(
        """set -e; mkdir -p /var/lib/c/u /var/lib/c/w /var/lib/c/m
        mount -t overlay overlay -o lowerdir=/,upperdir=/var/lib/c/u,workdir=/var/lib/c/w /var/lib/c/m
        : >/var/lib/c/m/etc/machine-id
        echo auto lo >/var/lib/c/m/etc/network/interfaces
        systemd-run -q --unit=nested -p Delegate=yes -p TimeoutStopSec=10 \\
            systemd-nspawn -q -D /var/lib/c/m -b --register=no --keep-unit \\
            --private-network --console=pipe --link-journal=no --machine=nested"""
    )
    inner = "timeout 2 nsenter -t $(pgrep -P $(systemctl show -P MainPID nested)) -a systemctl is-system-running"
    deadline = time.monotonic() + 60
    while lab.slave.run(inner, check=False).stdout.strip() not in ("running", "degraded"):
        assert time.monotonic() < deadline, lab.slave.run("journalctl -u nested").stdout
        time.sleep(0.5)
    lab.slave.run("systemctl stop nested; systemctl reset-failed; umount /var/lib/c/m")


def test_nobody_in_the_lab_can_set_the_clock_of_this_machine(lab: Lab) -> None:
    for party in (lab.master, lab.slave, lab.client):
        for process in ("self", "1") if party is not lab.client else ("self",):
            status = party.run(["grep", "^Cap", f"/proc/{process}/status"]).stdout
            assert not any(int(line.split()[1], 16) & CAP_SYS_TIME for line in status.splitlines())


def test_a_power_cut_loses_what_was_not_synced_and_keeps_what_was(lab: Lab) -> None:
    lab.master.run("echo kept >/root/synced && sync && echo lost >/root/unsynced")
    lab.master.kill()
    assert not lab.master.on
    with pytest.raises(LabError, match="master is off"):
        lab.master.run(["true"])
    assert lab.slave.run(["ping", "-c1", "-W1", "10.77.0.1"], check=False).returncode == 1
    lab.master.boot()
    assert lab.master.read("/root/synced") == "kept\n"
    assert lab.master.run(["test", "-e", "/root/unsynced"], check=False).returncode == 1
    assert reaches(lab.slave, "10.77.0.1")


def test_nothing_is_seen_of_a_host_that_its_disk_does_not_show_after_a_power_cut(lab: Lab) -> None:
    counter = lab.master.spawn(
        """cd /root; for i in $(seq 100000); do
        echo $i >count.new; sync count.new; mv count.new count; sync .; echo $i; done"""
    )
    time.sleep(1)
    lab.master.kill()
    out, _ = counter.communicate(timeout=30)
    seen = int(out.split(b"\n")[-2])
    assert seen > 5
    lab.master.boot()
    assert int(lab.master.read("/root/count")) in (seen, seen + 1)


def test_a_host_can_be_shut_down_and_reboots_when_it_asks_for_it(lab: Lab) -> None:
    lab.slave.run("echo written >/root/unsynced-but-shut-down")
    lab.slave.stop()
    lab.slave.boot()
    assert lab.slave.read("/root/unsynced-but-shut-down") == "written\n"
    before = lab.slave.read("/proc/sys/kernel/random/boot_id")
    lab.slave.run(["systemctl", "reboot"])
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            if lab.slave.read("/proc/sys/kernel/random/boot_id") != before:
                break
        except (LabError, CommandFailed):
            pass
        time.sleep(0.1)
    lab.slave.wait()
    assert lab.slave.run(["systemctl", "is-system-running"]).stdout == "running\n"
    assert reaches(lab.slave, "10.77.0.1")


def test_an_image_is_the_disk_of_this_instant(lab: Lab, tmp_path: Path) -> None:
    lab.slave.run("echo 1 >/root/imaged && sync && echo 2 >/root/too-late")
    lab.slave.image(tmp_path / "disk")
    said = subprocess.run(["debugfs", "-R", "cat /root/imaged", tmp_path / "disk"], capture_output=True, check=True)
    assert (tmp_path / "disk").stat().st_blocks * 512 < 2 << 30
    assert b"1\n" in said.stdout or b"needs journal recovery" in said.stderr
    assert lab.slave.run(["true"]).returncode == 0


def test_a_pulled_cable_is_seen_and_can_be_plugged_in_again(lab: Lab) -> None:
    lab.slave.cut()
    assert lab.master.run(["ping", "-c1", "-W1", "10.77.0.2"], check=False).returncode == 1
    assert lab.slave.read("/sys/class/net/eth0/carrier") == "0\n"
    lab.slave.kill()
    lab.slave.boot()
    assert lab.master.run(["ping", "-c1", "-W1", "10.77.0.2"], check=False).returncode == 1
    lab.slave.join()
    assert reaches(lab.master, "10.77.0.2")
    assert lab.client.run(["ss", "-Htln"]).stdout


def test_hosts_reach_each_other_by_link_local_address(lab: Lab) -> None:
    address = lab.master.run("ip -6 -o address show dev eth0 scope link").stdout.split()[3].partition("/")[0]
    assert address.startswith("fe80::")
    assert reaches(lab.slave, "-6", f"{address}%eth0")


def test_a_saved_state_comes_back_booted(lab: Lab) -> None:
    lab.master.run("echo before >/root/state")
    lab.save("before")
    lab.master.run("echo after >/root/state")
    lab.slave.run("touch /root/after")
    lab.slave.cut()
    lab.revert("before")
    assert lab.master.read("/root/state") == "before\n"
    assert lab.slave.run("test -e /root/after", check=False).returncode == 1
    assert reaches(lab.slave, "10.77.0.1")
    with pytest.raises(LabError, match="there is: before"):
        lab.revert("never")


def test_a_twin_has_what_a_lab_has_saved_and_goes_its_own_way(lab: Lab) -> None:
    lab.master.run("echo saved >/root/state")
    lab.save("shared")
    lab.master.run("echo gone on >/root/state")
    with Lab.twin(lab.name, own_name("twin")) as twin:
        assert not twin.master.on
        twin.revert("shared")
        assert twin.master.read("/root/state") == "saved\n"
        twin.master.run("echo of the twin >/root/state")
        assert reaches(twin.slave, "10.77.0.1")
        twin.revert("shared")
        assert twin.master.read("/root/state") == "saved\n"
    assert left_of(twin.name) == []
    assert lab.master.read("/root/state") == "gone on\n"
    assert reaches(lab.slave, "10.77.0.1")
    with pytest.raises(LabError, match="there is no lab nobody"):
        Lab.twin("nobody", own_name("twin"))


def test_a_wrong_clock_is_hotsyncs_alone(lab: Lab) -> None:
    loop = "while :; do date +%%s >/run/told.new; mv /run/told.new /run/told; sleep 0.1; done"
    unit = f"[Service]\nExecStart=/bin/sh -c '{loop}'\n"
    lab.master.write("/run/systemd/system/hotsyncd.service", unit)
    lab.master.run("systemctl daemon-reload && systemctl start hotsyncd && sleep 1")

    def off() -> float:
        time.sleep(0.5)
        return int(lab.master.read("/run/told")) - time.time()

    assert abs(off()) < 60
    lab.master.clock("+2h")
    assert abs(off() - 7200) < 60
    assert abs(int(lab.master.run(["date", "+%s"]).stdout) - time.time() - 7200) < 60
    lab.master.run("systemd-run -q --wait sh -c 'date +%s >/run/told-by-another'")
    assert abs(int(lab.master.read("/run/told-by-another")) - time.time()) < 60
    slept = "import time; start = time.monotonic(); time.sleep(0.3); print(time.monotonic() - start)"
    assert 0.3 <= float(lab.master.run(["python3", "-c", slept]).stdout) < 3
    lab.master.run("touch /root/now")
    assert abs(int(lab.master.run(["stat", "-c", "%Y", "/root/now"]).stdout) - time.time()) < 60
    lab.master.clock("+0")
    assert abs(off()) < 60
    assert abs(int(lab.master.run(["date", "+%s"]).stdout) - time.time()) < 60
    lab.master.run("systemctl stop hotsyncd; rm /run/systemd/system/hotsyncd.service; systemctl daemon-reload")


def test_a_withdrawn_package_cannot_be_had(lab: Lab) -> None:
    simulate = "apt-get -q update && apt-get -s install smbclient"
    assert "Inst smbclient" in lab.slave.run(simulate).stdout
    lab.repository.withdraw("smbclient")
    missing = lab.slave.run(simulate, check=False)
    assert missing.returncode == 100
    assert "smbclient" in missing.stderr
    lab.repository.offer("smbclient")
    assert lab.slave.run(f"{simulate} && apt-get install -qqy --no-install-recommends attr").returncode == 0
    with pytest.raises(LabError, match="not in the lab's repository: nosuch"):
        lab.repository.withdraw("nosuch")


def test_the_sink_keeps_every_mail(lab: Lab) -> None:
    lab.client.forget_mails()
    lab.slave.run(
        ["python3", "-"],
        input="import smtplib\n"
        "smtplib.SMTP('10.77.0.100').sendmail('a@lab.example', ['b@x', 'c@x'], 'Subject: hi\\r\\n\\r\\n.dot\\r\\n')\n",
    )
    (mail,) = lab.client.mails()
    assert (mail["Subject"], mail["X-Lab-From"], mail["X-Lab-To"]) == ("hi", "a@lab.example", "b@x, c@x")
    assert mail.get_payload() == ".dot\r\n"
    lab.client.stop_sink()
    assert lab.slave.run(["nc", "-z", "10.77.0.100", "25"], check=False).returncode == 1
    lab.client.start_sink()
    assert lab.slave.run(["nc", "-z", "10.77.0.100", "25"]).returncode == 0


@pytest.mark.parametrize(
    ("fs", "network"), [("xfs", "networkd"), pytest.param("btrfs", "ifupdown", marks=pytest.mark.full)]
)
def test_two_labs_stand_side_by_side(lab: Lab, fs: str, network: str) -> None:
    nics = "master=eth1:dmz@10.78.0.1/24;slave=ens3:lan,enp1s0:dmz@10.78.0.2/24"
    with Lab.up(own_name(fs), fs, bare=True, package=False, network=network, nics=nics) as other:
        assert other.master.run(["findmnt", "-no", "FSTYPE", "/"]).stdout == f"{fs}\n"
        assert reaches(other.slave, "10.77.0.1")
        assert reaches(other.slave, "-I", "enp1s0", "10.78.0.1")
        other.slave.cut("enp1s0")
        assert other.slave.run(["ping", "-c1", "-W1", "10.78.0.1"], check=False).returncode == 1
        assert reaches(other.slave, "-I", "ens3", "10.77.0.1")
        for each in (lab, other):
            each.master.run(f"echo {each.name} >/root/whose; systemd-run -q --unit=mine sleep 1000")
        other.master.run("sync; echo lost >/root/unsynced")
        other.master.kill()
        other.master.boot()
        assert other.master.read("/root/whose") == f"{other.name}\n"
        assert other.master.run(["test", "-e", "/root/unsynced"], check=False).returncode == 1
        assert lab.master.read("/root/whose") == f"{lab.name}\n"
        assert lab.master.run(["systemctl", "is-active", "mine"]).stdout == "active\n"
        lab.master.run(["systemctl", "stop", "mine"])
    assert left_of(other.name) == []
    assert reaches(lab.slave, "10.77.0.1")


def test_a_lab_that_fails_on_its_way_up_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("on purpose")

    name = own_name("half")
    monkeypatch.setattr("lab.host.Host.boot", fail)
    with pytest.raises(RuntimeError, match="on purpose"):
        Lab.up(name, bare=True, package=False)
    assert left_of(name) == []


def test_down_takes_away_what_a_killed_command_left() -> None:
    name = own_name("killed")
    up = subprocess.Popen([SCRIPT, "up", "--name", name, "--bare", "--no-package"], stderr=subprocess.PIPE)
    assert up.stderr
    for line in up.stderr:
        if b"lay the network" in line:
            break
    time.sleep(0.3)
    up.kill()
    up.communicate()
    assert left_of(name)
    with pytest.raises(LabError, match="up already, or was left half"):
        Lab.up(name, bare=True, package=False)
    subprocess.run([SCRIPT, "down", "--name", name], check=True, capture_output=True)
    assert left_of(name) == []
    subprocess.run([SCRIPT, "down", "--name", name], check=True, capture_output=True)


def test_a_lab_that_is_not_there_is_named() -> None:
    done = subprocess.run(
        [SCRIPT, "exec", "--name", "nobody", "master", "--", "true"], capture_output=True, check=False
    )
    assert (done.returncode, done.stderr) == (1, b"lab: there is no lab nobody: `script/lab up --name nobody`\n")
