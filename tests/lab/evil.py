"""What a MASTER whose root is hostile puts into itself, in the hope that it runs on the SLAVE."""

from __future__ import annotations

import subprocess
from pathlib import Path

from lab import Lab

WORD = "evil-was-here"
MARK = f"/var/lib/{WORD}"
TOUCH = f"touch {MARK}"
PACKAGE = "evil-package"

_UNIT = f"[Unit]\nDefaultDependencies=no\n[Service]\nType=oneshot\nExecStart=/usr/bin/{TOUCH}\n"
# each of them has the word in it, so that one search finds whatever got out
FILES: dict[str, tuple[int, str]] = {
    "/etc/systemd/system/evil.service": (0o644, f"{_UNIT}[Install]\nWantedBy=sysinit.target\n"),
    "/etc/systemd/system/ssh.service.d/evil.conf": (0o644, f"[Service]\nExecStartPre=/usr/bin/{TOUCH}\n"),
    "/etc/systemd/system-generators/evil": (0o755, f"#!/bin/sh\n{TOUCH}\n"),
    "/etc/cron.d/evil": (0o644, f"* * * * * root {TOUCH}\n"),
    "/etc/cron.hourly/evil": (0o755, f"#!/bin/sh\n{TOUCH}\n"),
    "/etc/sudoers.d/evil": (0o440, f"ALL ALL=(ALL) NOPASSWD: ALL # {WORD}\n"),
    "/etc/profile.d/evil.sh": (0o644, f"{TOUCH}\n"),
    "/etc/udev/rules.d/99-evil.rules": (0o644, f'ACTION=="add", RUN+="/usr/bin/{TOUCH}"\n'),
    "/etc/apt/apt.conf.d/99evil": (0o644, f'APT::Update::Pre-Invoke {{"{TOUCH}";}};\n'),
    "/etc/apt/sources.list.d/evil.list": (0o644, f"deb [trusted=yes] http://10.77.0.100/evil ./ # {WORD}\n"),
    "/etc/network/if-up.d/evil": (0o755, f"#!/bin/sh\n{TOUCH}\n"),
    "/etc/hotsync.d/evil": (0o755, f"#!/bin/sh\n{TOUCH}\n"),
    "/etc/hotsync/events/nethserver-hotsync-save.d/evil": (0o755, f"#!/bin/sh\n{TOUCH}\n"),
        "/root/.ssh/authorized_keys": (0o600, f"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEvil {WORD}\n"),
    "/root/.bashrc": (0o644, f"{TOUCH}\n"),
    "/usr/local/sbin/rsync": (0o755, f"#!/bin/sh\n{TOUCH}\nexec /usr/bin/rsync \"$@\"\n"),
    "/usr/local/bin/apt-get": (0o755, f"#!/bin/sh\n{TOUCH}\nexec /usr/bin/apt-get \"$@\"\n"),
    "/home/setuid": (0o4755, f"#!/bin/sh\n{TOUCH}\n"),
}  # fmt: skip


def poison(lab: Lab, work: Path) -> None:
    """Put all of it on the MASTER, a package of an unknown repository with it."""
    for path, (mode, text) in FILES.items():
        lab.master.write(path, text, mode)
    lab.master.run("mkdir -p /etc/systemd/system/sysinit.target.wants")
    lab.master.run("ln -s ../evil.service /etc/systemd/system/sysinit.target.wants/evil.service")
    lab.master.run("echo root2::0:0::/root:/bin/sh >>/etc/passwd; echo root2:::0:99999:7::: >>/etc/shadow")
    deb = _package(work)
    offer = lab.client.www / "evil"
    offer.mkdir()
    (offer / deb.name).write_bytes(deb.read_bytes())
    index = subprocess.run(["apt-ftparchive", "packages", "."], cwd=offer, capture_output=True, check=True).stdout
    (offer / "Packages").write_bytes(index)
    lab.master.write(f"/root/{deb.name}", deb.read_bytes())
    lab.master.run(["dpkg", "-i", f"/root/{deb.name}"])


def _package(work: Path) -> Path:
    """Build a package whose scripts are hostile."""
    scripts = work / "evil/DEBIAN"
    scripts.mkdir(parents=True)
    fields = {"Package": PACKAGE, "Version": "1.0", "Architecture": "all", "Maintainer": "evil", "Description": "evil"}
    (scripts / "control").write_text("".join(f"{name}: {value}\n" for name, value in fields.items()))
    for name in ("preinst", "postinst"):
        (scripts / name).write_text(f"#!/bin/sh\n{TOUCH}\n")
        (scripts / name).chmod(0o755)
    deb = work / f"{PACKAGE}_1.0_all.deb"
    subprocess.run(["dpkg-deb", "--root-owner-group", "-b", scripts.parent, deb], capture_output=True, check=True)
    return deb
