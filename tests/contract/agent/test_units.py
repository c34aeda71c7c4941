"""The two confined units: systemd's own judgement, and what must never be set since it breaks the replica."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hotsync.system import command

pytestmark = pytest.mark.contract

UNITS = Path(__file__).parents[3] / "systemd"


@pytest.mark.parametrize("name", ["hotsyncd.service", "hotsync-receive@.service", "hotsync-stream.service"])
def test_a_unit_that_faces_the_network_is_confined(name: str) -> None:
    said = command.run(["systemd-analyze", "security", "--offline=true", "--no-pager", str(UNITS / name)]).text
    found = re.search(r"Overall exposure level .*: ([\d.]+)", said)
    assert found is not None
    assert float(found[1]) < 4.0


@pytest.mark.parametrize("name", ["hotsyncd.service", "hotsync-receive@.service"])
@pytest.mark.parametrize("word", ["RestrictSUIDSGID", "PrivateDevices", "PrivateUsers"])
def test_what_would_break_the_replica_is_not_set(name: str, word: str) -> None:
    assert not re.search(rf"^{word}=", (UNITS / name).read_text(), re.MULTILINE)


def test_the_receiver_can_write_to_staging_only() -> None:
    text = (UNITS / "hotsync-receive@.service").read_text()
    assert re.findall(r"^ReadWritePaths=(.*)$", text, re.MULTILINE) == ["/var/lib/hotsync/replica/staging"]
    assert "ProtectSystem=strict" in text


def test_the_receiver_can_make_no_socket_and_change_nothing_below_dev() -> None:
    """What they do is tried on a booted host: tests/lab/test_sandbox.py."""
    text = (UNITS / "hotsync-receive@.service").read_text()
    for line in ("RestrictAddressFamilies=none", "ReadOnlyPaths=/dev /run", "DevicePolicy=closed", "KillMode=mixed"):
        assert f"\n{line}\n" in text


def test_the_daemon_has_its_state_as_one_path_since_renames_do_not_cross_bind_mounts() -> None:
    text = (UNITS / "hotsyncd.service").read_text()
    assert re.findall(r"^ReadWritePaths=(.*)$", text, re.MULTILINE) == ["/var/lib/hotsync"]
