from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hotsync.manifest.store import Manifest
from tests.unit.changes.support import Server


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    (tmp_path / "root").mkdir()
    (tmp_path / "work").mkdir()
    with Manifest(tmp_path / "work" / "manifest.db") as manifest:
        yield Server(tmp_path / "root", tmp_path / "work", manifest)
