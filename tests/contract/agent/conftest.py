from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.agent.pair import Pair, two_hosts


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[Pair]:
    """Two servers with the same password; the SLAVE's daemon runs, nothing is paired yet."""
    with two_hosts(tmp_path) as pair:
        yield pair


@pytest.fixture
def paired(hosts: Pair) -> Pair:
    hosts.pair()
    return hosts
