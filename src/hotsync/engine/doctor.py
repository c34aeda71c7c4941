"""Reads for `hotsync doctor` what only this machine can answer; nothing is changed, and no peer is asked."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from hotsync.backends import firewall, nftables
from hotsync.backends.packages import detect
from hotsync.errors import HotSyncError
from hotsync.system import command
from hotsync.system.paths import Paths
from hotsync.transport.bulk import read_rsync_version
from hotsync.transport.rsync import OLDEST, lacking

_LISTEN = "0A"
_ABSENT = "the package hotsync is not installed"


def listening_ports(tables: Iterable[str]) -> frozenset[int]:
    """Given what /proc/net/tcp and tcp6 hold, return the ports that something listens on."""
    rows = [line.split() for table in tables for line in table.splitlines()[1:]]
    return frozenset(int(row[1].rpartition(":")[2], 16) for row in rows if len(row) > 3 and row[3] == _LISTEN)


def is_listening(port: int) -> bool:
    """Return whether something on this host listens on a TCP port."""
    tables = [path.read_text() for name in ("tcp", "tcp6") if (path := Path("/proc/net", name)).exists()]
    return port in listening_ports(tables)


def state_fault(paths: Paths) -> str:
    """Return why HotSync could not write what it keeps, "" if it could."""
    try:
        read_only = os.statvfs(paths.state).f_flag & os.ST_RDONLY
    except OSError as error:
        return str(error)
    if read_only:
        return f"{paths.state} is on a file system that is read-only"
    return "" if os.access(paths.state, os.W_OK | os.X_OK) else f"{paths.state} cannot be written (are you root?)"


def room(paths: Paths) -> tuple[int, int]:
    """Return size and free bytes of the disk that HotSync keeps its things on."""
    try:
        usage = shutil.disk_usage(paths.state)
    except OSError:
        return 0, 0
    return usage.total, usage.free


def rsync_fault() -> str:
    """Return what this host's rsync lacks, "" if nothing."""
    try:
        ours = read_rsync_version()
    except HotSyncError as error:
        return error.sentence
    old = [] if ours.number >= OLDEST else [f"it is {ours.version}"]
    return "; ".join([*old, *(f"it was built without {name}" for name in lacking(ours))])


def clock_is_right() -> bool | None:
    """Return whether the clock follows others' by what systemd knows; None: it cannot say."""
    try:
        answer = command.run(["timedatectl", "show", "--property=NTPSynchronized", "--value"], timeout=30).text.strip()
    except HotSyncError:
        return None
    return {"yes": True, "no": False}.get(answer)


def is_guarded() -> bool | None:
    """Return whether the port is open for the peer only; None where there is no nftables."""
    return firewall.is_guarded() if nftables.available() else None


def package_faults(paths: Paths) -> tuple[str, ...]:
    """Return what is wrong with HotSync's own package and with the package database."""
    return _faults_by_rpm(paths) if detect.has_rpms(paths) else _faults_by_dpkg(paths)


def _faults_by_rpm(paths: Paths) -> tuple[str, ...]:
    root = ["--root", os.fspath(paths.root)] if os.fspath(paths.root) != "/" else []
    try:
        broken = detect.manager_of(paths).broken()
        verify = command.run(["rpm", *root, "--verify", "hotsync"], ok=range(256), timeout=300)
    except HotSyncError as error:
        return (error.sentence,)
    found = [_ABSENT] if "is not installed" in verify.text else changed_files(verify.text)
    return (*([broken] if broken else []), *found)


def _faults_by_dpkg(paths: Paths) -> tuple[str, ...]:
    try:
        broken = detect.manager_of(paths).broken()
        verify = command.run(["dpkg", "--verify", "hotsync"], ok=range(256), timeout=300)
    except HotSyncError as error:
        return (error.sentence,)
    missing = [_ABSENT] if "not installed" in verify.errors else []
    return (*([broken] if broken else []), *missing, *changed_files(verify.text))


def changed_files(verified: str) -> list[str]:
    """Given what `dpkg --verify` or `rpm --verify` says, return each file that its package did not bring like that,
    settings aside."""
    rows = [line.split(maxsplit=2) for line in verified.splitlines() if line.strip()]
    return [f"{row[-1]} is not what the package brought" for row in rows if not (len(row) == 3 and row[1] == "c")]
