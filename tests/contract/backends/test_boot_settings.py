"""The settings of /etc, applied by this machine's systemd in a network and a view of the file systems of their own."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from hotsync.system import command

pytestmark = pytest.mark.contract

PROGRAM = """
from pathlib import Path
from hotsync.backends import boot_settings
refused = list(boot_settings.apply())
for name in ("ip_forward", "ip_nonlocal_bind", "ip_default_ttl"):
    print(name, Path("/proc/sys/net/ipv4", name).read_text().strip())
for folder in (Path("/run/shop"), Path("/dev/shop")):
    print(folder, folder.is_dir())
print(*refused, sep="\\n")
"""


def apply(etc: Path) -> list[str]:
    """Return what a child says that applies a given /etc; nothing of this machine is in its reach."""
    hide = [f"mount --bind {etc} /etc"]
    hide += [f"mount -t tmpfs tmpfs {folder}" for folder in ("/run", "/usr/lib/tmpfiles.d", "/usr/lib/sysctl.d")]
    script = " && ".join([*hide, 'exec "$@"'])
    argv = ["unshare", "--net", "--mount", "sh", "-c", script, "sh", sys.executable, "-c", PROGRAM]
    return command.run(argv).text.splitlines()


def make(etc: Path, name: str, text: str) -> None:
    (etc / name).parent.mkdir(parents=True, exist_ok=True)
    (etc / name).write_text(text)


@pytest.fixture
def etc(tmp_path: Path) -> Path:
    make(tmp_path, "passwd", "root:x:0:0:root:/root:/bin/sh\n")
    make(tmp_path, "group", "root:x:0:\n")
    return tmp_path


def test_kernel_settings_modules_and_folders_are_as_a_boot_would_make_them(etc: Path) -> None:
    make(etc, "sysctl.d/10-shop.conf", "net.ipv4.ip_forward = 0\nnet.ipv4.conf.eth77.rp_filter = 1\n")
    make(etc, "sysctl.d/20-shop.conf", "net.ipv4.ip_nonlocal_bind = 1\nnet.ipv4.ip_default_ttl = 99\n")
    make(etc, "sysctl.conf", "net.ipv4.ip_default_ttl = 65\n")
    make(etc, "modules-load.d/shop.conf", "# none\n")
    make(etc, "tmpfiles.d/shop.conf", "d /run/shop 0755 root root\nd /dev/shop 0755 root root\n")
    assert apply(etc) == [
        "ip_forward 0",
        "ip_nonlocal_bind 1",
        "ip_default_ttl 65",
        "/run/shop True",
        "/dev/shop False",
        "",
    ]


def test_what_this_machine_refuses_is_told_and_the_rest_is_taken(etc: Path) -> None:
    make(etc, "sysctl.d/10-shop.conf", "net.nonesuch = 1\nnet.ipv4.ip_default_ttl = 99\n")
    make(etc, "modules-load.d/shop.conf", "hotsync_nonesuch\n")
    make(etc, "tmpfiles.d/shop.conf", "d /run/shop 0755 nobody-here root\n")
    make(etc, "locale.conf", "LANG=C.UTF-8\n")
    said = apply(etc)
    assert "ip_default_ttl 99" in said
    refused = "\n".join(said[5:])
    for word in ("hotsync_nonesuch", "net/nonesuch", "systemd-tmpfiles", "systemctl"):
        assert word in refused
