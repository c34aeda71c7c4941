import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotsync.errors import ConfigError
from hotsync.model.identity import Peer, Role, RoleRecord
from hotsync.state import store
from hotsync.system.paths import Paths

PEER = Peer("slave", "10.77.0.2", "ab" * 32, "-----BEGIN CERTIFICATE-----\n", "fe80::1", 1234.5)
TEXT = st.text(st.characters(exclude_categories=["Cs"]))


@given(
    st.builds(
        RoleRecord,
        st.sampled_from(Role),
        st.integers(min_value=0),
        st.none() | st.integers(min_value=0),
        st.floats(allow_nan=False, allow_infinity=False),
        TEXT,
    )
)
def test_a_role_is_read_as_it_was_saved(tmp_path_factory: pytest.TempPathFactory, record: RoleRecord) -> None:
    paths = Paths(tmp_path_factory.mktemp("root"))
    store.save_role(paths, record)
    assert store.load_role(paths) == record


def test_a_server_that_was_never_told_has_the_empty_role(tmp_path: Path) -> None:
    assert store.load_role(Paths(tmp_path)) == RoleRecord()
    assert store.load_peer(Paths(tmp_path)) is None


def test_a_peer_is_read_as_it_was_saved_and_can_be_forgotten_twice(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    store.forget_peer(paths)
    store.save_peer(paths, PEER)
    assert store.load_peer(paths) == PEER
    assert paths.peer_file.stat().st_mode & 0o777 == 0o600
    store.forget_peer(paths)
    store.forget_peer(paths)
    assert store.load_peer(paths) is None


def test_the_documents_carry_their_schema_number(tmp_path: Path) -> None:
    store.save_role(Paths(tmp_path), RoleRecord(Role.SLAVE, 3, None, 1.0, "set up"))
    assert json.loads(Paths(tmp_path).role_file.read_text()) == {
        "schema": 1,
        "role": "slave",
        "epoch": 3,
        "claim": None,
        "since": 1.0,
        "why": "set up",
        "released": 0,
    }


def test_a_document_of_a_newer_version_is_refused_with_the_hint_to_upgrade(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    paths.state.mkdir(parents=True)
    paths.role_file.write_text('{"schema": 2, "role": "master"}')
    with pytest.raises(ConfigError, match="newer HotSync") as caught:
        store.load_role(paths)
    assert "newer HotSync" in caught.value.hint


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        '{"role": "master"}',
        '{"schema": "x", "role": "master"}',
        '{"schema": 1, "role": "king"}',
        '{"schema": 1, "role": "master", "epoch": "many"}',
        "\xff",
    ],
)
def test_a_broken_role_is_an_error_that_names_the_file_and_never_an_empty_role(tmp_path: Path, text: str) -> None:
    paths = Paths(tmp_path)
    paths.state.mkdir(parents=True)
    paths.role_file.write_bytes(text.encode("latin-1"))
    with pytest.raises(ConfigError, match=r"role\.json"):
        store.load_role(paths)


def test_the_production_flag_follows_the_role(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    store.save_role_and_flag(paths, RoleRecord(Role.MASTER))
    assert paths.production_flag.exists()
    store.save_role_and_flag(paths, RoleRecord(Role.MASTER, 1))
    assert paths.production_flag.exists()
    store.save_role_and_flag(paths, RoleRecord(Role.SLAVE))
    assert not paths.production_flag.exists()
    store.save_role_and_flag(paths, RoleRecord(Role.SLAVE))
    assert not paths.production_flag.exists()
