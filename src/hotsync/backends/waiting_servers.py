"""Database servers of HotSync's own on a waiting SLAVE: transient units that can reach nothing but their own files.

What they are given to execute comes from the MASTER: its tables, routines and extensions. So they run as the server's
own user, without any right, without network, and see of this host only what they need.
"""

from __future__ import annotations

import os
import pwd
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hotsync.errors import CommandFailed
from hotsync.system import command, files
from hotsync.system.paths import Paths

PREFIX = "hotsync-warm-"
_START_SECONDS = 3600
_STOP_SECONDS = 900
_TOOL_SECONDS = 7 * 24 * 3600.0
_LAST_LINES = 200
_CONFINED = (
    "PrivateNetwork=yes",
    "RestrictAddressFamilies=AF_UNIX",
    "NoNewPrivileges=yes",
    "ProtectSystem=strict",
    "ProtectHome=yes",
    "PrivateTmp=yes",
    "PrivateDevices=yes",
    "PrivateIPC=yes",
    "ProtectProc=invisible",
    "ProtectClock=yes",
    "ProtectHostname=yes",
    "ProtectKernelTunables=yes",
    "ProtectKernelModules=yes",
    "ProtectKernelLogs=yes",
    "ProtectControlGroups=yes",
    "RestrictNamespaces=yes",
    "RestrictRealtime=yes",
    "RestrictSUIDSGID=yes",
    "LockPersonality=yes",
    "SystemCallArchitectures=native",
    "SystemCallFilter=@system-service",
    "SystemCallErrorNumber=EPERM",
    "TemporaryFileSystem=/var/lib/hotsync:ro /dev/shm:mode=1777",
    "InaccessiblePaths=-/etc/hotsync -/etc/shadow -/etc/gshadow -/etc/ssh -/run/dbus -/run/systemd/private",
    "UMask=0077",
    "OOMScoreAdjust=500",
)
_IN_BACKGROUND = ("Nice=10", "IOSchedulingClass=idle")


@dataclass(frozen=True, slots=True)
class WaitingServer:
    """One server: its name (engine@instance), whose rights it has, its command line, and the folders that it writes.

    `files` are written beside its socket first, for the server to read. `stop_signal` ends it in good order.
    `in_background`: whatever else this host does comes first. `needs_loopback`: it speaks TCP with itself, in the
    network of its own that it has in any case.
    """

    name: str
    user: str
    argv: tuple[str, ...]
    writes: tuple[Path, ...]
    files: Mapping[str, str]
    stop_signal: str = "SIGTERM"
    in_background: bool = True
    needs_loopback: bool = False

    @property
    def unit(self) -> str:
        """Return the name of its unit."""
        return f"{PREFIX}{self.name}.service"


def folder_of(paths: Paths, name: str) -> Path:
    """Given a server's name, return the folder in which it makes its socket, and reads its files."""
    return paths.run / "warm" / name


def start(paths: Paths, server: WaitingServer) -> None:
    """Start a server and wait until it answers; raise CommandFailed."""
    stop(paths, server.name)
    sockets = prepare(paths, server)
    sandbox = _properties(server.user, (*server.writes, sockets), in_background=server.in_background)
    if server.needs_loopback:
        sandbox.append("--property=RestrictAddressFamilies=AF_INET")  # beside what is there
    argv = [
        "systemd-run", "--quiet", f"--unit={server.unit}", f"--description=HotSync: {server.name} waits",
        "--service-type=notify", *sandbox,
        "--property=NotifyAccess=main", "--property=CapabilityBoundingSet=",
        f"--property=KillSignal={server.stop_signal}", "--property=KillMode=mixed",
        f"--property=TimeoutStartSec={_START_SECONDS}", f"--property=TimeoutStopSec={_STOP_SECONDS}",
        "--property=CollectMode=inactive-or-failed", "--", *server.argv,
    ]  # fmt: skip
    command.run(argv, timeout=_START_SECONDS + 60.0)


def prepare(paths: Paths, server: WaitingServer) -> Path:
    """Make a server's files, and return the folder in which it makes its socket."""
    folder = folder_of(paths, server.name)
    account = pwd.getpwnam(server.user)
    paths.run.mkdir(parents=True, exist_ok=True)
    files.make_folder(folder.parent, 0o755)  # the server's user goes through it
    files.make_folder(folder, 0o750)
    os.chown(folder, 0, account.pw_gid)
    for name, text in server.files.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o640)
        os.chown(folder / name, 0, account.pw_gid)
    sockets = folder / "socket"
    sockets.mkdir(mode=0o700)
    os.chown(sockets, account.pw_uid, account.pw_gid)
    return sockets


def stop(paths: Paths, name: str) -> None:
    """Stop a server in good order, if it runs; raise CommandFailed if it does not stop."""
    # 5: there is no such unit
    command.run(["systemctl", "stop", f"{PREFIX}{name}.service"], ok=(0, 5), timeout=_STOP_SECONDS + 60.0)
    shutil.rmtree(folder_of(paths, name), ignore_errors=True)


def is_active(name: str) -> bool:
    """Return whether a server runs."""
    return command.run(["systemctl", "is-active", "--quiet", f"{PREFIX}{name}.service"], ok=range(256)).returncode == 0


def said(name: str) -> str:
    """Return what a server that runs said last; raise CommandFailed."""
    unit = f"{PREFIX}{name}.service"
    run = command.run(["systemctl", "show", "--property=InvocationID", "--value", unit]).text.strip()
    if not run:
        return ""
    return command.run(
        ["journalctl", "--quiet", "--output=cat", f"--lines={_LAST_LINES}", f"_SYSTEMD_INVOCATION_ID={run}"]
    ).text


def run_tool(name: str, user: str, writes: Path, environment: Mapping[str, str], argv: Sequence[str]) -> None:
    """Run a program that makes a server's files to its end, in a sandbox like the server's; raise CommandFailed."""
    words = (
        "systemd-run", "--quiet", "--pipe", "--wait", "--collect", f"--unit={PREFIX}{name}.service",
        f"--description=HotSync: makes {writes}", *_properties(user, (writes,)), "--property=CapabilityBoundingSet=",
        *(f"--setenv={key}={value}" for key, value in environment.items()), "--",
    )  # fmt: skip
    try:
        command.run([*words, *argv], timeout=_TOOL_SECONDS)
    except CommandFailed as error:
        raise command.failure(argv, error.returncode or 1, error.stderr) from error
    finally:
        # that we were ended, or gave up, does not end it
        command.run(["systemctl", "stop", f"{PREFIX}{name}.service"], ok=range(256), timeout=_STOP_SECONDS + 60.0)


def client_words(name: str, user: str, reads: Path, environment: Mapping[str, str]) -> tuple[str, ...]:
    """Return the words before a client's command line that keep it in a sandbox like the server's own.

    It may read what is root's below `reads`, and nothing else of HotSync's. It ends with the server.
    """
    unit = f"{PREFIX}{name}.service"
    return (
        "systemd-run", "--quiet", "--pipe", "--wait", "--collect", f"--description=HotSync: loads {name}",
        *_properties(user, ()), f"--property=BindReadOnlyPaths={_escaped(reads)}",
        "--property=CapabilityBoundingSet=CAP_DAC_READ_SEARCH", "--property=AmbientCapabilities=CAP_DAC_READ_SEARCH",
        f"--property=BindsTo={unit}", f"--property=After={unit}",
        *(f"--setenv={key}={value}" for key, value in environment.items()), "--",
    )  # fmt: skip


def _properties(user: str, writes: Sequence[Path], *, in_background: bool = True) -> list[str]:
    words = [f"--property={word}" for word in (*_CONFINED, *(_IN_BACKGROUND if in_background else ()))]
    words.append(f"--property=User={user}")
    if writes:
        words.append(f"--property=ReadWritePaths={' '.join(map(_escaped, writes))}")
    return words


def _escaped(path: Path) -> str:
    """Return a path as systemd reads it in a list of paths."""
    text = os.fspath(path).replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{text}"'
