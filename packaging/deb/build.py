"""Builds the Debian package: one file in dist/, its path on stdout.

The order: libraries that we ship (cached by their lock file) -> our wheel -> the tree as it will lie on a server ->
the control files -> dpkg-deb. Nothing that went in changed: the package of the last time is the answer.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
import tomllib
import zipfile
from email.parser import Parser
from pathlib import Path

from environment import BUILD, INSTALLED, INTERNAL, PYTHON, ROOT, age, compile_tree, digest, run, run_libraries, tools

HERE = Path(__file__).resolve().parent
VENV = "usr/lib/hotsync/venv"
ESMITH = ("config", "db", "signal-event")
"""Commands that also have their original's path, /sbin/e-smith."""

FOLDERS = {
    "var/lib/hotsync": 0o700,
    "etc/hotsync/profiles.d": 0o755,
    "etc/hotsync/events": 0o755,
    "etc/hotsync.d": 0o755,
    "etc/backup-data.d": 0o755,
    "etc/backup-config.d": 0o755,
}

HELD_NETWORK = (
    "networking.service", "ifup@.service", "ifupdown-wait-online.service",
    "NetworkManager.service", "NetworkManager-wait-online.service",
    "systemd-networkd.service", "systemd-networkd.socket", "systemd-networkd-wait-online.service",
    "dhcpcd.service", "network.service",
)  # fmt: skip
"""What sets up a network: on a MASTER that holds itself it does not start. The flag is of one boot, and in /run."""

HELD_TEXT = """# Written by HotSync: a MASTER that was superseded takes none of its addresses (docs/decisions/0122).
[Unit]
ConditionPathExists=!/run/hotsync/held
"""

AT_BOOT = {"hotsync-guard.service": "sysinit.target"}
"""Units that every boot runs, whatever is enabled: their own conditions say whether there is something to do."""

DEPENDS = (
    "python3.11",  # the venv's interpreter, by exactly this name
    "libpython3.11-stdlib",
    "debconf (>= 0.5) | debconf-2.0",
    "systemd (>= 249)",
    "rsync (>= 3.2)",
    "iproute2",
    "iputils-arping",
    "iputils-ping",
    "nftables",
    "acl",
    "attr",
    "e2fsprogs",
    "mount",
    "passwd",
    "systemd-container",  # the drill's sandbox
    "tar",
    "tdb-tools",
    "xz-utils",
)


def version() -> str:
    """Return hotsync.__version__, without importing anything."""
    text = (ROOT / "src/hotsync/__init__.py").read_text()
    found = re.search(r'^__version__ = "([^"]+)"', text, re.MULTILINE)
    if found is None:
        raise SystemExit("package: src/hotsync/__init__.py names no __version__")
    return found[1]


def epoch() -> int:
    """Return the time of every file of ours: SOURCE_DATE_EPOCH, else the last commit's, else the last change's."""
    if given := os.environ.get("SOURCE_DATE_EPOCH"):
        return int(given)
    asked = subprocess.run(
        ["git", "-c", f"safe.directory={ROOT}", "log", "-1", "--format=%ct"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    ) if shutil.which("git") else None  # fmt: skip
    if asked is not None and asked.returncode == 0 and asked.stdout.strip():
        return int(asked.stdout)
    return int((ROOT / "pyproject.toml").stat().st_mtime)


def launcher(target: str) -> str:
    """Given `module:function`, return a program that calls it, deaf to the caller's Python environment."""
    module, _, function = target.partition(":")
    return (
        f"#!/{VENV}/bin/python -I\nimport sys\n\nfrom {module} import {function}\n\n"
        f'if __name__ == "__main__":\n    sys.exit({function}())\n'
    )


def write(path: Path, text: str, mode: int = 0o644) -> None:
    """Write a file of the tree with its folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)


def wheel(seconds: int) -> Path:
    """Build our wheel and return it."""
    out = BUILD / "wheel"
    shutil.rmtree(out, ignore_errors=True)
    env = {"PYTHONPATH": str(tools()), "SOURCE_DATE_EPOCH": str(seconds)}
    run(PYTHON, "-m", "hatchling", "build", "--target", "wheel", "--directory", out, env=env)
    return next(out.glob("*.whl"))


def stage_venv(tree: Path, seconds: int) -> Path:
    """Put the venv into the tree: the interpreter by link, the libraries, our wheel; return its site-packages."""
    site = tree / INSTALLED.lstrip("/")
    shutil.copytree(run_libraries(), site, copy_function=os.link)
    ours = BUILD / "ours"
    shutil.rmtree(ours, ignore_errors=True)
    with zipfile.ZipFile(wheel(seconds)) as file:
        file.extractall(ours)
    age(ours, seconds)
    compile_tree(ours, INSTALLED)
    shutil.copytree(ours, site, dirs_exist_ok=True)
    write(tree / VENV / "pyvenv.cfg", "home = /usr/bin\ninclude-system-site-packages = false\nversion = 3.11\n")
    (tree / VENV / "bin").mkdir()
    (tree / VENV / "bin/python").symlink_to(PYTHON)
    (tree / VENV / "bin/python3").symlink_to("python")
    return site


def stage_commands(tree: Path) -> None:
    """Put the launchers of all commands into the tree."""
    scripts: dict[str, str] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    for name, target in scripts.items():
        write(tree / ("usr/lib/hotsync/bin" if name in INTERNAL else "usr/bin") / name, launcher(target), 0o755)
    for path in (HERE / "helpers").iterdir():
        write(tree / "usr/lib/hotsync/bin" / path.name, path.read_text(), 0o755)
    (tree / "sbin/e-smith").mkdir(parents=True)
    for name in ESMITH:
        (tree / "sbin/e-smith" / name).symlink_to(f"/usr/bin/{name}")


def units() -> list[str]:
    """Return the names of our units, timers first: the order in which they are stopped."""
    found = [path for kind in ("timer", "path", "socket", "service") for path in (ROOT / "systemd").glob(f"*.{kind}")]
    return [path.name for path in sorted(found, key=lambda path: path.suffix not in (".timer", ".path"))]


def stage_data(tree: Path, seconds: int, site: Path) -> None:
    """Put units, documents, man pages, completion and the empty folders into the tree."""
    for name in units():
        write(tree / "lib/systemd/system" / name, (ROOT / "systemd" / name).read_text())
    for name in HELD_NETWORK:
        write(tree / f"lib/systemd/system/{name}.d/hotsync-held.conf", HELD_TEXT)
    write(tree / "usr/lib/tmpfiles.d/hotsync.conf", (HERE / "tmpfiles.conf").read_text())
    for name, target in AT_BOOT.items():
        link = tree / f"lib/systemd/system/{target}.wants/{name}"
        link.parent.mkdir(parents=True)
        link.symlink_to(f"../{name}")
    for name, mode in FOLDERS.items():
        (tree / name).mkdir(parents=True)
        (tree / name).chmod(mode)
    docs = tree / "usr/share/doc/hotsync"
    write(docs / "copyright", (HERE / "copyright.in").read_text().replace("@LIBRARIES@", libraries(site)))
    changelog = ROOT / "CHANGELOG.md"
    if changelog.exists():
        with gzip.GzipFile(docs / "changelog.gz", "wb", mtime=0) as file:
            file.write(changelog.read_bytes())
    for page in sorted([*(ROOT / "docs").glob("*.md"), *(ROOT / "docs").glob("*.json")]):
        write(docs / page.name, page.read_text())
    date = time.strftime("%Y-%m-%d", time.gmtime(seconds))
    run(PYTHON, "-E", "-s", "-B", HERE / "papers.py", tree, version(), date, site, tools())


def libraries(site: Path) -> str:
    """Given the site-packages, return the list of the libraries with their licences, for the copyright file."""
    lines = []
    for metadata in sorted(site.glob("*.dist-info/METADATA")):
        head = Parser().parsestr(metadata.read_text(errors="replace"), headersonly=True)
        if head["Name"] == "hotsync":
            continue
        words = [line.rpartition("::")[2].strip() for line in head.get_all("Classifier", []) if "License ::" in line]
        licence = head["License-Expression"] or ", ".join(words) or str(head["License"]).splitlines()[0]
        lines.append(f"  {head['Name']} {head['Version']}: {licence}")
    return "\n".join(lines)


def write_control(tree: Path, package_version: str) -> None:
    """Write the control files: who we are, what we need, what runs at installation and removal."""
    control = tree / "DEBIAN"
    control.mkdir()
    control.chmod(0o755)
    files = sorted(p for p in tree.rglob("*") if p.is_file() and not p.is_symlink() and control not in p.parents)
    values = {
        "VERSION": package_version,
        "ARCHITECTURE": subprocess.check_output(["dpkg", "--print-architecture"], text=True).strip(),
        "SIZE": str(sum((p.stat().st_size + 1023) // 1024 for p in files)),
        "DEPENDS": ", ".join(DEPENDS),
        "UNITS": " ".join(f"'{name.replace('@.', '@*.')}'" for name in units()) or "''",
    }
    for path in (HERE / "control").iterdir():
        text = re.sub("@([A-Z]+)@", lambda found: values[found[1]], path.read_text())
        write(control / path.name.removesuffix(".in"), text, 0o755 if text.startswith("#!") else 0o644)
    sums = "".join(f"{hashlib.md5(p.read_bytes()).hexdigest()}  {p.relative_to(tree)}\n" for p in files)
    write(control / "md5sums", sums)


def build(package_version: str, out: Path) -> Path:
    """Build the package, or find that it is built already; return it."""
    inputs = [
        ROOT / name
        for name in ("src", "systemd", "packaging", "lock", "docs", "pyproject.toml", "CHANGELOG.md", "README.md")
    ]
    seconds = epoch()
    key = digest(*(path for path in inputs if path.exists()), salt=f"{package_version} {seconds}")
    stamp = BUILD / f"{out.name}.deb.key"
    packages = list(out.glob("hotsync_*.deb"))
    if len(packages) == 1 and stamp.exists() and stamp.read_text() == key:
        return packages[0]
    for path in packages:
        path.unlink()
    tree = BUILD / "deb"
    shutil.rmtree(tree, ignore_errors=True)
    site = stage_venv(tree, seconds)
    stage_commands(tree)
    stage_data(tree, seconds, site)
    write_control(tree, package_version)
    out.mkdir(exist_ok=True)
    run(
        "dpkg-deb", "--root-owner-group", "-Zzstd", "-z3", "--build", tree, out, env={"SOURCE_DATE_EPOCH": str(seconds)}
    )
    stamp.write_text(key)
    return next(out.glob("hotsync_*.deb"))


def main() -> None:
    """Read the command line, build, print the path."""
    parser = argparse.ArgumentParser(prog="script/package deb")
    parser.add_argument("--version", default=version(), help="another version than the program's own, for tests")
    parser.add_argument("--out", type=Path, default=ROOT / "dist", help="where the package goes (default: dist)")
    options = parser.parse_args()
    os.umask(0o022)
    BUILD.mkdir(exist_ok=True)
    sys.stdout.flush()
    answer = os.dup(1)
    os.dup2(2, 1)
    package = build(options.version, options.out.resolve())
    os.write(answer, f"{package}\n".encode())


if __name__ == "__main__":
    main()
