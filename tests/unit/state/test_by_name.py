"""What is kept of each dataset by its name: what was loaded, taken over, and made for streaming."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hotsync.model.warm import WarmServer
from hotsync.state.streamed import note_taken_over, taken_over_at
from hotsync.state.streaming import StreamedServer, load_streaming, note_streaming
from hotsync.state.warm import load_warm, note_warm
from hotsync.system.paths import Paths

SERVER = WarmServer("/var/lib/mysql", "f" * 64, (("innodb_page_size", "16384"),), {"shop": "d"}, "d", ("own",), 3)


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    paths = Paths(tmp_path)
    paths.state.mkdir(parents=True)
    return paths


def test_what_is_noted_comes_back_and_what_is_taken_out_is_gone(paths: Paths) -> None:
    assert load_warm(paths) == {}
    note_warm(paths, "mariadb/default", SERVER)
    note_warm(paths, "postgresql/15-main", WarmServer("/x"))
    assert load_warm(paths) == {"mariadb/default": SERVER, "postgresql/15-main": WarmServer("/x")}
    note_warm(paths, "postgresql/15-main", None)
    note_warm(paths, "mariadb/other", None)
    assert load_warm(paths) == {"mariadb/default": SERVER}
    streamed = StreamedServer("/run/s", "mariadb.service", "secret", gave_up=True)
    note_streaming(paths, "mariadb/default", streamed)
    assert load_streaming(paths) == {"mariadb/default": streamed}
    assert paths.streaming.stat().st_mode & 0o777 == 0o600


def test_a_promotion_that_took_over_nothing_any_more_is_told_so(paths: Paths) -> None:
    note_taken_over(paths, "mariadb/default", 7)
    assert (taken_over_at(paths, "mariadb/default"), taken_over_at(paths, "mariadb/other")) == (7, 0)
    note_taken_over(paths, "mariadb/default", 0)
    assert taken_over_at(paths, "mariadb/default") == 0


def test_the_form_on_disk_is_what_earlier_runs_wrote(paths: Paths) -> None:
    paths.streamed.write_text('{"schema": 1, "taken_over": {"mariadb/default": 2}}')
    assert taken_over_at(paths, "mariadb/default") == 2
    note_warm(paths, "mariadb/default", SERVER)
    document = json.loads(paths.warm.read_bytes())
    assert list(document) == ["schema", "servers"]
    assert document["servers"]["mariadb/default"]["settings"] == [["innodb_page_size", "16384"]]


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", "nonsense", '{"schema": 2, "taken_over": {"mariadb/default": 2}}', '{"schema": 1}',
     '{"schema": 1, "taken_over": {"mariadb/default": "x"}}'],
)  # fmt: skip
def test_what_cannot_be_read_says_nothing(paths: Paths, text: str) -> None:
    paths.streamed.write_text(text)
    assert taken_over_at(paths, "mariadb/default") == 0
