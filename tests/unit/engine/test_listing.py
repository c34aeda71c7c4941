"""What of this host's own stays, and what lies where."""

from __future__ import annotations

import os
from pathlib import Path

from hotsync.engine.listing import DiskListing, kept_paths, mount_points
from hotsync.model.entry import Kind
from hotsync.model.selection import Action, Rule


def rules(*patterns: str, action: Action = Action.PROTECT) -> list[Rule]:
    return [Rule(pattern, action, "test") for pattern in patterns]


def test_protected_paths_count_only_where_something_lies(tmp_path: Path) -> None:
    (tmp_path / "etc/net").mkdir(parents=True)
    for name in ("etc/fstab", "etc/net/10-a.link", "etc/net/.hidden.link", "etc/net/10-a.network"):
        (tmp_path / name).touch()
    (tmp_path / "etc/mtab").symlink_to("/nowhere")
    found = kept_paths(
        [*rules("/etc/fstab", "/etc/crypttab", "/etc/mtab", "/etc/net/*.link"), *rules("/etc", action=Action.INCLUDE)],
        tmp_path,
    )
    assert found == {"etc/fstab", "etc/mtab", "etc/net/10-a.link", "etc/net/.hidden.link"}


def test_a_listing_sees_links_and_follows_none_and_sockets_are_nothing(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/file").touch()
    (tmp_path / "link").symlink_to("folder")
    os.mkfifo(tmp_path / "pipe")
    listing = DiskListing(tmp_path)
    kinds = {name: node.kind for name in listing.names("") if (node := listing.node(name))}
    assert kinds == {"folder": Kind.DIRECTORY, "link": Kind.SYMLINK, "pipe": Kind.FIFO}
    assert listing.names("link") == ()
    assert listing.names("folder/file") == ()
    assert listing.node("folder/file/x") is None


def test_mount_points_below_a_root_are_relative_to_it() -> None:
    assert mount_points(["/", "/srv/big", "/proc"], Path("/")) == {"srv/big", "proc"}
    assert mount_points(["/", "/a/b", "/a"], Path("/a")) == {"b"}
