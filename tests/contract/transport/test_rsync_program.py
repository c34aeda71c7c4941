"""The rsync that is installed: what it says of itself, and that both ends are called as one function says."""

from __future__ import annotations

import itertools
import json
import shutil
import sys
from pathlib import Path

import pytest

from hotsync.system import command
from hotsync.transport.bulk import read_rsync_version
from hotsync.transport.rsync import RsyncTerms, agree_terms, parse_version, same_server, sender_argv

pytestmark = pytest.mark.contract

RECORDER = """
import json, sys
open(sys.argv[1], "w").write(json.dumps(sys.argv[3:]))
"""


def wanted_by(terms: RsyncTerms, tmp_path: Path) -> list[str]:
    """Return the line that the installed rsync wants to be answered by."""
    (tmp_path / "recorder.py").write_text(RECORDER)
    (tmp_path / "list").write_bytes(b"")
    said = tmp_path / "said"
    shell = f"{sys.executable} -I -S {tmp_path / 'recorder.py'} {said}"
    command.run(sender_argv(terms, shell, str(tmp_path / "list"), str(tmp_path)), ok=range(256))
    line: list[str] = json.loads(said.read_text())
    said.unlink()
    return line


def test_the_json_and_the_text_of_the_version_say_the_same() -> None:
    told = command.run(["rsync", "-VV"]).text
    assert told.lstrip().startswith("{")
    assert parse_version(told) == parse_version(command.run(["rsync", "--version"]).text) == read_rsync_version()


@pytest.mark.parametrize("transfer", ["files", "again"])
def test_the_installed_rsync_wants_exactly_the_receiver_that_we_start(transfer: str, tmp_path: Path) -> None:
    version = read_rsync_version()
    for compress, bandwidth, stall in itertools.product((False, True), (0, 5000), (5, 120)):
        terms = agree_terms(version, version, stall_seconds=stall, bandwidth=bandwidth, compress=compress)
        terms = terms.model_copy(update={"transfer": transfer})
        assert same_server(wanted_by(terms, tmp_path), terms), terms


def test_with_a_receiver_that_must_not_be_asked_to_tell_the_lines_fit_too(tmp_path: Path) -> None:
    version = read_rsync_version()
    older = version.model_copy(update={"version": "3.1.3", "zstd": False})
    terms = agree_terms(version, older, stall_seconds=60, bandwidth=0, compress=True)
    assert (terms.told, terms.compress) == (False, "none")
    assert same_server(wanted_by(terms, tmp_path), terms)


def test_variables_and_aliases_of_the_administrator_change_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".popt").write_text("rsync alias --numeric-ids --numeric-ids --checksum\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("RSYNC_RSH", "false")
    monkeypatch.setenv("RSYNC_PARTIAL_DIR", "elsewhere")
    monkeypatch.setenv("RSYNC_OLD_ARGS", "1")
    version = read_rsync_version()
    terms = agree_terms(version, version, stall_seconds=60, bandwidth=0, compress=False)
    (tmp_path / "recorder.py").write_text(RECORDER)
    assert same_server(wanted_by(terms, tmp_path), terms)


def test_the_tools_that_the_wire_needs_are_there() -> None:
    assert shutil.which("rsync")
    assert shutil.which("ip")
