"""The Python environments of the build: one that we ship, one that makes wheel and man pages; both are kept."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build"
PYTHON = "/usr/bin/python3.11"
INSTALLED = "/usr/lib/hotsync/venv/lib/python3.11/site-packages"
"""Where the libraries lie on the servers; bytecode names this place in tracebacks."""

INTERNAL = frozenset({"hotsyncd", "hotsync-receive", "hotsync-stream", "hotsync-watch", "hotsync-guard"})
"""Commands that only units and the package's own scripts call: not in anybody's PATH, and without a page."""

OLD = 315532800
"""1980: the time of every file that is not ours, so that the same lock makes the same bytes."""

_NEEDLESS_FOLDERS = frozenset({"tests", "test", "__pycache__"})
_NEEDLESS_FILES = frozenset({"RECORD", "INSTALLER", "REQUESTED", "direct_url.json", ".lock"})


def digest(*paths: Path, salt: str = "") -> str:
    """Given files and folders, return one short digest of their names and contents."""
    sum_ = hashlib.sha256(salt.encode())
    for path in paths:
        files = sorted(p for p in path.rglob("*") if p.is_file() and "__pycache__" not in p.parts)
        for file in files if path.is_dir() else [path]:
            sum_.update(str(file.relative_to(ROOT)).encode() + b"\0")
            sum_.update(str(file.stat().st_mode & 0o111).encode() + b"\0")
            sum_.update(hashlib.sha256(file.read_bytes()).digest())
    return sum_.hexdigest()[:16]


def run(*argv: str | Path, cwd: Path = ROOT, env: dict[str, str] | None = None) -> None:
    """Run a program of the build, its output to ours; a failure ends the build with the line that failed."""
    line = [str(word) for word in argv]
    done = subprocess.run(line, cwd=cwd, env={**os.environ, **(env or {})}, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        raise SystemExit(f"package: failed ({done.returncode}): {' '.join(line)}")


def run_libraries() -> Path:
    """Return the folder of the libraries that we ship: pinned, without tests, compiled; made once a lock file."""
    lock = ROOT / "lock/run.txt"
    place = BUILD / f"run-{digest(lock, Path(__file__))}"
    if not place.is_dir():
        fresh = _install(lock, place)
        _prune(fresh)
        age(fresh, OLD)
        compile_tree(fresh, INSTALLED)
        fresh.rename(place)
    return place


def tools() -> Path:
    """Return the folder of the libraries that build (hatchling, click-man), pinned; made once a lock file."""
    lock = ROOT / "lock/build.txt"
    place = BUILD / f"tools-{digest(lock)}"
    if not place.is_dir():
        _install(lock, place).rename(place)
    return place


def _install(lock: Path, place: Path) -> Path:
    fresh = place.with_suffix(".new")
    shutil.rmtree(fresh, ignore_errors=True)
    uv = os.environ.get("UV", str(ROOT / ".tools/bin/uv"))
    run(uv, "pip", "install", "--quiet", "--python", PYTHON, "--target", fresh, "--link-mode", "copy",
        "--no-deps", "--require-hashes", "--only-binary", ":all:", "-r", lock)  # fmt: skip
    return fresh


def _prune(tree: Path) -> None:
    shutil.rmtree(tree / "bin", ignore_errors=True)
    for path in sorted(tree.rglob("*"), reverse=True):
        if path.is_dir() and not path.is_symlink():
            if path.name in _NEEDLESS_FOLDERS:
                shutil.rmtree(path)
        elif path.name in _NEEDLESS_FILES or path.suffix in {".pyi", ".pyx", ".pxd", ".c", ".h"}:
            path.unlink(missing_ok=True)


def age(tree: Path, seconds: int) -> None:
    """Give every file below a folder the same time and the modes that a package has."""
    for path in tree.rglob("*"):
        if path.is_symlink():
            continue
        if path.is_file():
            path.chmod(0o644)
            os.utime(path, (seconds, seconds))
        else:
            path.chmod(0o755)
    tree.chmod(0o755)


def compile_tree(tree: Path, installed: str) -> None:
    """Compile every module below a folder, for the place where it will lie."""
    run(PYTHON, "-m", "compileall", "-q", "-f", "-j", "0", "--invalidation-mode", "timestamp",
        "-s", tree, "-p", installed, tree, env={"PYTHONHASHSEED": "0"})  # fmt: skip
