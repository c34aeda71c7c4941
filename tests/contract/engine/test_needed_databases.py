"""A MASTER on which an application needs its databases, and that does not carry them, says so in every run."""

from __future__ import annotations

from pathlib import Path

import pytest

from hotsync.engine.sync.host import SyncHost
from hotsync.system.clock import SystemClock
from hotsync.system.paths import Paths

pytestmark = pytest.mark.contract


@pytest.mark.parametrize(("databases", "warned"), [("disabled", True), ("enabled", False), ("streaming", False)])
def test_freepbx_without_its_databases_is_a_warning(tmp_path: Path, databases: str, *, warned: bool) -> None:
    paths = Paths(tmp_path)
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/freepbx.conf").write_text("<?php\n")
    paths.databases.mkdir(parents=True)
    paths.configuration.write_text(
        f"hotsync=configuration|status|enabled|databases|{databases}|role|master|SlaveHost|192.0.2.2\nrsyncd=service\n"
    )
    host = SyncHost.of_this_machine(paths, SystemClock())
    seen = host.preview(lambda *_: None)
    named = [notice.sentence for notice in seen.notices if notice.code == "databases.needed"]
    assert [sentence.partition(":")[0] for sentence in named] == ["FreePBX"] * warned
