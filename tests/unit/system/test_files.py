"""Files that appear whole, and paths that somebody else named."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hotsync.system.files import sync_filesystem


def test_a_fifo_where_a_server_says_that_its_files_are_holds_nobody(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "data")
    sync_filesystem(tmp_path / "data")
    sync_filesystem(tmp_path)
    with pytest.raises(FileNotFoundError):
        sync_filesystem(tmp_path / "nowhere")
