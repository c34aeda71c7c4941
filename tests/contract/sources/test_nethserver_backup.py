"""The configuration backup of a NethServer: its own program is called; here it is a script that does the like."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from hotsync.errors import SourceError
from hotsync.sources import backup_config
from hotsync.sources.source import Context, Dataset
from hotsync.system import command
from hotsync.system.paths import Paths

pytestmark = pytest.mark.contract

NETHSERVERS = """#!/bin/sh
echo "$*" >>{root}/asked
echo 'Action backup-config-execute: {word}'
[ {word} = SUCCESS ] || exit 1
cd {root}/var/lib/nethserver/backup
for name in {names}; do echo content >"$name"; done
"""
THREE = "backup-config.tar.xz backup-config.tar.xz.md5 backup-config.tar.xz-content.md5"


def a_nethserver(root: Path, word: str = "SUCCESS", names: str = THREE) -> Paths:
    program = root / "sbin/e-smith/backup-config"
    for folder in (root / "etc", program.parent, root / "var/lib/nethserver/backup"):
        folder.mkdir(parents=True, exist_ok=True)
    (root / "etc/nethserver-release").write_text("NethServer release 7.9.2009 (final)\n")
    program.write_text(NETHSERVERS.format(root=root, word=word, names=names))
    program.chmod(0o755)
    return Paths(root)


def test_on_nethserver_its_own_program_writes_the_archive_where_it_always_did(tmp_path: Path) -> None:
    paths = a_nethserver(tmp_path)
    points = backup_config.collect(Context(paths), Dataset(backup_config.NAME))
    assert [point.name for point in points] == ["backup-config"]
    assert (tmp_path / "asked").read_text() == "\n"
    assert sorted(os.listdir(tmp_path / "var/lib/nethserver/backup")) == sorted(THREE.split())
    assert not paths.spool.exists()


@pytest.mark.parametrize(
    ("word", "names", "said"),
    [
        ("FAIL", THREE, "Action backup-config-execute: FAIL"),
        ("SUCCESS", "backup-config.tar.xz", "left no backup-config.tar.xz.md5, backup-config.tar.xz-content.md5"),
    ],
)
def test_a_failure_of_its_program_is_a_source_that_could_not_be_collected(
    tmp_path: Path, word: str, names: str, said: str
) -> None:
    paths = a_nethserver(tmp_path, word, names)
    with pytest.raises(SourceError, match=said):
        backup_config.collect(Context(paths), Dataset(backup_config.NAME))


@pytest.mark.parametrize(("words", "asked"), [([], "\n"), (["--force"], "-f\n")])
def test_the_command_becomes_nethservers_with_its_output_and_status(
    tmp_path: Path, words: list[str], asked: str
) -> None:
    a_nethserver(tmp_path, "FAIL")
    code = "from hotsync.cli.backup_config import backup_config as run; run()"
    done = command.run([sys.executable, "-c", code, *words], ok=range(256), env={"HOTSYNC_ROOT": str(tmp_path)})
    assert (done.returncode, done.text) == (1, "Action backup-config-execute: FAIL\n")
    assert (tmp_path / "asked").read_text() == asked
