"""What makes a copy of the base image this host: its name, its network, its sources, its keys."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from lab import repository
from lab.command import run
from lab.image import MOUNT_OPTIONS
from lab.network import CLIENT_ADDRESS, Nic

DOMAIN = "lab.example"
NETWORKS = ("ifupdown", "networkd")

_SCRIPT = r"""
set -eu
if [ "$FS" = ext4 ]; then resize2fs -f "$IMAGE"; fi
mount -o "$OPTIONS" "$IMAGE" "$ROOT"
case $FS in
xfs) xfs_growfs "$ROOT" ;;
btrfs) btrfs filesystem resize max "$ROOT" ;;
esac
cp -rT "$FACE" "$ROOT"
chroot "$ROOT" ssh-keygen -q -A
if [ "$NETWORK" = networkd ]; then chroot "$ROOT" systemctl -q enable systemd-networkd.service; fi
umount "$ROOT"
"""


def face(host: str, nics: Sequence[Nic], network: str) -> dict[str, str]:
    """Given a host's name and cards, return the files that are its own, path by path."""
    own = [nic for nic in nics if nic.host == host]
    address = own[0].address.partition("/")[0]
    files = {
        "etc/hostname": f"{host}\n",
        "etc/hosts": f"127.0.0.1\tlocalhost\n{address}\t{host}.{DOMAIN} {host}\n"
        "::1\tlocalhost ip6-localhost ip6-loopback\nff02::1\tip6-allnodes\nff02::2\tip6-allrouters\n",
        "etc/resolv.conf": f"search {DOMAIN}\nnameserver {CLIENT_ADDRESS}\n",
        "etc/apt/sources.list.d/lab.sources": repository.source_list(),
        "etc/network/interfaces": _interfaces(own if network == "ifupdown" else ()),
    }
    if network == "networkd":
        files |= {f"etc/systemd/network/10-{nic.name}.network": _networkd(nic) for nic in own if nic.address}
    return files


def put_on(files: dict[str, str], image: Path, fs: str, network: str, folder: Path) -> None:
    """Write a host's own files into its disk, and make its ssh keys; `folder` holds what is needed meanwhile."""
    face_folder, root = folder / "face", folder / "root"
    root.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        path = face_folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    keyring = face_folder / "etc/apt/keyrings/lab.gpg"
    keyring.parent.mkdir(parents=True, exist_ok=True)
    keyring.write_bytes(repository.KEYRING.read_bytes())
    variables = {
        "OPTIONS": MOUNT_OPTIONS[fs],
        "IMAGE": image,
        "ROOT": root,
        "FACE": face_folder,
        "FS": fs,
        "NETWORK": network,
    }
    env = {"PATH": os.environ["PATH"], **{name: str(value) for name, value in variables.items()}}
    run(["unshare", "--mount", "--propagation", "slave", "sh", "-c", _SCRIPT], env=env)


def _interfaces(nics: Sequence[Nic]) -> str:
    text = "source /etc/network/interfaces.d/*\n\nauto lo\niface lo inet loopback\n"
    for nic in nics:
        if nic.address:
            text += f"\nauto {nic.name}\niface {nic.name} inet static\n    address {nic.address}\n"
            if nic is nics[0]:
                text += f"    gateway 10.77.0.254\n    dns-nameservers {CLIENT_ADDRESS}\n    dns-search {DOMAIN}\n"
    return text


def _networkd(nic: Nic) -> str:
    text = f"[Match]\nName={nic.name}\n\n[Network]\nAddress={nic.address}\nIPv6AcceptRA=no\n"
    if nic.switch == "lan":
        text += f"Gateway=10.77.0.254\nDNS={CLIENT_ADDRESS}\nDomains={DOMAIN}\n"
    return text
