"""Paths below a folder that fit a pattern: names, not what is behind links."""

from __future__ import annotations

from pathlib import Path

from hotsync.system.trees import matching


def test_what_is_there_is_found_also_a_link_that_leads_nowhere(tmp_path: Path) -> None:
    for path in ("network/interfaces", "systemd/system/a.target.wants/x.service", "systemd/system/xb.service"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    (tmp_path / "resolv.conf").symlink_to("/nowhere/at/all")
    (tmp_path / "systemd/system/b.target.wants").mkdir()
    (tmp_path / "systemd/system/b.target.wants/x.service").symlink_to("/nowhere/x.service")
    patterns = (
        "network",
        "netplan",
        "resolv.conf",
        "systemd/system/*.wants/x*",
        "systemd/system/x*",
        "network/*/deeper",
    )
    assert matching(tmp_path, patterns) == {
        "network",
        "resolv.conf",
        "systemd/system/a.target.wants/x.service",
        "systemd/system/b.target.wants/x.service",
        "systemd/system/xb.service",
    }
    assert matching(tmp_path / "nowhere", patterns) == set()
