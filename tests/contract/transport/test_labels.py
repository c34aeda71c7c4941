"""Labels of SELinux stay with the machine: the real rsync and our own hands on attributes pass them by."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path

import pytest

from hotsync.system import command
from hotsync.system.attributes import hash_attributes, read_attributes, write_attributes
from hotsync.transport.bulk import read_rsync_version
from hotsync.transport.rsync import agree_terms, receiver_argv, sender_argv

pytestmark = pytest.mark.contract

LABEL = "security.selinux"
THEIRS, OURS = b"system_u:object_r:shadow_t:s0\0", b"system_u:object_r:var_lib_t:s0\0"


def attributes(path: Path) -> dict[str, bytes]:
    return {name: os.getxattr(path, name) for name in os.listxattr(path)}


def send(source: Path, target: Path, work: Path) -> None:
    """Send a file and a folder with both command lines that a run has."""
    version = read_rsync_version()
    terms = agree_terms(version, version, stall_seconds=60, bandwidth=0, compress=False)
    (work / "list").write_bytes(b"file\0folder\0")
    program = f"import os; os.chdir({str(target)!r}); os.execvp('rsync', {receiver_argv(terms)!r})"
    (work / "receive.py").write_text(program)
    shell = shlex.join([sys.executable, str(work / "receive.py")])
    command.run(sender_argv(terms, shell, str(work / "list"), str(source)))


@pytest.fixture
def sides(tmp_path: Path) -> tuple[Path, Path]:
    for side in ("source", "target"):
        (tmp_path / side / "folder").mkdir(parents=True)
    source, target = tmp_path / "source", tmp_path / "target"
    (source / "file").write_text("x")
    for path in (source / "file", source / "folder"):
        for name in ("user.plain", "trusted.secret", "security.NTACL"):
            os.setxattr(path, name, b"1")
        os.setxattr(path, LABEL, THEIRS)
    command.run(["setfacl", "-m", "u:4711:rw", str(source / "file")])
    return source, target


def test_the_senders_label_is_not_carried_and_everything_else_is(sides: tuple[Path, Path], tmp_path: Path) -> None:
    source, target = sides
    send(source, target, tmp_path)
    for name in ("file", "folder"):
        wanted = {key: value for key, value in attributes(source / name).items() if key != LABEL}
        assert attributes(target / name) == wanted
    assert "system.posix_acl_access" in attributes(target / "file")


def test_the_label_that_a_machine_gave_is_neither_removed_nor_replaced(
    sides: tuple[Path, Path], tmp_path: Path
) -> None:
    source, target = sides
    os.setxattr(target / "folder", LABEL, OURS)
    os.setxattr(target / "folder", "user.old", b"1")
    send(source, target, tmp_path)
    assert attributes(target / "folder")[LABEL] == OURS
    assert "user.old" not in attributes(target / "folder")


def test_a_label_makes_no_difference_between_two_files_and_is_never_set(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    os.setxattr(tmp_path / "file", "user.plain", b"1")
    folder = os.open(tmp_path, os.O_DIRECTORY)
    try:
        before = hash_attributes(read_attributes("file", folder))
        os.setxattr(tmp_path / "file", LABEL, OURS)
        assert hash_attributes(read_attributes("file", folder)) == before
        write_attributes("file", folder, {LABEL: THEIRS, "user.other": b"2"})
    finally:
        os.close(folder)
    assert attributes(tmp_path / "file") == {LABEL: OURS, "user.other": b"2"}
