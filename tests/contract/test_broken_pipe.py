"""`hotsync 2>&1 | head`: who stops reading does not stop the command."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.contract

COMMAND = """
import sys
from pathlib import Path
import click
from hotsync.cli.door import GuardedCommand
from hotsync.cli.progress import Progress
from hotsync.cli.render import print_json, table

@click.command(cls=GuardedCommand)
@click.argument("file")
def long(file):
    progress = Progress()
    progress("Looking")
    progress("Sending")
    table("t", ("a",), [["row"]] * 1000)
    print_json(["x" * 100_000])
    Path(file).write_text("done")
    progress.done()
    return 3

long()
"""


def test_a_command_whose_output_nobody_reads_goes_on_to_its_end_and_keeps_its_status(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        process = subprocess.run(
            [sys.executable, "-c", COMMAND, str(tmp_path / "file")], stdout=writing, stderr=writing, check=False
        )
    finally:
        os.close(writing)
    assert process.returncode == 3
    assert (tmp_path / "file").read_text() == "done"


def test_what_is_read_arrives_whole(tmp_path: Path) -> None:
    process = subprocess.run(
        [sys.executable, "-c", COMMAND, str(tmp_path / "file")], capture_output=True, text=True, check=False
    )
    assert process.returncode == 3
    assert process.stdout == "row\n" * 1000 + '["' + "x" * 100_000 + '"]\n'
    assert process.stderr == "Looking ...\nSending ...\n"


def test_a_disk_that_takes_no_output_is_told(tmp_path: Path) -> None:
    with open("/dev/full", "w") as full:
        process = subprocess.run(
            [sys.executable, "-c", COMMAND, str(tmp_path / "file")], stdout=full, stderr=subprocess.PIPE, check=False
        )
    assert process.returncode == 9
    assert b"No space left on device" in process.stderr
