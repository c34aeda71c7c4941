"""A throw-away root with its own rpm and dnf, and a repository of small packages made on the spot."""

from __future__ import annotations

import platform
import subprocess
from pathlib import Path

from hotsync.system.paths import Paths

_SPEC = """\
Name: {name}
Epoch: {epoch}
Version: {version}
Release: {release}
Summary: a package of a test
License: none
{more}
%description
A package of a test.
%install
for unit in {units}; do install -D /dev/null %{{buildroot}}/usr/lib/systemd/system/$unit; done
mkdir -p %{{buildroot}}/usr/share/{name}
{scripts}
%files
/usr/share/{name}
{files}
"""

_MODULE = """\
---
document: modulemd
version: 2
data:
  name: {name}
  stream: "{stream}"
  version: 1
  context: c0ffee
  arch: {architecture}
  summary: a module of a test
  description: a module of a test
  license:
    module: [none]
  dependencies:
  - requires: {{{requires}}}
  artifacts:
    rpms: [{files}]
...
"""


class DnfRoot:
    """The root, and what its repository offers."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "root"
        self.repository = folder / "repository"
        self._builds = folder / "builds"
        self._modules: dict[tuple[str, str], str] = {}
        for place in (
            "etc/yum.repos.d",
            "etc/dnf",
            "etc/systemd/system",
            "var/lib/hotsync",
            "var/lib/rpm",
            "usr",
            "root",
        ):
            (self.root / place).mkdir(parents=True)
        # Debian's rpm keeps its database in a home
        (self.root / "root/.rpmdb").symlink_to("../var/lib/rpm")
        self._builds.mkdir()
        self.repository.mkdir()
        (self.root / "etc/dnf/dnf.conf").write_text("[main]\ngpgcheck=0\nmodule_platform_id=platform:el9\n")
        self.serve_from(f"file://{self.repository}")
        self.publish()
        self.paths = Paths(self.root)
        subprocess.run(["rpm", "--root", self.root, "--initdb"], check=True, env={"HOME": "/root", "PATH": "/usr/bin"})

    def serve_from(self, address: str) -> None:
        """Let the root take packages from here."""
        text = f"[test]\nname=Test\nbaseurl={address}\nenabled=1\n"
        (self.root / "etc/yum.repos.d/test.repo").write_text(text)

    def offer(
        self, name: str, version: str = "1.0-1", *, units: tuple[str, ...] = (), scripts: str = "", **fields: str
    ) -> Path:
        """Put a package into the repository and return its file; fields are those of a spec."""
        epoch, _, rest = version.rpartition(":")
        number, _, release = rest.partition("-")
        architecture = fields.pop("Architecture", "noarch")
        more = [f"{key}: {value}" for key, value in fields.items()]
        more += ["BuildArch: noarch"] if architecture == "noarch" else []
        spec = self._builds / f"{name}.spec"
        spec.write_text(
            _SPEC.format(
                name=name, epoch=epoch or "0", version=number, release=release, more="\n".join(more), scripts=scripts,
                units=" ".join(units) or "''", files="\n".join(f"/usr/lib/systemd/system/{unit}" for unit in units),
            ).replace("for unit in ''; do", "for unit in; do")
        )  # fmt: skip
        argv = ["rpmbuild", "-bb", "--quiet", "--define", f"_topdir {self._builds}"]
        argv += [
            "--define",
            f"_rpmdir {self.repository}",
            "--define",
            "_build_name_fmt %%{NAME}-%%{VERSION}-%%{RELEASE}.%%{ARCH}.rpm",
        ]
        argv += ["--target", architecture if architecture != "noarch" else platform.machine()]
        subprocess.run([*argv, spec], check=True, capture_output=True)
        self.publish()
        return self.repository / f"{name}-{number}-{release}.{architecture}.rpm"

    def offer_module(self, name: str, stream: str, *packages: tuple[str, str], requires: str = "") -> None:
        """Put a stream of a module with its packages (name, version) into the repository."""
        for package, version in packages:
            self.offer(package, version, ModularityLabel=f"{name}:{stream}:1:c0ffee")
        files = (f'"{package}-{version if ":" in version else f"0:{version}"}.noarch"' for package, version in packages)
        self._modules[name, stream] = _MODULE.format(
            name=name, stream=stream, architecture=platform.machine(), requires=requires, files=", ".join(files)
        )
        self.publish()

    def withdraw_module(self, name: str, stream: str) -> None:
        """Take a stream out of the repository; its packages stay, as those of no module."""
        del self._modules[name, stream]
        self.publish()

    def withdraw(self, name: str) -> None:
        """Take a package out of the repository."""
        for file in self.repository.glob(f"{name}-*.rpm"):
            file.unlink()
        self.publish()

    def publish(self) -> None:
        """Write the repository's index."""
        subprocess.run(["createrepo_c", "--quiet", self.repository], check=True)
        if self._modules:
            modules = self._builds / "modules.yaml"
            modules.write_text("".join(self._modules.values()))
            argv = ["modifyrepo_c", "--mdtype=modules", str(modules), str(self.repository / "repodata")]
            subprocess.run(argv, check=True, capture_output=True)

    def install(self, name: str, version: str = "1.0-1") -> None:
        """Install a package as if it had always been here."""
        file = self.offer(name, version)
        argv = ["rpm", "--root", str(self.root), "--nodeps", "--nosignature", "-i", str(file)]
        subprocess.run(argv, check=True, capture_output=True, env={"HOME": "/root", "PATH": "/usr/bin:/bin"})
