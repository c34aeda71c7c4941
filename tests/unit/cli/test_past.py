"""How generations look to people."""

from __future__ import annotations

from dataclasses import replace

from hotsync.cli.past import databases_as_of
from hotsync.cli.render import local
from hotsync.model.generation import DatasetPoint, Generation

BARE = Generation(1, "d", 0, 1000.0, 1010.0, 1010.0)


def test_of_when_the_databases_in_a_generation_are_is_shown() -> None:
    assert databases_as_of(BARE) == "none"
    points = (DatasetPoint("mariadb/default", 1001.0), DatasetPoint("mariadb/b", 900.0, 900.0, "down"))
    assert databases_as_of(replace(BARE, datasets=points[:1])) == local(1001.0)
    assert databases_as_of(replace(BARE, datasets=points)) == f"{local(900.0)} (1 stale)"
