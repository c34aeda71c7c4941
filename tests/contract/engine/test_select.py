"""What this MASTER says of its own profiles while it selects."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from hotsync.engine.sync.select import own_profiles
from hotsync.system.paths import Paths

pytestmark = pytest.mark.contract


def test_a_site_profile_that_uses_a_key_which_does_nothing_yet_is_named_and_a_shipped_one_is_not(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    site = Paths(tmp_path).site_profiles
    site.mkdir(parents=True)
    (site / "chat.toml").write_text(
        '[profile]\nname = "chat"\ntitle = "Chat"\n[[databases]]\nengine = "redis"\n'
        '[services]\nmute = ["chat.service"]\n'
    )
    with caplog.at_level(logging.WARNING, "hotsync.select"):
        assert "chat" in {profile.name for profile in own_profiles(Paths(tmp_path))}
    assert [record.getMessage() for record in caplog.records] == [
        "profile chat: nothing acts on databases.engine in this version"
    ]
