"""The ground of a promotion that goes on: what moved into place is still the MASTER's."""

from __future__ import annotations

from pathlib import Path

import pytest

from hotsync.engine.promotion.ground import Ground
from hotsync.manifest.store import Manifest
from hotsync.replica.reopen import LIVE
from hotsync.system.paths import Paths

PROFILE = """[profile]
name = "ledger"
title = "Ledger"
[detect]
paths = ["/opt/ledger"]
[[checks]]
kind = "port"
port = 8080
title = "it answers"
"""


@pytest.mark.parametrize(("state", "expected"), [("", False), (LIVE, True)])
def test_a_profile_found_by_a_path_that_moved_into_place_keeps_its_checks(
    tmp_path: Path, state: str, expected: bool
) -> None:
    paths = Paths(tmp_path)
    folder = paths.replica / "tree/etc/hotsync/profiles.d"
    folder.mkdir(parents=True)
    (folder / "ledger.toml").write_text(PROFILE)
    (tmp_path / "opt/ledger").mkdir(parents=True)  # it has left the tree; before a promotion it is this host's own
    with Manifest(paths.manifest) as manifest:
        manifest.set_meta("state", state)
    assert ("ledger.port.1" in Ground(paths).checks) is expected
