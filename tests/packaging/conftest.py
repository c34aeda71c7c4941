"""The package and a clean system to put it into."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.packaging.root import Root, base, in_memory, layered, unpack

Layers = tuple[Path, ...]
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
def clean(package: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return the files of a system with what the package depends on and no more; nobody changes them."""
    if os.geteuid() != 0:
        pytest.skip("needs root")
    folder = unpack(base(field(package, "Depends")), tmp_path_factory.mktemp("clean") / "root")
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def installed(clean: Path, package: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Layers]:
    """Return the layers of a system on which HotSync was just installed; nobody changes them."""
    with in_memory(tmp_path_factory.mktemp("installed") / "memory") as folder:
        with layered(folder, clean) as root:
            root.install(package)
        yield folder / "upper", clean


@pytest.fixture
def clean_root(clean: Path, tmp_path: Path) -> Iterator[Root]:
    """Return a system without HotSync."""
    with in_memory(tmp_path / "memory") as folder, layered(folder, clean) as root:
        yield root


@pytest.fixture
def root(installed: Layers, tmp_path: Path) -> Iterator[Root]:
    """Return a system on which HotSync was just installed."""
    with in_memory(tmp_path / "memory") as folder, layered(folder, *installed) as root:
        yield root


@pytest.fixture(scope="session")
def seen(installed: Layers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Root]:
    """Return such a system for tests that only look; they share it."""
    with in_memory(tmp_path_factory.mktemp("seen") / "memory") as folder, layered(folder, *installed) as root:
        yield root
