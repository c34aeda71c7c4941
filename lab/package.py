"""HotSync's package, built from this checkout and installed as a user would."""

from __future__ import annotations

from pathlib import Path

from lab import image, repository
from lab.command import LabError, phase, run
from lab.host import Host
from lab.places import CHECKOUT, locked


def build() -> Path:
    """Build the package from this checkout and return the .deb; raise LabError if there is no way to build it yet."""
    script = CHECKOUT / "script" / "package"
    if not script.exists():
        raise LabError(f"{script} does not exist: `--no-package` makes a lab without HotSync")
    with phase("build the package"), locked("package"):
        lines = run([script, "deb"], cwd=CHECKOUT).stdout.strip().splitlines()
    deb = CHECKOUT / lines[-1] if lines else Path()
    if not deb.is_file():
        raise LabError(f"{script} deb did not name the package that it built, but said {lines[-1:]}")
    return deb


def fetch_needs(deb: Path) -> None:
    """Let the lab's repository hold what the package asks for."""
    repository.fetch_needs_of(deb, image.bare_status())


def install(deb: Path, host: Host) -> None:
    """Install it on a host as the README tells a user to."""
    with phase(f"install {deb.name} on {host.name}"):
        host.write(f"/root/{deb.name}", deb.read_bytes())
        host.run(["apt-get", "-q", "update"], timeout=300)
        host.run(
            ["apt-get", "install", "-qy", f"/root/{deb.name}"],
            env={"DEBIAN_FRONTEND": "noninteractive"},
            timeout=600,
        )
