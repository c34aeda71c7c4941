"""The base images: plain Debian 12 servers, installed once, copied by reflink for every host.

`bare` is a fresh server; `server` is the same with the demo's applications installed and never started.
Everything that needs mounts happens in a mount namespace of its own, so that nothing stays when a build is cut.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from lab import repository
from lab.command import LabError, phase, run
from lab.places import CACHE, locked
from lab.pool import POOL, open_pool

# Raised by one whenever the recipe below changes in a way that the package lists do not show.
RECIPE = "1"
GIGABYTES = 12

BARE = (
    "acl",
    "attr",
    "bsdextrautils",
    "ca-certificates",
    "cron",
    "curl",
    "dbus",
    "e2fsprogs",
    "file",
    "ifupdown",
    "iproute2",
    "iputils-arping",
    "iputils-ping",
    "less",
    "libcap2-bin",
    "libfaketime",
    "libpam-systemd",
    "locales",
    "lsof",
    "netcat-openbsd",
    "nftables",
    "openssh-server",
    "procps",
    "psmisc",
    "python3",
    "rsync",
    "strace",
    "sudo",
    "systemd",
    "systemd-container",
    "systemd-sysv",
    "tcpdump",
)
SERVER = (
    "apache2",
    "dovecot-imapd",
    "mariadb-server",
    "postfix",
    "postgresql",
    "samba",
    "smbclient",
)

FILE_SYSTEMS = ("ext4", "xfs", "btrfs")

# An ext4 checksum seed lets a copy have a UUID of its own without being rewritten.
_MAKE = {
    "ext4": ["mkfs.ext4", "-q", "-O", "metadata_csum_seed", "-L", "root"],
    "xfs": ["mkfs.xfs", "-q", "-L", "root"],
    "btrfs": ["mkfs.btrfs", "-q", "-L", "root"],
}
_OWN_UUID = {
    "ext4": ["tune2fs", "-U", "random"],
    "xfs": ["xfs_admin", "-U", "generate"],
    "btrfs": ["btrfstune", "-f", "-m"],
}
# Debian's installer puts a btrfs root into this subvolume. No barriers: what a loop device has taken is in its file,
# which a power cut copies as it is (Host.kill), whether or not the pool's own log was made safe for it each time.
MOUNT_OPTIONS = {"ext4": "loop,barrier=0", "xfs": "loop", "btrfs": "loop,subvol=@rootfs"}

_PRESEED = """\
postfix postfix/main_mailer_type select Internet with smarthost
postfix postfix/mailname string lab.example
postfix postfix/relayhost string [10.77.0.100]
"""

# e2scrub_reap runs at idle priority: on a busy machine every boot would wait for it.
_HOOK = r"""
root=$1
ln -s /dev/null "$root/etc/systemd/system/e2scrub_reap.service"
sed -i 's/^# *en_US.UTF-8/en_US.UTF-8/' "$root/etc/locale.gen"
chroot "$root" locale-gen >/dev/null
echo LANG=en_US.UTF-8 >"$root/etc/default/locale"
rm -f "$root"/etc/apt/sources.list "$root"/etc/apt/sources.list.d/* "$root/usr/sbin/policy-rc.d"
rm -f "$root"/etc/ssh/ssh_host_*
: >"$root/etc/machine-id"
rm -f "$root/etc/hostname"
"""

_BARE = r"""
set -eu
mount -o loop "$IMAGE" "$ROOT"
mmdebstrap --quiet --variant=important --skip=essential/unlink --include="$PACKAGES" \
    --aptopt='Apt::Keep-Downloaded-Packages "true"' --dpkgopt=force-unsafe-io \
    --setup-hook='mkdir -p "$1/var/cache/apt/archives"' \
    --customize-hook="sync-out /var/cache/apt/archives $ARCHIVES" \
    --customize-hook="$HOOK" \
    "$SUITE" "$ROOT" "$SOURCES"
cp "$ROOT/var/lib/dpkg/status" "$STATUS"
umount "$ROOT"
"""

_SERVER = r"""
set -eu
mount -o loop "$IMAGE" "$ROOT"
mount --rbind /dev "$ROOT/dev"
mount -t proc proc "$ROOT/proc"
mkdir "$ROOT/mnt/debs"
mount --bind "$REPOSITORY" "$ROOT/mnt/debs"
echo 'deb [trusted=yes] file:/mnt/debs ./' >"$ROOT/etc/apt/sources.list.d/build.list"
printf '#!/bin/sh\nexit 101\n' >"$ROOT/usr/sbin/policy-rc.d"
chmod 755 "$ROOT/usr/sbin/policy-rc.d"
hostname master
printf '127.0.0.1 localhost\n127.0.1.1 master.lab.example master\n' >"$ROOT/etc/hosts"
echo master >"$ROOT/etc/hostname"
inside() { chroot "$ROOT" env -i PATH="$PATH" HOME=/root LANG=en_US.UTF-8 DEBIAN_FRONTEND=noninteractive "$@"; }
printf %s "$PRESEED" | inside debconf-set-selections
inside apt-get -q update
inside apt-get -qy -o Dpkg::Options::=--force-unsafe-io install $PACKAGES
rm -rf "$ROOT"/var/lib/apt/lists/* "$ROOT"/var/cache/apt/*.bin
rm -f "$ROOT/etc/apt/sources.list.d/build.list" "$ROOT/usr/sbin/policy-rc.d" "$ROOT"/etc/ssh/ssh_host_*
: >"$ROOT/etc/machine-id"
umount "$ROOT/mnt/debs"
rmdir "$ROOT/mnt/debs"
umount -l "$ROOT/dev" "$ROOT/proc"
umount "$ROOT"
"""

_CONVERT = r"""
set -eu
mkdir -p "$ROOT/from" "$ROOT/to"
mount -o loop,ro "$FROM" "$ROOT/from"
mount -o loop "$IMAGE" "$ROOT/to"
to=$ROOT/to
if [ "$FS" = btrfs ]; then btrfs -q subvolume create "$to/@rootfs"; to=$to/@rootfs; fi
rsync -aHAXS --numeric-ids --exclude=/lost+found "$ROOT/from/" "$to/"
umount "$ROOT/from" "$ROOT/to"
"""


@dataclass(frozen=True, slots=True)
class Base:
    """One base image: which server, on which file system. All are equally large; a host's disk may be made larger."""

    kind: str
    fs: str = "ext4"

    @property
    def key(self) -> str:
        """The hash of all that decides what is inside."""
        recipe = [RECIPE, *BARE, _HOOK, _BARE]
        if self.kind == "server":
            recipe += [*SERVER, _PRESEED, _SERVER]
        return hashlib.sha256("\n".join(recipe).encode()).hexdigest()[:12]

    @property
    def file(self) -> Path:
        """Where it lies on the pool."""
        return POOL / "base" / f"{self.kind}-{self.key}-{GIGABYTES}G.{self.fs}"


def build(base: Base) -> Path:
    """Return the file of a base image, building it and what it stands on if this machine has it not yet."""
    open_pool()
    if not base.file.exists():
        with locked("images"):
            _build(base)
    return base.file


def bare_status() -> Path:
    """The dpkg status of a bare host: against it the repository knows what a host would have to fetch."""
    return CACHE / f"{Base('bare').key}.status"


def give_own_uuid(image: Path, fs: str) -> None:
    """Make the copy of a base image a disk of its own: two of one UUID cannot be told apart, nor mounted together."""
    run([*_OWN_UUID[fs], image], input="y\n")


def _build(base: Base) -> None:
    if base.file.exists():
        return
    if base.fs != "ext4":
        _convert(base)
    elif base.kind == "server":
        _build_server(base)
    else:
        _build_bare(base)


def _build_bare(base: Base) -> None:
    sources = repository.write_sources()
    with phase("build the base image of a bare server"):
        half = _fresh(base)
        _in_private_mounts(
            _BARE,
            IMAGE=half,
            PACKAGES=",".join(BARE),
            ARCHIVES=repository.ARCHIVES,
            HOOK=_HOOK,
            SUITE=repository.suite(),
            SOURCES=sources,
            STATUS=bare_status(),
        )
        _publish(half, base)


def _build_server(base: Base) -> None:
    bare = Base("bare")
    _build(bare)
    with phase("fetch the applications' packages"):
        repository.fetch(SERVER, bare_status())
    with phase("build the base image with the applications"):
        half = base.file.with_suffix(".new")
        half.unlink(missing_ok=True)
        run(["cp", "--reflink=always", bare.file, half])
        _in_private_mounts(
            _SERVER,
            IMAGE=half,
            REPOSITORY=repository.DEBS,
            PRESEED=_PRESEED,
            PACKAGES=" ".join(SERVER),
        )
        _publish(half, base)


def _convert(base: Base) -> None:
    source = Base(base.kind)
    _build(source)
    with phase(f"copy the base image to {base.fs}"):
        half = _fresh(base)
        _in_private_mounts(_CONVERT, FROM=source.file, IMAGE=half, FS=base.fs)
        _publish(half, base)


def _publish(half: Path, base: Base) -> None:
    """Put a finished image in its place, and forget all but the last of its predecessors."""
    half.rename(base.file)
    alike = base.file.parent.glob(f"{base.kind}-*-{GIGABYTES}G.{base.fs}")
    for old in sorted(alike, key=lambda file: file.stat().st_mtime)[:-2]:
        old.unlink()


def _fresh(base: Base) -> Path:
    half = base.file.with_suffix(".new")
    half.unlink(missing_ok=True)
    with half.open("wb") as file:
        file.truncate(GIGABYTES << 30)
    run([*_MAKE[base.fs], half])
    return half


def _in_private_mounts(script: str, **variables: str | Path) -> None:
    root = CACHE / "build"
    root.mkdir(parents=True, exist_ok=True)
    env = {"PATH": os.environ["PATH"], "HOME": "/root", "LANG": "C.UTF-8", "ROOT": str(root)}
    env |= {name: os.environ[name] for name in os.environ if name.lower().endswith("_proxy")}
    env |= {name: str(value) for name, value in variables.items()}
    private = ["unshare", "--mount", "--uts", "--pid", "--fork", "--kill-child", "--propagation", "slave"]
    done = run([*private, "sh", "-c", script], env=env, check=False)
    if done.returncode != 0:
        raise LabError(f"building an image failed\n{(done.stdout + done.stderr)[-6000:]}")
