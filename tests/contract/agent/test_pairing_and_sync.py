from __future__ import annotations

from pathlib import Path

import pytest

from hotsync.model.changeset import EMPTY_DIGEST, chain_digest, render_change
from hotsync.model.entry import Change, Entry, Kind, Verb
from hotsync.model.generation import DatasetPoint
from tests.contract.agent.pair import two_hosts

pytestmark = pytest.mark.contract


def lines(*names: str) -> list[bytes]:
    return [
        render_change(Change(Verb.CONTENT, name, Entry(name, Kind.FILE, 0o644, 0, 0, 3, 1, 1, 1, 1, 1)))
        for name in names
    ]


def test_two_servers_pair_and_a_generation_goes_over(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "one").write_text("one")
    (source / "two").write_text("two")
    changes = lines("one", "two")
    planned = tmp_path / "planned"
    planned.write_bytes(b"".join(changes))
    wanted = tmp_path / "wanted"
    wanted.write_bytes(b"one\0two\0")
    with two_hosts(tmp_path) as hosts:
        hosts.pair()
        assert hosts.slave.here.peer is not None
        assert hosts.slave.here.peer.fingerprint == hosts.master.around.identity.fingerprint
        with hosts.link() as link:
            assert link.welcome.generation == 0
            assert link.alive().verdict == "green"
            assert link.begin(1, EMPTY_DIGEST, planned, 6, 2).present == 0
            result = link.send(1, source, wanted, lambda _: None)
            assert (result.files, result.bytes) == (2, 6)
            assert (hosts.slave.store.staging(1) / "two").read_text() == "two"
            digest = chain_digest(EMPTY_DIGEST, changes)
            made = link.commit(1, digest, planned, 5.0, [DatasetPoint("files", 5.0)])
            assert (made.generation, made.digest) == (1, digest)
            stale = DatasetPoint("mariadb/default", 5.0, 5.0, "the server is down")
            assert link.confirm(1, [stale]).generation == 1
            assert hosts.slave.store.confirmed == (stale,)
        with hosts.link() as link:
            assert (link.welcome.generation, link.welcome.digest) == (1, digest)
