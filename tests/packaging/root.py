"""A throw-away Debian 12 below a folder: the smallest that a server can be, without network or running systemd."""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

CACHE = Path(os.environ.get("HOTSYNC_LAB_CACHE", "/var/cache/hotsync-lab")) / "packaging"
SUITE = "bookworm"

_ENTER = """
mount --make-rprivate /
mount --bind "$ROOT" "$ROOT"
mount -t proc proc "$ROOT/proc"
mount -t tmpfs tmpfs "$ROOT/run"
exec chroot "$ROOT" "$@"
"""

_ENVIRONMENT = {
    "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LC_ALL": "C.UTF-8",
    "DEBIAN_FRONTEND": "noninteractive",
}


@dataclass(frozen=True, slots=True)
class Root:
    """One such system; every command runs in mount, process and network namespaces of its own."""

    path: Path

    def run(self, *argv: str, ok: bool = True, **env: str) -> subprocess.CompletedProcess[str]:
        """Run a command inside; with `ok`, a failure fails the test with all that was said."""
        line = [
            "unshare",
            "--mount",
            "--uts",
            "--pid",
            "--net",
            "--fork",
            "--kill-child",
            "sh",
            "-euc",
            _ENTER,
            "sh",
            *argv,
        ]
        done = subprocess.run(
            line,
            env={**_ENVIRONMENT, "ROOT": str(self.path), **env},
            capture_output=True,
            stdin=subprocess.DEVNULL,
            text=True,
            check=False,
        )
        if ok and done.returncode != 0:
            raise AssertionError(f"{argv} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")
        return done

    def apt(self, *argv: str, ok: bool = True) -> subprocess.CompletedProcess[str]:
        """Run apt-get inside, without asking."""
        return self.run("apt-get", "-q", "-y", *argv, ok=ok)

    def install(self, package: Path) -> subprocess.CompletedProcess[str]:
        """Install a package file as a user would."""
        target = self.path / "root" / package.name
        target.write_bytes(package.read_bytes())
        return self.apt("install", "--reinstall", f"/root/{package.name}")

    def at(self, path: str) -> Path:
        """Return where an absolute path of the system lies."""
        return self.path / path.lstrip("/")

    def files(self) -> set[str]:
        """Return every path of the system but what a package manager writes anyway."""
        aside = ("/root/", "/proc/", "/run/", "/var/cache/", "/var/log/", "/var/lib/apt/", "/var/lib/dpkg/", "/tmp/")
        found: set[str] = set()
        for folder, folders, names in os.walk(self.path):
            inside = "/" + os.path.relpath(folder, self.path)
            found |= {os.path.normpath(f"{inside}/{name}") for name in (*folders, *names)}
        return {path for path in found if not path.startswith(aside)}


def base(depends: str) -> Path:
    """Given the package's dependencies, return the archive of a system that has these and nothing else; made once."""
    names = [words.split("|")[0].split("(")[0].strip() for words in depends.split(",")]
    key = hashlib.sha256(" ".join([SUITE, *sorted(names)]).encode()).hexdigest()[:12]
    archive = CACHE / f"base-{key}.tar"
    if not archive.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        fresh = archive.with_suffix(f".{os.getpid()}.tar")
        include = ",".join([*names, "systemd-sysv"])
        subprocess.run(
            ["mmdebstrap", "--quiet", "--variant=important", f"--include={include}", SUITE, fresh], check=True
        )
        for old in CACHE.glob("base-*.tar"):
            if old != fresh:
                old.unlink()
        fresh.rename(archive)
    return archive


def unpack(archive: Path, folder: Path) -> Path:
    """Unpack the archive of a system into a new folder, and return that."""
    folder.mkdir()
    subprocess.run(["tar", "-C", folder, "-xf", archive, "--numeric-owner", "--xattrs"], check=True)
    return folder


@contextmanager
def in_memory(folder: Path) -> Iterator[Path]:
    """A new folder whose files are in memory; at the end of the block they are gone."""
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)
        folder.rmdir()


@contextmanager
def layered(folder: Path, *below: Path) -> Iterator[Root]:
    """A system that begins as the folders `below`, the first of them on top; what it changes is in `folder`/upper."""
    root, upper, work = (folder / name for name in ("root", "upper", "work"))
    for each in (root, upper, work):
        each.mkdir()
    layers = f"lowerdir={':'.join(map(str, below))},upperdir={upper},workdir={work}"
    subprocess.run(["mount", "-t", "overlay", "-o", layers, "overlay", root], check=True)
    try:
        yield Root(root)
    finally:
        subprocess.run(["umount", "--lazy", root], check=True)
