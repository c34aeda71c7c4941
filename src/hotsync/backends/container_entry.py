"""How a command gets into a machine in a folder: with its limits, with its rights, and with no program of its.

After its promotion whatever lies in the machine is the MASTER's. So everything that this host's root could be asked to
do is given up out here, by programs of this host, before the first program in there is looked for.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from hotsync.errors import CommandFailed
from hotsync.system.mounts import cgroup_hierarchies, read_mounts

CAPABILITIES = (
    "chown", "dac_override", "fowner", "fsetid", "kill", "setgid", "setuid", "setpcap", "linux_immutable",
    "net_bind_service", "net_broadcast", "net_admin", "net_raw", "ipc_owner", "sys_chroot", "sys_ptrace", "sys_admin",
    "sys_nice", "sys_resource", "sys_tty_config", "lease", "audit_write", "audit_control", "setfcap",
)  # fmt: skip
"""What systemd-nspawn leaves to a machine, but for what only its filter of system calls makes harmless: devices that it
may make, files that it may open by their number alone."""

_PATH = "PATH=/usr/sbin:/usr/bin:/sbin:/bin"
_GUESTS = "hotsync-guests"
# 0: whoever writes it
_JOIN = 'while [ "$1" != -- ]; do echo 0 >"$1" || exit 125; shift; done; shift; exec "$@"'


def bounded(capabilities: Iterable[str]) -> list[str]:
    """Return the words before a command that leave it these rights at most, and what it starts; it ends together with
    whoever runs it."""
    kept = ",".join(["-all", *(f"+{name}" for name in capabilities)])
    return ["setpriv", "--pdeathsig=KILL", f"--bounding-set={kept}", "--inh-caps=-all", "--no-new-privs", "--"]


def words_into(init: int, scope: str) -> list[str]:
    """Given the process 1 of a machine (its number out here) and the scope that it is in, return the words before a
    command that run it in the machine.

    Raise CommandFailed if the machine is no more: another process may have its number.
    """
    spaces = ["--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup"]
    return [
        "/usr/bin/env", _PATH, "/bin/sh", "-c", _JOIN, "sh", *_groups(init, scope), "--", *bounded(CAPABILITIES),
        # no --wd: it is opened before the machine is entered, and would be a way back to this host's files
        "nsenter", f"--target={init}", *spaces, "--",
        # the signal is not handed on to the child that nsenter makes
        "setpriv", "--pdeathsig=KILL", "--",
    ]  # fmt: skip


def gone() -> CommandFailed:
    """Return the error for a machine that is no more."""
    return CommandFailed(program="systemd-nspawn", status="no machine", detail="the sandbox has ended", line="")


def _groups(init: int, scope: str) -> list[str]:
    """Return the files that take a process into the scope, in each hierarchy of cgroups in which the machine is there.

    Where inner groups may hold no processes a group for commands like ours is made beside those of the machine.
    """
    try:
        lines = Path(f"/proc/{init}/cgroup").read_text().splitlines()
    except OSError:
        lines = []
    found: list[str] = []
    mounts = read_mounts()
    for _, controllers, path in (line.split(":", 2) for line in lines):
        parts = path.split("/")
        top = next(cgroup_hierarchies(mounts, controllers.split(",") if controllers else ()), None)
        if scope not in parts or top is None:
            continue
        group = top.joinpath(*parts[1 : parts.index(scope) + 1])
        if not controllers:
            group /= _GUESTS
            group.mkdir(exist_ok=True)
        found.append(os.fspath(group / "cgroup.procs"))
    if not found:
        raise gone()
    return found
