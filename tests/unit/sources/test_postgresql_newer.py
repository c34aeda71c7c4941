"""Which cluster here serves those of the MASTER, and the configuration that it gets."""

from __future__ import annotations

from pathlib import Path

import pytest

from hotsync.errors import RestoreFailed
from hotsync.sources.postgresql.newer import render, serving, take_over


@pytest.mark.parametrize(
    ("theirs", "installed", "here"),
    [
        (["15-main"], ["15", "17"], ["15-main"]),
        (["15-main"], ["17"], ["17-main"]),
        (["15-main"], ["18", "17", "9.6"], ["17-main"]),  # the nearest one
        (["15-main"], ["13"], ["15-main"]),  # an older one serves nobody
        (["15-main"], [], ["15-main"]),
        (["9.6-main"], ["17"], ["9.6-main"]),
        (["²-main"], ["17"], ["²-main"]),  # a digit to Python, and no number
        (["15-a-b", "15-main"], ["17"], ["17-a-b", "17-main"]),
        (["15-main", "17-main"], ["17"], ["15-main", "17-main"]),  # that name is taken: it stays without a server
        (["13-main", "15-main"], ["17"], ["13-main", "17-main"]),
        (["13-main", "15-main"], ["17", "18"], ["18-main", "17-main"]),
    ],
)
def test_the_nearest_newer_version_serves_what_is_not_installed(
    theirs: list[str], installed: list[str], here: list[str]
) -> None:
    assert serving(theirs, installed) == dict(zip(theirs, here, strict=True))


def test_what_the_master_set_stands_beside_what_is_our_own() -> None:
    text = render(
        "17-main", Path("/etc/postgresql/17/main"), {"port": "5433", "listen_addresses": "", "datestyle": "i'd"}
    )
    lines = text.splitlines()
    assert "port = '5433'" in lines
    assert "listen_addresses = ''" in lines
    assert "datestyle = 'i''d'" in lines
    assert "data_directory = '/var/lib/postgresql/17/main'" in lines
    assert "hba_file = '/etc/postgresql/17/main/pg_hba.conf'" in lines
    assert "unix_socket_directories = '/var/run/postgresql'" in lines


@pytest.mark.parametrize("name", ["15-..", "15-../../x", "15", "x-main", "15-a/b"])
def test_a_name_that_is_no_clusters_goes_nowhere(name: str) -> None:
    with pytest.raises(RestoreFailed, match="names no cluster"):
        take_over(name, "17-main")
