"""The package and a clean system to put it into."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.packaging.root import Root, base, pack, unpack

PROJECT = Path(__file__).resolve().parents[2]


def build(out: Path, *options: str, project: Path = PROJECT) -> Path:
    """Build the package into a folder and return it, as whoever runs the script would."""
    words = [str(project / "script/package"), "deb", "--out", str(out), *options]
    done = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True)
    (line,) = done.stdout.splitlines()
    return Path(line)


@pytest.fixture(scope="session")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the package of this checkout."""
    return build(tmp_path_factory.mktemp("package"))


@pytest.fixture(scope="session")
def next_package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the same program as a later version."""
    return build(tmp_path_factory.mktemp("next-package"), "--version", "99.0")


def field(package: Path, name: str) -> str:
    """Return a field of a package's control file."""
    words = ["dpkg-deb", "--field", str(package), name]
    return subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()


@pytest.fixture(scope="session")
def clean_archive(package: Path) -> Path:
    """Return the archive of a system with what the package depends on and no more."""
    if os.geteuid() != 0:
        pytest.skip("needs root")
    return base(field(package, "Depends"))


@pytest.fixture
def clean_root(clean_archive: Path, tmp_path: Path) -> Iterator[Root]:
    """Return a system without HotSync."""
    root = unpack(clean_archive, tmp_path / "root")
    yield root
    shutil.rmtree(root.path)


@pytest.fixture(scope="session")
def installed(clean_archive: Path, package: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return the archive of a system on which HotSync was just installed; no test has it itself."""
    folder = tmp_path_factory.mktemp("installed")
    root = unpack(clean_archive, folder / "root")
    root.install(package)
    yield pack(root, folder / "installed.tar")
    shutil.rmtree(folder)


@pytest.fixture
def root(installed: Path, tmp_path: Path) -> Iterator[Root]:
    """Return a system on which HotSync was just installed."""
    root = unpack(installed, tmp_path / "root")
    yield root
    shutil.rmtree(root.path)


@pytest.fixture(scope="session")
def seen(installed: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Root]:
    """Return such a system for tests that only look; they share it."""
    root = unpack(installed, tmp_path_factory.mktemp("seen") / "root")
    yield root
    shutil.rmtree(root.path)
