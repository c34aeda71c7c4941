"""A throw-away root with its own dpkg and apt, and a repository of small packages made on the spot."""

from __future__ import annotations

import subprocess
from pathlib import Path

from hotsync.system.paths import Paths

_FOLDERS = (
    "etc/apt/sources.list.d", "etc/apt/preferences.d", "etc/apt/apt.conf.d", "etc/apt/trusted.gpg.d",
    "etc/systemd/system", "var/lib/dpkg/info", "var/lib/dpkg/updates", "var/lib/dpkg/triggers",
    "var/lib/apt/lists/partial", "var/cache/apt/archives/partial", "var/log/apt", "var/lib/hotsync", "tmp", "usr/sbin",
)  # fmt: skip


class AptRoot:
    """The root, and what its repository offers."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "root"
        self.repository = folder / "repository"
        self._builds = folder / "builds"
        self.repository.mkdir(parents=True)
        for name in _FOLDERS:
            (self.root / name).mkdir(parents=True)
        (self.root / "var/lib/dpkg/status").touch()
        source = f"deb [trusted=yes] file:{self.repository} ./\n"
        (self.root / "etc/apt/sources.list").write_text(source)
        self.paths = Paths(self.root)

    def offer(
        self, name: str, version: str = "1.0", *, units: tuple[str, ...] = (), failing: str = "", **fields: str
    ) -> Path:
        """Put a package into the repository and return its file; fields are control fields, `_` for `-`; `failing` is
        the script of its own that fails."""
        build = self._builds / f"{name}_{version}"
        (build / "DEBIAN").mkdir(parents=True)
        control = {
            "Package": name, "Version": version, "Architecture": "all", "Maintainer": "A Test <test@example.org>",
            "Description": "a package of a test", **{key.replace("_", "-"): value for key, value in fields.items()},
        }  # fmt: skip
        (build / "DEBIAN/control").write_text("".join(f"{key}: {value}\n" for key, value in control.items()))
        if failing:
            (build / "DEBIAN" / failing).write_text("#!/bin/sh\nexit 1\n")
            (build / "DEBIAN" / failing).chmod(0o755)
        for unit in units:
            place = build / "lib/systemd/system" / unit
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text("[Service]\nExecStart=/bin/true\n")
        (build / "usr/share" / name).mkdir(parents=True)
        (build / "usr/share" / name / "version").write_text(version)
        sums = subprocess.run(["md5sum", f"usr/share/{name}/version"], cwd=build, check=True, capture_output=True)
        (build / "DEBIAN/md5sums").write_bytes(sums.stdout)
        file = self.repository / f"{name}_{version}_{control['Architecture']}.deb"
        subprocess.run(["dpkg-deb", "--build", "--root-owner-group", build, file], check=True, capture_output=True)
        self.publish()
        return file

    def withdraw(self, name: str) -> None:
        """Take a package out of the repository."""
        for file in self.repository.glob(f"{name}_*.deb"):
            file.unlink()
        self.publish()

    def publish(self) -> None:
        """Write the repository's index."""
        index = subprocess.run(
            ["apt-ftparchive", "packages", "."], cwd=self.repository, check=True, capture_output=True
        )
        (self.repository / "Packages").write_bytes(index.stdout)

    def install(self, name: str, version: str = "1.0") -> None:
        """Install a package as if it had always been here."""
        file = self.offer(name, version)
        argv = ["dpkg", f"--root={self.root}", "--force-depends", "--install", str(file)]
        subprocess.run(argv, check=True, capture_output=True)

    def hold(self, name: str) -> None:
        """Mark an installed package so that it must not change."""
        argv = ["dpkg", f"--root={self.root}", "--set-selections"]
        subprocess.run(argv, input=f"{name} hold\n".encode(), check=True)
