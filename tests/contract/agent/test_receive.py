"""The confined receiver as a program of its own, with a hotsyncd that dies under it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from hotsync.agent.receive import Receive
from hotsync.transport.rsync import RsyncTerms
from hotsync.transport.wire import JSON_KIND, render_frame

pytestmark = pytest.mark.contract

TERMS = RsyncTerms(transfer="files", sender="3.2.7", symtimes=True, iconv=True, stall_seconds=5)
ORDER = render_frame(JSON_KIND, Receive(generation=1, terms=TERMS).model_dump_json().encode())


@pytest.mark.parametrize("said", [ORDER, ORDER[:7], b""], ids=["the whole order", "half of it", "nothing"])
def test_a_hotsyncd_that_died_is_told_in_one_line_and_nothing_is_received(tmp_path: Path, said: bytes) -> None:
    (tmp_path / "var/lib/hotsync/replica/staging/1").mkdir(parents=True, mode=0o700)
    ours, theirs = socket.socketpair()
    with theirs:
        ours.sendall(said)
        ours.close()
        done = subprocess.run(
            [sys.executable, "-m", "hotsync.agent.receive"],
            stdin=theirs.fileno(), stdout=theirs.fileno(), stderr=subprocess.PIPE, text=True, check=False,
            env={**os.environ, "HOTSYNC_ROOT": str(tmp_path)},
        )  # fmt: skip
    assert done.returncode == 1
    assert "Traceback" not in done.stderr, done.stderr
    assert "hotsyncd is gone" in done.stderr
