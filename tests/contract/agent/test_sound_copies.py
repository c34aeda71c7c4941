"""A whole run of `hotsync` over a SQLite file under load: what the SLAVE's tree holds is sound, and stays the same."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from hotsync.state.sent import load_sent
from tests.contract.agent.test_deaths_of_the_master import Servers, servers
from tests.support.bank import busy, fault_of, make_bank, moved
from tests.support.sizes import examples

__all__ = ["servers"]
pytestmark = pytest.mark.contract


def arrived(servers: Servers, folder: Path) -> Path:
    """Return a copy of the bank in the SLAVE's tree: looking into it must not change the tree."""
    folder.mkdir(exist_ok=True)
    return Path(shutil.copy(servers.twin / "bank.db", folder / "bank.db"))


@pytest.mark.parametrize("journal", ["WAL", "DELETE"])
@pytest.mark.timeout(1800)
def test_the_slave_has_a_sound_file_after_each_run_and_none_of_its_parts(
    servers: Servers, tmp_path: Path, journal: str
) -> None:
    bank = servers.data / "bank.db"
    make_bank(bank, journal)
    last = 0
    with busy(bank, workers=1):
        for _ in range(examples(3)):
            found = servers.run()
            assert found["code"] == 0, found
            assert fault_of(arrived(servers, tmp_path / "look")) == ""
            assert moved(tmp_path / "look/bank.db") > last
            last = moved(tmp_path / "look/bank.db")
            assert [name for name in os.listdir(servers.twin) if name.startswith("bank")] == ["bank.db"]
    for _ in range(2):  # the second looks again at what was young
        found = servers.run()
    assert servers.run()["generation"] == found["generation"]
    sent = load_sent(servers.hosts.master.paths)
    assert sent is not None
    assert [point.name for point in sent.datasets if not point.stale_since] == ["sqlite"]
    assert moved(arrived(servers, tmp_path / "look")) == moved(bank)
