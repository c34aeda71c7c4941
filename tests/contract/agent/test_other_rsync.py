"""Another rsync at the other end, or something that is none: named as that, on both sides, and never a hang."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path

import pytest

from hotsync.errors import OtherRsync
from hotsync.model.changeset import EMPTY_DIGEST
from hotsync.transport.client import PeerLink
from tests.contract.agent.pair import Pair

pytestmark = pytest.mark.contract

ODD = {
    "ends at once": "",
    "speaks another protocol": "os.write(1, b'\\x05\\x00\\x00\\x00' + b'x' * 100)",
    "is a shell that greets": "os.write(1, b'Welcome to this server!\\n'); os.read(0, 10)",
    "says nothing": "os.read(0, 4) and [os.read(0, 65536) for _ in range(10**6)]",
}


@pytest.fixture
def link(paired: Pair, tmp_path: Path) -> PeerLink:
    source = tmp_path / "source"
    source.mkdir()
    (source / "file").write_bytes(os.urandom(1000))
    (tmp_path / "list").write_bytes(b"file\0")
    (tmp_path / "planned").write_bytes(b"")
    link = paired.link(heartbeat=False)
    link.begin(1, EMPTY_DIGEST, tmp_path / "planned", 1000, 1)
    return link


@pytest.mark.parametrize("program", ODD.values(), ids=ODD.keys())
def test_what_is_no_fitting_rsync_is_named_as_that(
    paired: Pair, link: PeerLink, tmp_path: Path, program: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hotsync.transport.bulk.FIRST_REPLY_SECONDS", 2.0)
    impostor = tmp_path / "bin" / "rsync"
    impostor.parent.mkdir()
    impostor.write_text(f"#!{sys.executable}\nimport os\n{program}\n")
    impostor.chmod(0o755)
    monkeypatch.setattr("tests.contract.agent.pair.RECEIVER_PATH", str(impostor.parent))
    with link, pytest.raises(OtherRsync) as other:
        link.send(1, tmp_path / "source", tmp_path / "list", lambda _: None)
    assert other.value.exit_code == 6
    assert paired.slave.refused_with("transfer.rsync")
    assert "3." in str(other.value.facts["ours"])


def test_an_rsync_here_that_wants_an_unknown_receiver_is_stopped_before_a_byte_is_sent(
    paired: Pair, link: PeerLink, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hotsync.transport.bulk.same_server", lambda *_: False)
    with link, pytest.raises(OtherRsync, match="do not understand each other"):
        link.send(1, tmp_path / "source", tmp_path / "list", lambda _: None)
    assert os.listdir(paired.slave.store.staging(1)) == []


def test_a_slave_with_an_old_rsync_is_refused_before_anything_is_begun(
    paired: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "planned").write_bytes(b"")
    with caplog.at_level(logging.WARNING), paired.link() as link:
        assert link.welcome.rsync is not None
        link.welcome = link.welcome.model_copy(
            update={"rsync": link.welcome.rsync.model_copy(update={"version": "3.0.9"})}
        )
        with pytest.raises(OtherRsync) as other:
            link.begin(1, EMPTY_DIGEST, tmp_path / "planned", 0, 0)
    assert (other.value.facts["theirs"], "there" in other.value.hint) == ("3.0.9", True)
